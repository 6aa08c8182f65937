from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from res_federation.agent.batch import Accepted, Found, RunRequest
from res_federation.agent.local.local_site import LocalBatch
from res_federation.agent.local.slots import HostSlots
from res_federation.agent.rundir import RunDirectory
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec, TaskOutcome
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition, Site
from res_federation.slurm.dialect import Dialect
from tests.agent.patience import PATIENCE_S

CPU = PartitionId("here/box/cpu")
GPU = PartitionId("here/box/gpu")


@pytest.fixture
def site() -> Site:
    return Site(
        id=SiteId("here"), name="Here", clusters=("box",), machine="Box", city="Here",
        latitude=0.0, longitude=0.0, batch="local",
        partitions=(
            Partition(CPU, "cpu", NodeShape(4, 4096), nodes=4, max_time_s=7200, max_array=100),
            Partition(
                GPU, "gpu", NodeShape(8, None, "nvidia-a100-40gb", 4, 40 * 1024), nodes=6192
            ),
            Partition(PartitionId("here/box/dark"), "dark", NodeShape(None, None), nodes=3),
        ),
    )  # fmt: skip


def spec_of(body: str, **more: object) -> JobSpec:
    request = more.pop("request", ResourceRequest())
    return JobSpec(
        name=str(more.pop("name", "test")), user="ana", script=f"#!/bin/bash\n{body}\n",
        request=request, **more,  # type: ignore[arg-type]
    )  # fmt: skip


class Bench:
    """A LocalBatch with its directory; restarts it, submits to it, waits for it."""

    cpu, gpu = CPU, GPU
    whole = ResourceRequest(nodes=4, exclusive=True)
    spec = staticmethod(spec_of)

    def __init__(self, site: Site, state: Path, slots: HostSlots | None = None) -> None:
        self.site, self.state, self.slots = site, state, slots
        self.count = 0
        self.dialect: Dialect | None = None
        self.accepted: Accepted | None = None
        self.batch = self.fresh()

    def fresh(self) -> LocalBatch:
        return LocalBatch(
            self.site, self.state, now=time.time, dialect=self.dialect,
            slots=self.slots or HostSlots(), grace_s=0.3,
        )  # fmt: skip

    async def restart(self) -> None:
        await self.batch.close()
        self.batch = self.fresh()

    async def submit(
        self, spec: JobSpec, *, partition: PartitionId = CPU, lease_s: float = 60.0
    ) -> RunToken:
        self.count += 1
        token = RunToken(f"01J{self.count:023d}-1")
        directory = RunDirectory.of(self.state / "runs", token)
        directory.prepare(spec)
        directory.write_lease(time.time() + lease_s)
        outcome = await self.batch.submit(RunRequest(token, partition, spec, directory.path))
        assert isinstance(outcome, Accepted), outcome
        self.accepted = outcome
        return token

    async def look(self, token: RunToken) -> Found:
        return (await self.batch.find([token], since=0.0)).found[token]

    async def until(
        self, token: RunToken, done: Callable[[Found], bool], limit_s: float = PATIENCE_S
    ) -> Found:
        async with asyncio.timeout(limit_s):
            while not done(found := await self.look(token)):
                await self.batch.changed()
        return found

    async def end(self, token: RunToken, tasks: int = 1) -> tuple[TaskOutcome, ...]:
        def over(found: Found) -> bool:
            return sum(task.state.final for task in found.tasks) == tasks

        return (await self.until(token, over)).tasks

    async def run(self, spec: JobSpec, partition: PartitionId = CPU) -> tuple[TaskOutcome, str]:
        token = await self.submit(spec, partition=partition)
        (task,) = await self.end(token)
        return task, self.text(token, "out.batch")

    async def appears(self, token: RunToken, name: str) -> None:
        path = self.state / "runs" / token / name
        async with asyncio.timeout(PATIENCE_S):
            while not (path.exists() and path.stat().st_size):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    @staticmethod
    def alive(pid: int) -> bool:
        try:
            return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return False

    def text(self, token: RunToken, name: str) -> str:
        return (self.state / "runs" / token / name).read_text()


@pytest.fixture
async def bench(site: Site, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(site, tmp_path / "state")
    yield made
    for job in list(made.batch._jobs.values()):
        await made.batch.cancel(job.token, None)
    async with asyncio.timeout(PATIENCE_S):
        while made.batch._jobs:
            await made.batch.changed()
    await made.batch.close()
