"""What of a capacity report is believed: no more than the catalogue says that the site has.

An agent is the truth about its site, within bounds: what is declared in the catalogue bounds what
is believed, with a tolerance for drift (`docs/security.md`). What is over is cut off, never added,
and told; an honest report comes back as the very same object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from operator import attrgetter

from res_federation.model.accelerators import family_in
from res_federation.model.capacity import (
    CapacityReport,
    FreeNodes,
    PartitionCapacity,
    Release,
    WaitingJob,
)
from res_federation.model.identifiers import PartitionId
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition

MOST_PARTS = 2_000
"""Groups of like nodes of one site."""
MOST_NODES = 20_000
"""Nodes of a partition whose number nobody declared."""
MOST_CORES, MOST_MEMORY_MIB, MOST_ACCELERATORS = 4_096, 64 << 20, 32
"""Of a node whose shape nobody declared."""
MOST_BARS, MOST_RELEASES = 20_000, 200_000
"""Bars of the histogram of free nodes, and running jobs, of one group."""
MOST_WORK_S = 1e15
"""Core-seconds that wait in a queue."""
MOST_LIMIT = 10**9
"""Seconds of a time limit, and counts of one job."""
EXTRA_NODES, LEAST_EXTRA = 0.10, 2
"""So much may a partition have grown since it was declared: a tenth, or two nodes."""
FURTHER, FURTHER_BESIDE_ACCELERATORS = 3, 16
"""Nodes of other shapes than the declared one, as a multiple of the declared nodes."""
TIMES_CORES, TIMES_MEMORY = 4, 16
"""Cores may be threads, and a partition may have nodes that are larger than most of it."""
MOST_SKEW_S = 300.0
"""A clock that differs by more is told of."""
MOST_AHEAD_S = 86_400.0
"""Sequences begin at the agent's clock in milliseconds: one of a later day is not believed."""

Doubts = list[str]


def believed(
    report: CapacityReport, declared: Mapping[PartitionId, Partition], at: float
) -> tuple[CapacityReport, tuple[str, ...]]:
    """Return the report as it is believed, and what of it is not, for people.

    Args:
        report: As the agent sent it.
        declared: The site's partitions as the catalogue has them; none for a site that declares
            none: then absolute bounds hold.
        at: UTC seconds by the broker's clock.

    """
    doubts: Doubts = []
    parts: list[PartitionCapacity] = []
    nodes_left: dict[tuple[PartitionId, bool], int] = {}
    for part in report.partitions[:MOST_PARTS]:
        if part.id in declared or not declared:
            parts.append(_part(part, declared.get(part.id), nodes_left, doubts))
        else:
            doubts.append(f"{part.id} is not in the catalogue")
    if len(report.partitions) > MOST_PARTS:
        doubts.append(f"{len(report.partitions)} groups of nodes: the most is {MOST_PARTS}")
    skew = report.taken_at - at
    if abs(skew) > MOST_SKEW_S:
        side = "ahead" if skew > 0 else "behind"
        doubts.append(f"its clock is more than {MOST_SKEW_S / 60:.0f} minutes {side}")
    same = len(parts) == len(report.partitions) and all(
        one is other for one, other in zip(parts, report.partitions, strict=True)
    )
    return (report if same else replace(report, partitions=tuple(parts))), tuple(doubts)


def from_the_future(report: CapacityReport, at: float) -> bool:
    """Tell whether its sequence is one that no clock explains: it would silence all later ones."""
    return report.sequence > (at + MOST_AHEAD_S) * 1000


def _part(
    part: PartitionCapacity,
    declared: Partition | None,
    nodes_left: dict[tuple[PartitionId, bool], int],
    doubts: Doubts,
) -> PartitionCapacity:
    shape = _shape(part, declared, doubts)
    key = part.id, declared is None or shape.accelerators == declared.shape.accelerators
    left = nodes_left.setdefault(key, _most_nodes(declared, alike=key[1]))
    nodes = min(part.nodes, left)
    if part.nodes > left:
        known = "" if declared is None or declared.nodes is None else f": {declared.nodes} declared"
        doubts.append(f"{part.id}: {part.nodes} nodes{known}, {left} are believed")
    nodes_left[key] = left - nodes
    if (
        nodes == part.nodes
        and shape is part.shape
        and part.available <= nodes
        and _consistent(part)
    ):
        return part
    return _cut(part, shape, nodes, doubts)


def _most_nodes(declared: Partition | None, *, alike: bool) -> int:
    """Return how many nodes of a partition are believed: of the declared kind, or of others."""
    if declared is None or declared.nodes is None:
        return MOST_NODES
    if alike:
        return declared.nodes + max(LEAST_EXTRA, ceil(declared.nodes * EXTRA_NODES))
    times = FURTHER_BESIDE_ACCELERATORS if declared.shape.accelerators else FURTHER
    return max(LEAST_EXTRA, times * declared.nodes)


def _shape(part: PartitionCapacity, declared: Partition | None, doubts: Doubts) -> NodeShape:
    """Return the shape of a node within its bounds: the very same where it is."""
    shape, told = part.shape, declared.shape if declared is not None else NodeShape(None, None)
    cores = _most(told.cores, TIMES_CORES, MOST_CORES)
    memory = _most(told.memory_mib, TIMES_MEMORY, MOST_MEMORY_MIB)
    devices = MOST_ACCELERATORS
    if declared is not None and (told.accelerators or not told.accelerator):
        devices = told.accelerators
    changes: dict[str, object] = {}
    if shape.cores is not None and not 0 <= shape.cores <= cores:
        doubts.append(
            f"{part.id}: nodes of {shape.cores} cores, {told.cores or cores} are believed"
        )
        changes["cores"] = told.cores or cores
    if shape.memory_mib is not None and not 0 <= shape.memory_mib <= memory:
        doubts.append(f"{part.id}: nodes of {shape.memory_mib} MiB are not believed")
        changes["memory_mib"] = told.memory_mib or memory
    if not 0 <= shape.accelerators <= devices:
        doubts.append(
            f"{part.id}: nodes of {shape.accelerators} accelerators, {devices} are believed"
        )
        changes["accelerators"] = devices
        if not devices:
            changes |= {"accelerator": "", "accelerator_memory_mib": None}
    elif shape.accelerators and told.accelerator and not _alike(shape, told):
        doubts.append(
            f"{part.id}: {shape.accelerator}, where {told.accelerator} is declared and believed"
        )
        changes |= {
            "accelerator": told.accelerator,
            "accelerator_memory_mib": told.accelerator_memory_mib,
        }
    return replace(shape, **changes) if changes else shape  # type: ignore[arg-type]


def _alike(shape: NodeShape, told: NodeShape) -> bool:
    """Tell whether an accelerator may be the declared one: a family that is not known may be."""
    if shape.accelerator == told.accelerator:
        return not _larger(shape.accelerator_memory_mib, told.accelerator_memory_mib)
    family, declared = family_in(shape.accelerator), family_in(told.accelerator)
    return not family or not declared or family == declared


def _larger(memory: int | None, declared: int | None) -> bool:
    return memory is not None and declared is not None and memory > 2 * declared


def _most(declared: int | None, times: int, otherwise: int) -> int:
    return otherwise if not declared else declared * times


def _consistent(part: PartitionCapacity) -> bool:
    """Tell whether the figures of a group can be true together."""
    shape, states = part.shape, part.states
    cores, devices = shape.cores, shape.accelerators
    counts = (
        part.available, part.pending_jobs, part.others, states.idle, states.mixed,
        states.allocated, states.drained, states.down, states.reserved, states.other,
    )  # fmt: skip
    free = part.free
    return (
        min(counts) >= 0
        and len(free) <= MOST_BARS
        and len(part.releases) <= MOST_RELEASES
        and 0 <= part.pending_core_s <= MOST_WORK_S
        and 0 <= part.pending_accelerator_s <= MOST_WORK_S
        and all(limit is None or 0 <= limit <= MOST_LIMIT for limit in _limits(part))
        and not any(
            max(one.nodes, one.cores, one.accelerators, one.limit_s) > MOST_LIMIT
            or min(one.nodes, one.cores, one.accelerators, one.limit_s) < 0
            for one in part.queue
        )
        and sum([bar.nodes for bar in free]) <= part.available
        and _bounds(free, part.available, cores, devices)
        and _bounds(
            part.releases, part.nodes,
            None if cores is None else cores * part.nodes, devices * part.nodes,
        )
    )  # fmt: skip


_NODES, _CORES, _DEVICES = map(attrgetter, ("nodes", "cores", "accelerators"))


def _bounds(
    amounts: Sequence[FreeNodes | Release], nodes: int, cores: int | None, devices: int
) -> bool:
    """Tell whether no amount is negative or over its bound; a large site has thousands."""
    for read, most in ((_NODES, nodes), (_CORES, cores), (_DEVICES, devices)):
        values = [*map(read, amounts)]
        if values and (min(values) < 0 or (most is not None and max(values) > most)):
            return False
    return True


def _cut(
    part: PartitionCapacity, shape: NodeShape, nodes: int, doubts: Doubts
) -> PartitionCapacity:
    """Return the group within its bounds."""
    nodes = max(0, nodes)
    available = max(0, min(part.available, nodes))
    if len(part.free) > MOST_BARS or len(part.releases) > MOST_RELEASES:
        doubts.append(f"{part.id}: more bars or running jobs than are looked at")
    free = tuple(_free(part.free[:MOST_BARS], shape, available))
    if part.nodes == nodes and shape is part.shape and free != part.free:
        doubts.append(f"{part.id}: more is free than there is")
    states = part.states
    return replace(
        part,
        shape=shape,
        nodes=nodes,
        available=available,
        free=free,
        releases=tuple(_releases(part.releases[:MOST_RELEASES], shape, nodes)),
        pending_jobs=max(0, part.pending_jobs),
        pending_core_s=_within(part.pending_core_s),
        pending_accelerator_s=_within(part.pending_accelerator_s),
        others=max(0, part.others),
        queue=tuple(_waiting(part.queue)),
        max_time_s=_bounded(part.max_time_s),
        max_nodes=_bounded(part.max_nodes),
        max_array=_bounded(part.max_array),
        states=replace(
            states, **{name: max(0, getattr(states, name)) for name in states.__slots__}
        ),
    )


def _within(work_s: float) -> float:
    return min(MOST_WORK_S, work_s) if work_s >= 0 else 0.0  # a NaN is not


def _limits(part: PartitionCapacity) -> tuple[int | None, ...]:
    return part.max_time_s, part.max_nodes, part.max_array


def _bounded(limit: int | None) -> int | None:
    return None if limit is None else _count(limit)


def _count(number: int) -> int:
    return max(0, min(number, MOST_LIMIT))


def _waiting(queue: Sequence[WaitingJob]) -> Iterator[WaitingJob]:
    for one in queue:
        yield WaitingJob(
            _count(one.nodes), _count(one.cores), _count(one.accelerators),
            _count(one.limit_s), one.token,
        )  # fmt: skip


def _free(bars: Sequence[FreeNodes], shape: NodeShape, available: int) -> Iterator[FreeNodes]:
    left = available
    for bar in bars:
        nodes = min(left, bar.nodes)
        if nodes <= 0:
            continue
        left -= nodes
        cores = max(0, bar.cores if shape.cores is None else min(bar.cores, shape.cores))
        memory = bar.memory_mib
        if shape.memory_mib is not None:
            memory = min(memory, shape.memory_mib)
        yield FreeNodes(nodes, cores, memory, max(0, min(bar.accelerators, shape.accelerators)))


def _releases(releases: Sequence[Release], shape: NodeShape, nodes: int) -> Iterator[Release]:
    for one in releases:
        cores = max(0, one.cores if shape.cores is None else min(one.cores, shape.cores * nodes))
        devices = max(0, min(one.accelerators, shape.accelerators * nodes))
        yield Release(one.at, max(0, min(one.nodes, nodes)), cores, devices)
