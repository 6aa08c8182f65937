"""A stand-in for a site's agent, for measures: a real stream, and nodes that are only counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import grpc

from res_federation.agent.clock import Clock
from res_federation.api.v1 import agents_pb2, agents_pb2_grpc
from res_federation.model.capacity import CapacityReport, PartitionCapacity, Release
from res_federation.model.identifiers import RunToken, SiteId, site_of
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Forget, Order, Start
from res_federation.wire.exchange import orders_from_message, report_to_message

BEAT_S = 5.0
_HELD_S = 86400.0
"""So long is every node taken that is not free."""

Call = grpc.aio.StreamStreamCall[agents_pb2.ConnectRequest, agents_pb2.ConnectResponse]


class BenchAgent:
    """One site that is full, but for what `free` says; what it is told to start runs at once."""

    def __init__(self, site: SiteId, parts: Sequence[PartitionCapacity], now: Clock) -> None:
        """Take the site's groups of nodes, all of them free; *now* reads the clock."""
        self._now = now
        self.site, self._parts = site, tuple(parts)
        self._free: dict[int, int] = {}
        self._runs: dict[RunToken, RunObservation] = {}
        self._sequence = 0
        self._call: Call | None = None
        self._writing = asyncio.Lock()
        self._started: asyncio.Future[float] | None = None
        self._ends = self._now() + _HELD_S

    @property
    def groups(self) -> int:
        """How many groups of nodes it has."""
        return len(self._parts)

    async def serve(self, channel: grpc.aio.Channel) -> None:
        """Keep a stream, report on a beat and take orders, until cancelled."""
        stub = agents_pb2_grpc.AgentServiceStub(channel)
        self._call = stub.Connect(metadata=(("resfed-site", self.site),))
        beat = asyncio.create_task(self._beat())
        try:
            while isinstance(said := await self._call.read(), agents_pb2.ConnectResponse):
                self._obey(orders_from_message(said), time.perf_counter())
        finally:
            beat.cancel()
            self._call.cancel()

    async def _beat(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(BEAT_S)

    def _obey(self, orders: Sequence[Order], at: float) -> None:
        for order in orders:
            if isinstance(order, Start):
                self._runs[order.token] = RunObservation(
                    order.token, JobState.RUNNING, started=self._now(), begun=True
                )
                if self._started is not None and not self._started.done():
                    self._started.set_result(at)
            elif isinstance(order, Forget):
                for token in order.tokens:
                    self._runs.pop(token, None)

    async def wake(self, part: int, nodes: int, patience_s: float) -> float | None:
        """Say that nodes came free; return the seconds to the order that starts a job on them.

        Jobs that it ran end with that report; afterwards the site is full again.
        """
        self._started = asyncio.get_running_loop().create_future()
        self._runs = {
            token: replace(run, state=JobState.COMPLETED, ended=self._now(), exit_code=0)
            for token, run in self._runs.items()
        }
        self._free = {part: nodes}
        begun = time.perf_counter()
        await self._report()
        try:
            async with asyncio.timeout(patience_s):
                return await self._started - begun
        except TimeoutError:
            return None
        finally:
            self._started, self._free = None, {}
            await self._report()

    async def _report(self) -> None:
        assert self._call is not None, "it serves"
        async with self._writing:
            self._sequence += 1
            report = CapacityReport(
                self.site, self._sequence, self._now(), 4 * BEAT_S,
                tuple(self._as_it_is(place, part) for place, part in enumerate(self._parts)),
            )  # fmt: skip
            said = report_to_message(report, tuple(self._runs.values()), "bench", True, True)
            await self._call.write(agents_pb2.ConnectRequest(report=said))

    def _as_it_is(self, place: int, part: PartitionCapacity) -> PartitionCapacity:
        """Return a group of nodes as it is now."""
        nodes = self._free.get(place, 0)
        free = tuple(replace(bar, nodes=min(nodes, bar.nodes)) for bar in part.free if nodes)
        taken = part.available - sum(bar.nodes for bar in free)
        shape = part.shape
        held = Release(self._ends, taken, taken * (shape.cores or 0), taken * shape.accelerators)
        return replace(part, free=free, releases=(held,))


def by_site(parts: Sequence[PartitionCapacity]) -> dict[SiteId, list[PartitionCapacity]]:
    """Return groups of nodes by the site that has them."""
    found: dict[SiteId, list[PartitionCapacity]] = {}
    for part in parts:
        found.setdefault(site_of(part.id), []).append(part)
    return found
