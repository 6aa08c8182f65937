"""Arithmetic of a report: what the plots and tables show, as arrays. Draws and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.simulator.report_files import Jobs
from res_federation.simulator.workload import Ints

Floats = npt.NDArray[np.float64]

SIZE_EDGES = (2, 5, 17, 65, 257, 1025)
SIZE_NAMES = ("1", "2-4", "5-16", "17-64", "65-256", "257-1,024", "over 1,024")
LENGTH_EDGES = (600, 3600, 6 * 3600, 24 * 3600)
LENGTH_NAMES = ("under 10 min", "10 min - 1 h", "1 - 6 h", "6 - 24 h", "over 1 d")
_SHORTEST_S = 10
"""Of bounded slowdown: a shorter job counts as if it were so long."""


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Waits by class of size and of length.

    Attributes:
        median: (lengths, sizes) seconds, NaN where there is no job.
        count: (lengths, sizes) jobs.

    """

    median: Floats
    count: Ints


@dataclass(frozen=True, slots=True)
class Treatment:
    """How the jobs of one site or group fared.

    Attributes:
        name: Of the site or group.
        jobs: Of it.
        hours: Processor-hours that they used.
        mean_wait: Seconds.
        p95_wait: Seconds.
        slowdown: Mean bounded slowdown.

    """

    name: str
    jobs: int
    hours: float
    mean_wait: float
    p95_wait: float
    slowdown: float


def bins(jobs: Jobs, most: int = 240) -> Floats:
    """Return the edges of equal bins over the replay: (bins + 1,) seconds."""
    first = int(jobs.submit.min()) if len(jobs) else 0
    last = int(jobs.end.max()) if len(jobs) else 1
    return np.linspace(first, max(last, first + 1), min(most, max(last - first, 1)) + 1)


def level(begin: Ints, end: Ints, weight: Ints, edges: Floats) -> Floats:
    """Return the mean height, in each bin, of a pile of intervals.

    Args:
        begin: (n,) seconds.
        end: (n,) seconds.
        weight: (n,) height of each.
        edges: (bins + 1,) seconds.

    """
    area = _ramp(begin, weight, edges) - _ramp(end, weight, edges)
    return np.maximum(np.diff(area) / np.diff(edges), 0.0)


def _ramp(at: Ints, weight: Ints, edges: Floats) -> Floats:
    """Return, for each edge t, the sum of weight x (t - at) over all that came before it."""
    order = np.argsort(at, kind="stable")
    # From the first edge on: products of times of the epoch would lose their last digits.
    times = at[order].astype(np.float64) - edges[0]
    heights = weight[order].astype(np.float64)
    height = np.concatenate(([0.0], np.cumsum(heights)))
    moment = np.concatenate(([0.0], np.cumsum(heights * times)))
    before = np.searchsorted(times, edges - edges[0], side="right")
    ramp: Floats = height[before] * (edges - edges[0]) - moment[before]
    return ramp


def busy(jobs: Jobs, owner: Ints, owners: int, edges: Floats) -> Floats:
    """Return processors in use by bin: (owners, bins); *owner* is `Jobs.site` or `.partition`."""
    rows = []
    for number in range(owners):
        mine = np.flatnonzero(owner == number)
        rows.append(level(jobs.start[mine], jobs.end[mine], jobs.procs[mine], edges))
    return np.array(rows).reshape(owners, len(edges) - 1)


def peak(jobs: Jobs, owner: Ints, owners: int) -> Ints:
    """Return the most processors in use at once: (owners,)."""
    found = np.zeros(owners, np.int64)
    for number in range(owners):
        mine = np.flatnonzero(owner == number)
        times = np.concatenate((jobs.end[mine], jobs.start[mine]))
        change = np.concatenate((-jobs.procs[mine], jobs.procs[mine]))
        order = np.lexsort((change, times))  # ends free before starts take
        found[number] = max(int(np.cumsum(change[order]).max(initial=0)), 1)
    return found


def processors(
    jobs: Jobs, summary: Mapping[str, Any], sites: tuple[str, ...]
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the processors of each site, and whether the summary tells them.

    Where it does not, the most that were in use at once stand in for them.
    """
    told = summary.get("sites") or {}
    used = peak(jobs, jobs.site, len(sites))
    known = [_processors(told.get(site)) for site in sites]
    if len(sites) == 1 and not known[0] and isinstance(summary.get("machine"), int):
        known = [int(summary["machine"])]
    counts = np.array(known, np.int64)
    return np.where(counts > 0, counts, used), counts > 0


def _processors(site: object) -> int:
    value = site.get("processors") if isinstance(site, Mapping) else None
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def waits(jobs: Jobs) -> Ints:
    """Return each job's wait in seconds."""
    return jobs.start - jobs.submit


def slowdowns(jobs: Jobs) -> Floats:
    """Return each job's bounded slowdown."""
    run = (jobs.end - jobs.start).astype(np.float64)
    found: Floats = np.maximum(1.0, (waits(jobs) + run) / np.maximum(run, _SHORTEST_S))
    return found


def wait_classes(jobs: Jobs) -> Classes:
    """Return the median wait of each class of size and length."""
    size = np.searchsorted(SIZE_EDGES, jobs.procs, side="right")
    length = np.searchsorted(LENGTH_EDGES, jobs.end - jobs.start, side="right")
    wait = waits(jobs)
    shape = (len(LENGTH_NAMES), len(SIZE_NAMES))
    median, count = np.full(shape, np.nan), np.zeros(shape, np.int64)
    for row in range(shape[0]):
        for column in range(shape[1]):
            mine = (length == row) & (size == column)
            count[row, column] = int(mine.sum())
            if count[row, column]:
                median[row, column] = float(np.median(wait[mine]))
    return Classes(median, count)


def treatments(jobs: Jobs, owner: Ints, names: tuple[str, ...]) -> list[Treatment]:
    """Return how each owner's jobs fared; owners without jobs are left out."""
    wait, slow = waits(jobs), slowdowns(jobs)
    hours = jobs.procs * (jobs.end - jobs.start) / 3600.0
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(len(names) + 1))
    found = []
    for number, name in enumerate(names):
        mine = order[ends[number] : ends[number + 1]]
        if len(mine):
            found.append(
                Treatment(
                    name,
                    len(mine),
                    float(hours[mine].sum()),
                    float(wait[mine].mean()),
                    float(np.percentile(wait[mine], 95)),
                    float(slow[mine].mean()),
                )
            )
    return found


def jain(values: list[float]) -> float | None:
    """Return Jain's index: 1 where all are equal, 1/n where one has all; None without any."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None
