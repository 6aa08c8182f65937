"""Load that comes from the sites' own users: drawn from a workload, or made like one.

Draws come from a numpy generator made from the seed that is given: the same seed, the same load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.simulator.demand import Demand
from res_federation.simulator.virtual_site_partition import VirtualPartition
from res_federation.simulator.workload import Ints, Workload

DAY_S = 86_400
_HOURS = 24


def homes(
    demand: Demand,
    partitions: Sequence[VirtualPartition],
    share: float,
    seed: int,
    local: Ints | None = None,
) -> list[int]:
    """Draw the jobs that users submit at the sites themselves, and where.

    Jobs are drawn one after the other until they make up *share* of all processor-seconds; each
    goes to a partition where it fits, drawn by size.

    Args:
        demand: The jobs.
        partitions: All of the federation.
        share: Of the load; of what is not local anyway, where some is.
        seed: The same seed, the same draws.
        local: (jobs,) 1 for a job that is local in any case; None where none is.

    Returns:
        For each job the index of its partition, -1 for a job of the federation.  A job that fits
        nowhere stays one of the federation, which says so.

    Raises:
        InvalidArgument: If *share* is not between 0 and 1.

    """
    if not 0 <= share <= 1:
        raise InvalidArgument(f"{share:g} is no share", way_out="--local-share 0.5")
    count = len(demand.submit)
    found = [-1] * count
    always = np.zeros(count, np.int64) if local is None else local
    if not count or (not share and not always.any()):
        return found
    drawn = np.random.Generator(np.random.PCG64(seed))
    order = drawn.permutation(np.flatnonzero(always == 0))
    lots = drawn.random(count)
    work = np.array(demand.procs, np.float64) * np.array(demand.runtime, np.float64)
    so_far = np.cumsum(work[order])
    most = share * (so_far[-1] if len(so_far) else 0.0)
    many = int(np.searchsorted(so_far, most * (1 + 1e-12), "right")) if share else 0
    for job in [*np.flatnonzero(always).tolist(), *order[:many].tolist()]:
        kind, limit = demand.kind[job], demand.limit[job]
        fits = [part for part in partitions if _takes(part, demand, kind, limit)]
        found[job] = _one_of(fits, float(lots[job]))
    return found


def _takes(part: VirtualPartition, demand: Demand, kind: int, limit: int) -> bool:
    most = part.declared.max_time_s
    in_time = most is None or limit <= most
    return in_time and part.size(kind, demand.requests[kind]) is not None


def _one_of(fits: Sequence[VirtualPartition], lot: float) -> int:
    """Return the place of one of *fits* by size, -1 where there is none."""
    left = lot * sum(part.cores for part in fits)
    for part in fits:
        left -= part.cores
        if left < 0:
            return part.place
    return fits[-1].place if fits else -1


@dataclass(frozen=True, slots=True, eq=False)
class LocalUsers:
    """What a workload's users do, ready to be drawn from.

    Attributes:
        like: The workload itself: sizes, run times and limits are drawn from it, whole jobs at a
            time, so that wide jobs stay as long as they were.
        by_hour: (24,) share of the submissions in each hour of the day.
        by_day: Submissions a day, on average.

    """

    like: Workload
    by_hour: np.ndarray
    by_day: float


def fit(workload: Workload) -> LocalUsers:
    """Fit the habits of a workload's users: the daily cycle and what they submit.

    Raises:
        InvalidArgument: If there is nothing to learn from.

    """
    if len(workload) < 2:
        raise InvalidArgument(
            f"'{workload.name}' has {len(workload)} jobs: no habits can be seen in them",
            way_out="give a longer trace",
        )
    hours = workload.submit % DAY_S // 3600
    counts = np.bincount(hours, minlength=_HOURS).astype(np.float64)
    span = max(int(workload.submit[-1] - workload.submit[0]), DAY_S)
    return LocalUsers(workload, counts / counts.sum(), len(workload) * DAY_S / span)


def generate(
    users: LocalUsers, *, seed: int, start: int, seconds: int, rate: float = 1.0
) -> Workload:
    """Make up a workload of *seconds* from *start* on, as those users would.

    Arrivals are Poisson within each hour, with the hour's share of the day; job after job is drawn
    from what was seen, with its size, run time, limit, user and group.

    Args:
        users: As fitted.
        seed: The same seed makes the same jobs.
        start: Second of the first hour.
        seconds: How long.
        rate: So many times the submissions that were seen.

    """
    drawn = np.random.Generator(np.random.PCG64(seed))
    edges = np.arange(start - start % 3600, start + seconds, 3600)
    expected = users.by_hour[edges % DAY_S // 3600] * users.by_day * rate
    counts = drawn.poisson(expected)
    submit = np.repeat(edges, counts) + drawn.integers(0, 3600, int(counts.sum()))
    submit = np.sort(submit[(submit >= start) & (submit < start + seconds)])
    like = users.like
    which = drawn.integers(0, len(like), len(submit))
    return replace(
        like,
        name=f"like {like.name}",
        job_ids=np.arange(1, len(submit) + 1),
        submit=submit.astype(np.int64),
        runtime=like.runtime[which], estimate=like.estimate[which], procs=like.procs[which],
        user=like.user[which], group=like.group[which], queue=like.queue[which],
        shape=like.shape[which] if len(like.shape) else like.shape,
        read=len(submit), dropped={}, repaired={},
    )  # fmt: skip


def together(workload: Workload, background: Workload) -> tuple[Workload, Ints]:
    """Return both workloads as one, and which of its jobs are of the background.

    At one second the workload's jobs come before the background's.  Users, groups and queues of
    the background are numbered after the others; its jobs are numbered after the others too where
    all numbers are whole.
    """
    submit = np.concatenate([workload.submit, background.submit])
    of_background = np.repeat(np.array([0, 1], np.int64), [len(workload), len(background)])
    order = np.lexsort((of_background, submit))
    shift = len(workload.shapes)

    def both(mine: Ints, theirs: Ints, names: int) -> Ints:
        over = max(names, int(mine.max(initial=-1)) + 1)
        return np.concatenate([mine, np.where(theirs >= 0, theirs + over, -1)])[order]

    shape_of_mine = workload.shape if len(workload.shape) else np.full(len(workload), -1)
    shape_of_theirs = background.shape if len(background.shape) else np.full(len(background), -1)
    ids = workload.job_ids
    whole = np.issubdtype(ids.dtype, np.integer)
    most = int(ids.max(initial=0)) if whole else 0
    their_ids = (
        np.arange(most + 1, most + 1 + len(background))
        if whole
        else np.array([f"background-{number}" for number in range(1, len(background) + 1)])
    )
    return replace(
        workload,
        name=f"{workload.name} and {background.name}",
        job_ids=np.concatenate([ids, their_ids])[order],
        submit=submit[order],
        runtime=np.concatenate([workload.runtime, background.runtime])[order],
        estimate=np.concatenate([workload.estimate, background.estimate])[order],
        procs=np.concatenate([workload.procs, background.procs])[order],
        user=both(workload.user, background.user, len(workload.users)),
        group=both(workload.group, background.group, len(workload.groups)),
        queue=both(workload.queue, background.queue, len(workload.queues)),
        users=(*_padded(workload.users, workload.user), *background.users),
        groups=(*_padded(workload.groups, workload.group), *background.groups),
        queues=(*_padded(workload.queues, workload.queue), *background.queues),
        shape=np.concatenate(
            [shape_of_mine, np.where(shape_of_theirs >= 0, shape_of_theirs + shift, -1)]
        )[order],
        shapes=(*workload.shapes, *background.shapes),
        read=workload.read + background.read,
    ), of_background[order]


def _padded(names: tuple[str, ...], numbers: Ints) -> tuple[str, ...]:
    """Give every number a name, so that the background's names begin behind them."""
    most = max(len(names), int(numbers.max(initial=-1)) + 1)
    return (*names, *(str(number) for number in range(len(names), most)))
