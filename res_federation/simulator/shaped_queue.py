"""A site's local scheduler over nodes with cores, memory, accelerators: fcfs, easy, conservative.

A job's parts lie on different nodes, the first that have room; a job of one node lies on the one
that it leaves the fewest cores, as in Slurm; parts of different jobs share nodes.
On nodes of one core it starts every job at the second at which the pool of processors does.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from res_federation.errors import InvalidArgument, NotFound
from res_federation.model.capacity import FreeNodes
from res_federation.model.resources import Layout, NodeShape
from res_federation.simulator.shaped_queue_kernels import (
    change,
    earliest,
    first_fit,
    fit_before,
    fit_beside,
    reserve,
    shadow,
    take,
)
from res_federation.simulator.workload import Ints

DISCIPLINES = ("fcfs", "easy", "conservative")
_ROOM = 64
"""Points that a profile begins with room for."""


@dataclass(slots=True, order=True)
class _Job:
    rank: float
    number: int
    key: int = field(compare=False)
    layout: Layout = field(compare=False)
    estimate: int = field(compare=False)
    need: Ints = field(compare=False)
    nodes: Ints = field(compare=False)
    end: int = field(default=0, compare=False)


class ShapedQueue:
    """The queue of one partition of like nodes."""

    def __init__(
        self, shape: NodeShape, nodes: int, discipline: str, *, order: str = "submit"
    ) -> None:
        """Begin empty.

        Args:
            shape: What one node has; memory that is not known is not counted.
            nodes: How many.
            discipline: fcfs, easy or conservative.
            order: ``submit``, where priorities are ignored; otherwise higher ones first.

        Raises:
            InvalidArgument: If there is no such discipline.

        """
        if discipline not in DISCIPLINES:
            raise InvalidArgument(
                f"unknown scheduler {discipline!r}", way_out=", ".join(DISCIPLINES)
            )
        memory = -1 if shape.memory_mib is None else shape.memory_mib
        whole = (shape.cores or 0, memory, shape.accelerators)
        self._free = np.tile(np.array(whole, np.int64), (nodes, 1))
        self._up = np.ones(nodes, np.int64)
        self._found = np.zeros(max(nodes, 1), np.int64)
        self._discipline, self._by_priority = discipline, order != "submit"
        self._queue: list[_Job] = []
        self._waiting: dict[int, _Job] = {}
        self._on: dict[int, _Job] = {}
        self._count = 0
        self._parts: tuple[Ints, Ints, Ints] | None = None

    @property
    def free(self) -> int:
        """Cores that nobody holds on nodes that are up."""
        return int(self._free[self._up == 1, 0].sum())

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs that run."""
        return len(self._on)

    def submit(
        self, key: int, procs: Layout, estimate: int, at: int, priority: float = 0.0
    ) -> None:
        """Add a job to the queue as if it came at second *at*; equal ones as they come."""
        self._count += 1
        need = (procs.cores_per_node, procs.memory_per_node_mib, procs.accelerators_per_node)
        job = _Job(
            -priority if self._by_priority else float(at), self._count, key, procs, estimate,
            np.array(need, np.int64), np.zeros(0, np.int64),
        )  # fmt: skip
        self._waiting[key] = job
        insort(self._queue, job)

    def cancel(self, key: int) -> bool:
        """Take a waiting job out; tell whether it waited."""
        job = self._waiting.pop(key, None)
        if job is None:
            return False
        self._queue.remove(job)
        return True

    def arrange(self, keys: Sequence[int]) -> None:
        """Let waiting jobs stand in this order, in the seats that they have together."""
        jobs = [self._waiting[key] for key in keys]
        seats = sorted((job.rank, job.number) for job in jobs)
        for job, seat in zip(jobs, seats, strict=True):
            job.rank, job.number = seat
        self._queue.sort()

    def in_order(self, most: int) -> list[int]:
        """Return the first *most* jobs that wait, in the order in which a pass looks at them."""
        return [job.key for job in self._queue[:most]]

    def finish(self, key: int, now: int) -> None:
        """Free what a running job holds; raises NotFound."""
        del now
        job = self._on.pop(key, None)
        if job is None:
            raise NotFound(f"no job {key} runs here")
        take(self._free, job.nodes, job.need, 1)
        self._parts = None

    def set_processors(self, processors: int) -> None:
        """Let so many nodes be up: the last ones leave first; what runs there goes on."""
        self._up[:] = 0
        self._up[: max(0, processors)] = 1

    def releases(self, now: int) -> list[tuple[int, Layout]]:
        """Return believed ends and what then comes free, sorted by time."""
        found = [(max(job.end, now + 1), job.number, job.layout) for job in self._on.values()]
        return [(end, layout) for end, _, layout in sorted(found, key=lambda one: one[:2])]

    def histogram(self) -> tuple[FreeNodes, ...]:
        """Return how many nodes that are up have how much free; those with nothing are left out."""
        up = self._free[self._up == 1]
        some = up[(up[:, 0] > 0) & (up[:, 1] != 0)]
        counts = Counter(map(tuple, some.tolist()))
        return tuple(FreeNodes(nodes, *amounts) for amounts, nodes in sorted(counts.items()))

    def start(self, now: int) -> list[int]:
        """Make one scheduling pass and return what was given its nodes."""
        if not self._queue:
            return []
        if self._discipline == "conservative":
            began = self._conservative(now)
        else:
            began = self._in_order(now)
            if self._discipline == "easy" and len(began) < len(self._queue):
                began += self._backfill(self._queue[len(began) :], now)
        if began:
            self._parts = None
            gone = {job.key for job in began}
            self._queue = [job for job in self._queue if job.key not in gone]
            for job in began:
                del self._waiting[job.key]
        return [job.key for job in began]

    def _begin(self, job: _Job, count: int, now: int) -> None:
        job.nodes, job.end = self._found[:count].copy(), now + job.estimate
        take(self._free, job.nodes, job.need, -1)
        self._on[job.key] = job

    def _in_order(self, now: int) -> list[_Job]:
        """Begin jobs while the first that waits fits."""
        began = []
        for job in self._queue:
            count = job.layout.nodes
            if first_fit(self._free, self._up, job.need, count, self._found) < count:
                break
            self._begin(job, count, now)
            began.append(job)
            self._parts = None
        return began

    def _backfill(self, queue: list[_Job], now: int) -> list[_Job]:
        """Begin later jobs that do not delay the first one."""
        head, then = queue[0], self._free.copy()
        at = shadow(then, self._up, *self._running(), head.need, head.layout.nodes, now)
        kept = np.zeros(len(self._up), np.int64)
        if at >= 0:
            reserve(self._free, then, self._up, head.need, head.layout.nodes, kept)
        began, hopeless = [], set()
        for job in queue[1:]:
            before = at < 0 or now + job.estimate <= at
            if (job.layout, before) in hopeless:
                continue
            count = job.layout.nodes
            if before:
                have = fit_before(self._free, self._up, kept, job.need, count, self._found)
            else:
                have = fit_beside(self._free, then, self._up, kept, job.need, count, self._found)
            if have < count:  # within a pass nothing comes free
                hopeless.add((job.layout, before))
                continue
            self._begin(job, count, now)
            if not before:
                take(then, job.nodes, job.need, -1)
            began.append(job)
        return began

    def _running(self) -> tuple[Ints, Ints, Ints]:
        """Return believed end, node and amount of every part that runs, by end."""
        if self._parts is None:
            jobs = sorted(self._on.values(), key=lambda job: (job.end, job.number))
            counts = [len(job.nodes) for job in jobs]
            none = np.zeros(0, np.int64)
            needs = np.array([job.need for job in jobs], np.int64).reshape(len(jobs), 3)
            self._parts = (
                np.repeat(np.array([job.end for job in jobs], np.int64), counts),
                np.concatenate([none, *(job.nodes for job in jobs)]),
                np.repeat(needs, counts, axis=0),
            )
        return self._parts

    def _conservative(self, now: int) -> list[_Job]:
        """Give every job its earliest place in the profile, in order; begin those whose is now."""
        most = 2 * (len(self._on) + len(self._queue)) + 2
        profile = np.zeros((min(most, _ROOM), *self._free.shape), np.int64)
        times = np.zeros(len(profile), np.int64)
        profile[0], times[0], used = self._free, now, 1
        for job in sorted(self._on.values(), key=lambda job: (job.end, job.number)):
            profile, times = _roomy(profile, times, used)
            far = np.iinfo(np.int64).max
            # what is free from its end on: the last point holds for ever
            used = change(profile, times, used, max(job.end, now + 1), far, job.nodes, job.need, 1)
            used -= 1 if times[used - 1] == far else 0
        began = []
        for job in self._queue:
            profile, times = _roomy(profile, times, used)
            count = job.layout.nodes
            at = earliest(
                profile, times, used, self._up, job.need, count, job.estimate, self._found
            )
            if at < 0:
                continue  # nodes that it needs are away
            nodes = self._found[:count].copy()
            used = change(profile, times, used, at, at + job.estimate, nodes, job.need, -1)
            if at == now:
                self._begin(job, count, now)
                began.append(job)
        return began


def _roomy(profile: Ints, times: Ints, used: int) -> tuple[Ints, Ints]:
    """Return the profile with room for two more points."""
    if used + 2 <= len(times):
        return profile, times
    more = np.zeros((2 * len(times), *profile.shape[1:]), np.int64)
    later = np.zeros(2 * len(times), np.int64)
    more[:used], later[:used] = profile[:used], times[:used]
    return more, later
