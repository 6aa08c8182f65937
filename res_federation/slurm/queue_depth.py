"""What waits before a new job, and when what runs comes free.

Which group a waiting job counts against, where a partition has several: one with the accelerators
that it asks for and cores enough on its nodes, the largest of these; a job without accelerators
goes to nodes without before nodes with them. A job that waits for several partitions stands before
a new job in each of them, and counts in each. A job that could not begin whatever came free (held,
waiting for another job, for a time or for its reservation, or over a limit) is no queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import family_in
from res_federation.model.capacity import Release
from res_federation.slurm import hostlist
from res_federation.slurm.node_groups import NodeGroup
from res_federation.slurm.nodes import Node
from res_federation.slurm.slurm_states import Phase
from res_federation.slurm.squeue import QueuedJob

NO_QUEUE = frozenset((
    "JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "Dependency", "DependencyNeverSatisfied",
    "BeginTime", "Reservation", "ReservationDeleted", "PartitionTimeLimit", "PartitionNodeLimit",
    "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed", "QOSNotAllowed",
    "DeadLine",
))  # fmt: skip
"""Reasons of jobs that do not stand before a new one."""
WITHOUT_LIMIT_S = 86_400
"""What a waiting job without any time limit counts as: a day."""
MOST_RELEASES = 256
"""Longest release profile; a longer one is told by the minute, the hour…"""
_GRIDS_S = (60, 600, 3600, 6 * 3600, 24 * 3600, 30 * 24 * 3600)


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits for one group: jobs (tasks of arrays, each), core- and accelerator-seconds."""

    jobs: int = 0
    core_s: float = 0.0
    accelerator_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Holding:
    """A job that holds nodes.

    Attributes:
        job: The job.
        until: UTC seconds when it gives them back at the latest; never in the past.
        names: Nodes that it holds, as far as squeue named them.

    """

    job: QueuedJob
    until: float
    names: tuple[str, ...]


def depths(groups: Sequence[NodeGroup], jobs: Iterable[QueuedJob]) -> tuple[Depth, ...]:
    """Return what waits for each of the *groups* of one partition among *jobs* of any."""
    tasks, cores, accelerators = ([0.0] * len(groups) for _ in range(3))
    for job in jobs:
        if not groups or not waits(job) or groups[0].partition.name not in job.partitions:
            continue
        at = target(groups, job)
        many, limit = max(1, len(job.array_indices())), limit_s(job, groups[at])
        tasks[at] += many
        cores[at] += many * limit * cores_of(job, groups[at])
        accelerators[at] += many * limit * accelerators_of(job, groups[at])
    return tuple(
        Depth(int(count), core_s, accelerator_s)
        for count, core_s, accelerator_s in zip(tasks, cores, accelerators, strict=True)
    )


def holdings(jobs: Iterable[QueuedJob], known: Collection[str], now: float) -> list[Holding]:
    """Return the jobs that hold nodes and have an end; *known* are the names of all nodes."""
    found = []
    for job in jobs:
        if not holds(job):
            continue
        until = now
        if job.state.phase is not Phase.ENDING:
            if job.time_limit_s is None:
                continue
            until = max(now, (job.started or now) + job.time_limit_s)
        names = tuple(name for name in names_of(job.node_list) if name in known)
        found.append(Holding(job, until, names))
    return found


def releases(
    group: NodeGroup,
    available: Collection[Node],
    by_node: dict[str, list[Holding]],
    nameless: Iterable[Holding] = (),
) -> tuple[Release, ...]:
    """Return what comes free on the *available* nodes of *group*, by time.

    A job on nodes of several groups is shared out by nodes. What a drained or reserved node gives
    back is no capacity, and is left out.

    Args:
        group: Whose nodes.
        available: Those that take jobs.
        by_node: Which jobs hold each node.
        nameless: Jobs whose nodes squeue did not name, that count against this group.

    """
    shares: defaultdict[int, int] = defaultdict(int)
    held: dict[int, Holding] = {}
    for node in available:
        for holding in by_node.get(node.name, ()):
            shares[id(holding)] += 1
            held[id(holding)] = holding
    found: list[Release] = []
    for key, holding in held.items():
        part, whole = shares[key], len(holding.names)
        found.append(_release(holding, group, part, whole, nodes=part))
    if available:
        found += [_release(one, group, 1, 1, nodes=max(1, one.job.nodes)) for one in nameless]
    return _by_time(found, len(available))


def by_node(found: Iterable[Holding]) -> dict[str, list[Holding]]:
    """Return who holds each node."""
    index: defaultdict[str, list[Holding]] = defaultdict(list)
    for holding in found:
        for name in holding.names:
            index[name].append(holding)
    return index


def target(groups: Sequence[NodeGroup], job: QueuedJob) -> int:
    """Return which of *groups*, the largest first, a job counts against (see above)."""
    each = -(-asked_cores(job) // max(1, job.nodes))

    def miss(at: int) -> tuple[bool, bool, int]:
        group = groups[at]
        gives = accelerators_of(job, group) > 0
        wrong = not gives if job.tres.gpus else group.shape.accelerators > 0
        return wrong, each > (group.shape.cores or 0), at

    return min(range(len(groups)), key=miss)


def accelerators_of(job: QueuedJob, group: NodeGroup) -> int:
    """Return how many of the accelerators of *job* are of the group's type."""
    if not group.shape.accelerators:
        return 0
    if not job.tres.gpus_by_type:
        return job.tres.gpus
    family = family_in(group.shape.accelerator)
    return sum(
        count
        for kind, count in job.tres.gpus_by_type
        if kind == group.kind or (family and family_in(kind) == family)
    )


def waits(job: QueuedJob) -> bool:
    """Tell whether a job stands in the queue before a new one."""
    reason = job.reason.split(",")[0]
    return job.state.phase is Phase.WAITING and not job.node_list and reason not in NO_QUEUE


def holds(job: QueuedJob) -> bool:
    """Tell whether nodes are its; while they boot for it, too."""
    if job.state.phase is Phase.WAITING:
        return job.state.word in ("CONFIGURING", "POWER_UP_NODE") and bool(job.node_list)
    return job.state.phase in (Phase.RUNNING, Phase.ENDING)


def asked_cores(job: QueuedJob) -> int:
    """Return the cores that a job asks for in all."""
    return job.cores or job.tres.cpus


def cores_of(job: QueuedJob, group: NodeGroup) -> int:
    """Return the cores that a job would take of a group: of whole nodes, all."""
    whole = job.nodes * (group.shape.cores or 0) if group.whole_nodes else 0
    return max(asked_cores(job), whole)


def limit_s(job: QueuedJob, group: NodeGroup) -> int:
    """Return a job's time limit in seconds, or what bounds one that has none."""
    if job.time_limit_s is not None:
        return job.time_limit_s
    return group.partition.max_time_s or group.partition.default_time_s or WITHOUT_LIMIT_S


def names_of(text: str) -> list[str]:
    """Name the nodes of a list that squeue may have cut at the width of its column."""
    if text.count("[") > text.count("]"):
        text = text.rpartition(",")[0]
        text += "]" if text.count("[") > text.count("]") else ""
    try:
        return hostlist.expand(text, "node_list")
    except InvalidArgument:
        return []


def _release(holding: Holding, group: NodeGroup, part: int, whole: int, *, nodes: int) -> Release:
    job = holding.job
    return Release(
        at=holding.until,
        nodes=nodes,
        cores=asked_cores(job) * part // whole,
        accelerators=accelerators_of(job, group) * part // whole,
    )


def _by_time(found: Sequence[Release], most_nodes: int) -> tuple[Release, ...]:
    """Put together what comes at one time; later rather than sooner, where that is rounded."""
    merged = _merged(found, 0, most_nodes)
    for grid in _GRIDS_S:
        if len(merged) <= MOST_RELEASES:
            break
        merged = _merged(found, grid, most_nodes)
    return merged


def _merged(found: Iterable[Release], grid: int, most_nodes: int) -> tuple[Release, ...]:
    sums: defaultdict[float, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in found:
        at = one.at if not grid else float(-(-one.at // grid) * grid)
        for number, amount in enumerate((one.nodes, one.cores, one.accelerators)):
            sums[at][number] += amount
    return tuple(
        Release(at, min(nodes, most_nodes), cores, accelerators)
        for at, (nodes, cores, accelerators) in sorted(sums.items())
    )
