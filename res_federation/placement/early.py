"""Runs that are expected to end before their limits: the release profiles as they should come.

Places are kept as if every run took all its time: nobody is to be late because somebody was quick.
Who only wants to know when a job starts does better to expect what users' jobs mostly do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np

from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Floats
from res_federation.placement.order import run_estimate
from res_federation.placement.rows import Ints, RowArrays
from res_federation.placement.snapshot import Early

NEAR_S = 3.0
"""A release so near to a run's limit is that of the run."""


def early(job: Job, partition: PartitionId, ran_s: float) -> Early | None:
    """Return the run of a job that has run for so long; None where nothing else is expected.

    One that has run for longer than was expected goes on for half as long again.
    """
    limit, expected = job.spec.time_limit_s, run_estimate(job)
    left = max(expected - ran_s, 0.5 * ran_s if ran_s > expected else 0.0)
    if job.spec.array or expected >= limit or left >= limit - ran_s:
        return None
    return Early(partition, job.spec.request, limit - ran_s, left)


class Running(Sequence[Early]):
    """Those of the runs that go on that should end before their limits: told when somebody asks.

    Most rounds foretell nothing, and need not know.
    """

    __slots__ = ("_found", "_runs")

    def __init__(self, runs: list[tuple[Job, PartitionId, float]]) -> None:
        """Take jobs that run, where, and for how many seconds each has run."""
        self._runs = runs
        self._found: tuple[Early, ...] | None = None

    def _all(self) -> tuple[Early, ...]:
        if self._found is None:
            found = (early(job, partition, ran_s) for job, partition, ran_s in self._runs)
            self._found = tuple(one for one in found if one is not None)
        return self._found

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self._all())

    @overload
    def __getitem__(self, place: int) -> Early: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Early]: ...
    def __getitem__(self, place: int | slice) -> Early | Sequence[Early]:
        """Return one of them, or several."""
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        """Tell whether *other* has the same ones, whatever keeps them."""
        return isinstance(other, Sequence) and self._all() == tuple(other)

    def __hash__(self) -> int:
        """Hash as the tuple of them does."""
        return hash(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to other processes as a tuple of them, without the jobs."""
        return tuple, (self._all(),)


def nodes_worth(request: ResourceRequest, shape: NodeShape) -> float:
    """Return what a request takes of nodes of a shape: of each the scarcest of what it has."""
    nodes = request.nodes or 1
    if request.exclusive:
        return float(nodes)
    tasks = request.tasks or nodes * (request.tasks_per_node or 1)
    devices = (
        request.accelerators_total
        or (request.accelerators_per_node or 0) * nodes
        or (request.accelerators_per_task or 0) * tasks
    )
    worth = max(nodes, tasks * request.cpus_per_task) / (shape.cores or 1)
    return max(worth, devices / shape.accelerators if shape.accelerators else 0.0)


@compiled
def moved(
    after: Floats, worth: Floats, row: Ints, limit: Floats, expected: Floats, nodes: Floats
) -> tuple[Floats, Floats]:
    """Return release profiles in which runs end when they are expected to.

    Args:
        after: (rows, releases) seconds until releases, ascending; infinite where unused.
        worth: (rows, releases) nodes' worth that comes free.
        row: (runs,) where each runs.
        limit: (runs,) seconds until its limit: a release near to it is its own.
        expected: (runs,) seconds until it is expected to end.
        nodes: (runs,) nodes' worth that it holds.

    """
    rows, size = after.shape
    count = np.zeros(rows, np.int64)
    for k in range(row.shape[0]):
        count[row[k]] += 1
    wide = size + (count.max() if rows else 0)
    times, parts = np.full((rows, wide), np.inf), np.zeros((rows, wide))
    times[:, :size], parts[:, :size] = after, worth
    count[:] = size
    for k in range(row.shape[0]):
        r = row[k]
        left = nodes[k]
        at = np.searchsorted(after[r], limit[k] - NEAR_S)
        while at < size and after[r, at] <= limit[k] + NEAR_S and left > 0.0:
            taken = min(left, parts[r, at])
            parts[r, at] -= taken
            left -= taken
            at += 1
        if left < nodes[k]:
            times[r, count[r]], parts[r, count[r]] = expected[k], nodes[k] - left
            count[r] += 1
    for r in range(rows):
        order = np.argsort(times[r], kind="mergesort")
        times[r], parts[r] = times[r][order], parts[r][order]
    return times, parts


def expected_releases(rows: RowArrays, runs: Iterable[Early]) -> tuple[Floats, Floats]:
    """Return when nodes of *rows* should come free, as `rows.release_after` and `release_nodes`."""
    places: dict[PartitionId, list[int]] = {}
    for number, partition in enumerate(rows.frame):
        places.setdefault(partition, []).append(number)
    found = [
        (number, one.limit_s, one.expected_s, nodes_worth(one.request, rows.rows[number].shape))
        for one in runs
        for number in places.get(one.partition, ())[:1]
    ]
    if not found:
        return rows.release_after, rows.release_nodes
    row, limit, expected, nodes = (np.array(column) for column in zip(*found, strict=True))
    return moved(rows.release_after, rows.release_nodes, row, limit, expected, nodes)
