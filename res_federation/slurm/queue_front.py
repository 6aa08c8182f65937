"""Who stands at the head of a queue, in the order in which Slurm looks at them.

Only jobs that could begin if nodes came free stand in it: none that is held, waits for another job,
for a time or for its own reservation, or is over a limit of its user.  Slurm looks at the highest
priority first, of equal ones at the lowest number.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

from res_federation.errors import InvalidArgument
from res_federation.model.capacity import MOST_WAITING, WaitingJob
from res_federation.model.identifiers import RunToken, is_run_token
from res_federation.slurm import arrays
from res_federation.slurm.node_groups import NodeGroup
from res_federation.slurm.queue_depth import (
    accelerators_of,
    cores_of,
    holds,
    limit_s,
    names_of,
    target,
    waits,
)
from res_federation.slurm.squeue import QueuedJob

_OVER_A_LIMIT = re.compile(r"QOS|Assoc|JobArrayTaskLimit")


@dataclass(frozen=True, slots=True)
class Front:
    """What one group's queue begins with.

    Attributes:
        queue: The first `MOST_WAITING` that wait for it, tasks of arrays each.
        others: Jobs (tasks) that wait for it or run in it and are not the federation's.

    """

    queue: tuple[WaitingJob, ...] = ()
    others: int = 0


def fronts(
    groups: Sequence[NodeGroup], jobs: Iterable[QueuedJob], whose: Mapping[str, str]
) -> tuple[Front, ...]:
    """Return the head of the queue of each of the *groups* of one partition.

    Args:
        groups: As `queue_depth.depths` has them.
        jobs: Of any partition.
        whose: Local account of each run, by its token.

    """
    waiting: list[list[QueuedJob]] = [[] for _ in groups]
    others = [0] * len(groups)
    for job in jobs:
        if not groups or groups[0].partition.name not in job.partitions:
            continue
        queued = waits(job)
        if not queued and not holds(job):
            continue
        at = target(groups, job) if queued else _place(groups, job)
        if not token_of(job, whose):
            others[at] += max(1, len(job.array_indices()))
        if queued and can_begin(job):
            waiting[at].append(job)
    return tuple(
        Front(_queue(found, group, whose), count)
        for group, found, count in zip(groups, waiting, others, strict=True)
    )


def token_of(job: QueuedJob, whose: Mapping[str, str]) -> RunToken | None:
    """Return which run of the federation a job is: anybody can give a job a token as its name."""
    return (
        RunToken(job.name) if is_run_token(job.name) and whose.get(job.name) == job.user else None
    )


def can_begin(job: QueuedJob) -> bool:
    """Tell of a job that waits whether nodes are all that it waits for."""
    return not (
        job.priority == 0
        or job.dependency
        or job.reservation
        or _OVER_A_LIMIT.match(job.reason.split(",")[0])
    )


def standing(job: QueuedJob) -> tuple[int, int, int]:
    """Return what jobs that wait are sorted by: the first that Slurm looks at is the least."""
    return -(job.priority or 0), job.array_number or job.number, job.number


def _queue(
    jobs: Iterable[QueuedJob], group: NodeGroup, whose: Mapping[str, str]
) -> tuple[WaitingJob, ...]:
    found: list[WaitingJob] = []
    for job in heapq.nsmallest(MOST_WAITING, jobs, key=standing):
        task = WaitingJob(
            nodes=max(1, job.nodes),
            cores=cores_of(job, group),
            accelerators=accelerators_of(job, group),
            limit_s=limit_s(job, group),
            token=token_of(job, whose),
        )
        found += repeat(task, _tasks(job))
        if len(found) >= MOST_WAITING:
            break
    return tuple(islice(found, MOST_WAITING))


def _tasks(job: QueuedJob) -> int:
    """Return how many tasks may begin together, 1 without an array."""
    many = max(1, len(job.array_indices()))
    try:
        throttle = arrays.read(job.array).throttle if "%" in job.array else 0
    except InvalidArgument:
        throttle = 0
    return min(many, throttle or many)


def _place(groups: Sequence[NodeGroup], job: QueuedJob) -> int:
    """Return the group that a job runs in: of its first node, as far as that is told."""
    names = names_of(job.node_list)
    for at, group in enumerate(groups):
        if names and any(node.name == names[0] for node in group.nodes):
            return at
    return target(groups, job)
