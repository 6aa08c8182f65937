"""Durable submits against an empty echo, measured in turns in one run.

Three processes: an echo server that answers bytes with bytes, a broker with a fresh SQLite
database, and this one, which makes the load.  Both servers are sent the very same bytes; nothing
is encoded or decoded here while the clock runs, so that the load costs both alike.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from res_federation.cli.supervisor import PYTHON, RESFED, ready_server
from res_federation.client import requests
from res_federation.client.address import CHANNEL_OPTIONS
from res_federation.client.health import serving
from res_federation.errors import Unavailable
from res_federation.model.job import JobSpec
from res_federation.security.credentials import find

IN_FLIGHT = 64
_SUBMIT = "/res_federation.api.v1.JobService/CreateJob"
_BULK = "/res_federation.api.v1.JobService/CreateJobs"
ECHO = "/echo.Echo/Echo"


def measure(*, repeats: int, calls: int, bulk_jobs: int) -> dict[str, Any]:
    """Return medians and spread of *repeats* interleaved rounds.

    Raises:
        Unavailable: If one of the two servers does not start.

    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resfed-bench-")))
        echo = stack.enter_context(
            ready_server(
                [*PYTHON, "res_federation.cli.bench_echo", str(home / "echo")], home / "echo.log"
            )
        )
        serve = ["broker", "serve", "--listen", "127.0.0.1:0", "--home", str(home)]
        broker = stack.enter_context(ready_server([*RESFED, *serve], home / "broker.log"))
        if not serving(broker, timeout_s=10):
            raise Unavailable(f"the broker at {broker} does not serve")
        return asyncio.run(_measure(echo, broker, repeats, calls, bulk_jobs))


async def _measure(
    echo: str, broker: str, repeats: int, calls: int, bulk_jobs: int
) -> dict[str, Any]:
    async with (
        find(echo).aio_channel(echo, CHANNEL_OPTIONS) as echo_channel,
        find(broker).aio_channel(broker, CHANNEL_OPTIONS) as broker_channel,
    ):
        answer: Any = echo_channel.unary_unary(ECHO)
        submit: Any = broker_channel.unary_unary(_SUBMIT)
        bulk: Any = broker_channel.stream_unary(_BULK)
        await _rate(answer, _singles("warm-echo", 200))
        await _rate(submit, _singles("warm", 200))
        echoes, submits = [], []
        for turn in range(repeats):
            echoes.append(await _rate(answer, _singles(f"echo-{turn}", calls)))
            submits.append(await _rate(submit, _singles(f"one-{turn}", calls)))
        # Afterwards: ten thousand waiting jobs in every round would be measured with the submits.
        bulks = [await _bulk_rate(bulk, bulk_jobs) for _ in range(repeats)]
    ratios = [one / other for one, other in zip(submits, echoes, strict=True)]
    return {
        "in_flight": IN_FLIGHT,
        "repeats": repeats,
        "calls": calls,
        "bulk_jobs": bulk_jobs,
        "cores": os.cpu_count(),
        **_figures("echo_per_s", echoes),
        **_figures("submit_per_s", submits),
        **_figures("submit_to_echo", ratios),
        **_figures("bulk_submit_per_s", bulks),
        "targets": {"submit_to_echo": 0.4, "bulk_submit_per_s": 5000},
    }


def _figures(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        name: round(median(values), 4),
        f"{name}_spread": [round(min(values), 4), round(max(values), 4)],
    }


async def _rate(call: Any, messages: Sequence[bytes]) -> float:
    """Return calls a second with `IN_FLIGHT` of them open at any time."""
    rest = iter(messages)

    async def worker() -> None:
        for message in rest:
            await call(message)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(worker())
    return len(messages) / (time.perf_counter() - began)


async def _bulk_rate(call: Any, jobs: int) -> float:
    (batch,) = list(requests.create_batches(_specs(jobs)))[:1] or ((),)
    messages = [chunk.SerializeToString() for chunk in batch]
    began = time.perf_counter()
    await call(iter(messages))
    return min(jobs, requests.BATCH_JOBS) / (time.perf_counter() - began)


def _singles(stem: str, count: int) -> list[bytes]:
    return [
        requests.create(spec, f"{stem}-{number}").SerializeToString()
        for number, spec in enumerate(_specs(count))
    ]


def _specs(count: int) -> Iterator[JobSpec]:
    script = "#!/bin/bash\n#SBATCH --ntasks=1\n#SBATCH --time=10\n\nsrun ./app\n"
    for number in range(count):
        yield JobSpec(name=f"bench{number}", user="bench", script=script, time_limit_s=600)
