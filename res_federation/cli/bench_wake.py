"""From nodes that came free to the order at the agent, with a long queue: a real broker, live.

A broker of its own with SQLite and its Ray workers; every site has a stream as agents keep one and
is full; the jobs are submitted in bulk.  Then nodes come free at one site after the other, and the
clock runs from the moment when the agent sends that report until it has the order.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from res_federation.agent import clock as agent_clock
from res_federation.agent.dial import Dial
from res_federation.agent.site_identity import SiteIdentity
from res_federation.api.v1 import jobs_pb2, jobs_pb2_grpc
from res_federation.cli.bench_agent import BenchAgent, by_site
from res_federation.cli.supervisor import RESFED, ready_server
from res_federation.client import requests
from res_federation.client.address import CHANNEL_OPTIONS
from res_federation.config.sites import load_sites
from res_federation.errors import Unavailable
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.job import JobSpec
from res_federation.model.reason import Code
from res_federation.placement.declared import all_free
from res_federation.scatter.bench_place import drawn_jobs
from res_federation.security.credentials import find
from res_federation.telemetry.logs import configure

_NODES = 3
"""That come free at a time."""
_SHAPES = 10_000
_PAUSE_S = 0.05
"""Between two changes; each is answered before the next one."""
_PATIENCE_S = 30.0
_WARM_S = 5.0
_CALM_S = 600.0

Group = tuple[BenchAgent, int]
"""An agent, and the place of a group of nodes of its site."""


def measure(*, sites: Path, jobs: int, changes: int) -> dict[str, Any]:
    """Return what `resfed bench wake` tells.

    ``jobs, sites, groups`` (of nodes that some job asks for), ``changes, cores, load`` (of the
    machine), ``submit_s, first_rounds_s`` (until a round has looked at the last job),
    ``wake_p50_s, wake_p99_s, wake_max_s`` and ``unanswered`` (changes that no order followed).

    Raises:
        Unavailable: If the broker does not start, ends, or does not get through the queue.

    """
    configure("warning")  # of the agents that this process plays
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resfed-bench-")))
        serve = [
            "broker", "serve", "--listen", "127.0.0.1:0", "--home", str(home), "--sites",
            str(sites),
        ]  # fmt: skip
        broker = stack.enter_context(
            ready_server([*RESFED, *serve], home / "broker.log", start_s=180.0)
        )
        return asyncio.run(_measure(broker, home, sites, jobs, changes))


def full_sites(sites: Path) -> list[BenchAgent]:
    """Return an agent for each member that has nodes of its own to count."""
    parts = [
        PartitionCapacity(row.partition, row.shape, row.nodes, row.available, free=row.free)
        for row in all_free(load_sites(sites)).rows
        if row.problem is Code.FITS and row.free
    ]
    return [BenchAgent(site, own, agent_clock.now) for site, own in sorted(by_site(parts).items())]


async def _measure(broker: str, home: Path, sites: Path, jobs: int, changes: int) -> dict[str, Any]:
    agents = full_sites(sites)
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(find(broker).aio_channel(broker, CHANNEL_OPTIONS))
        channels = [
            await stack.enter_async_context(
                await Dial(
                    SiteIdentity(agent.site, home / "agents" / agent.site), broker,
                    now=agent_clock.now,
                ).channel(CHANNEL_OPTIONS)
            )
            for agent in agents
        ]  # fmt: skip
        serving = [
            asyncio.create_task(agent.serve(channel))
            for agent, channel in zip(agents, channels, strict=True)
        ]
        try:
            await asyncio.sleep(1.0)
            stub: Any = jobs_pb2_grpc.JobServiceStub(users)
            begun = time.perf_counter()
            last = await _submit(stub.CreateJobs, jobs)
            submitted = time.perf_counter()
            await _calm(stub.GetJob, last)
            calm = time.perf_counter()
            groups = await _wanted(agents)
            waits = await _changes(groups, changes)
        finally:
            for task in serving:
                task.cancel()
            ended = await asyncio.gather(*serving, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise Unavailable(f"a stream broke: {one}")
    return {
        "jobs": jobs,
        "sites": len(agents),
        "groups": len(groups),
        "changes": changes,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "submit_s": round(submitted - begun, 2),
        "first_rounds_s": round(calm - submitted, 2),
        **_figures(waits),
        "targets": {"wake_p99_s": 1.0},
    }


def _figures(waits: Sequence[float | None]) -> dict[str, Any]:
    answered = sorted(wait for wait in waits if wait is not None)
    if not answered:
        raise Unavailable("no change was answered with an order")
    return {
        "wake_p50_s": round(median(answered), 4),
        "wake_p99_s": round(answered[min(len(answered) - 1, int(len(answered) * 0.99))], 4),
        "wake_max_s": round(answered[-1], 4),
        "unanswered": len(waits) - len(answered),
    }


async def _submit(submit: Any, jobs: int) -> str:
    """Submit all in bulk; return the name of the last job."""
    last = ""
    for batch in requests.create_batches(_specs(jobs)):
        answer = await submit(iter(batch))
        last = requests.job_name(answer.uids[-1])
    return last


def _specs(jobs: int) -> Iterator[JobSpec]:
    drawn = [job.spec for job in drawn_jobs(min(jobs, _SHAPES), 0)]
    return (drawn[number % len(drawn)] for number in range(jobs))


async def _calm(look: Any, last: str) -> None:
    """Wait until a round has looked at the last job."""
    give_up = time.perf_counter() + _CALM_S
    while time.perf_counter() < give_up:
        job = await look(jobs_pb2.GetJobRequest(name=last))
        if job.reason.startswith("waits:") or job.state != jobs_pb2.JOB_STATE_QUEUED:
            return
        await asyncio.sleep(0.1)
    raise Unavailable("the broker does not get through the queue")


async def _wanted(agents: Sequence[BenchAgent]) -> list[Group]:
    """Return the groups of nodes where a job is sent when some come free.

    The others have nodes that none of these jobs asks for.
    """
    every = [(agent, place) for agent in agents for place in range(agent.groups)]
    every.sort(key=lambda group: group[1])
    waits = [await agent.wake(place, _NODES, _WARM_S) for agent, place in every]
    return [group for group, wait in zip(every, waits, strict=True) if wait is not None]


async def _changes(groups: Sequence[Group], changes: int) -> list[float | None]:
    """Let nodes come free in each group in its turn."""
    waits = []
    for number in range(changes if groups else 0):
        agent, place = groups[number % len(groups)]
        waits.append(await agent.wake(place, _NODES, _PATIENCE_S))
        await asyncio.sleep(_PAUSE_S)
    return waits
