"""Like nodes of a partition, put together: what each has, and what of it is free."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from res_federation.model.accelerators import family_in
from res_federation.model.capacity import FreeNodes, NodeStates, Window
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.slurm import gpu_types
from res_federation.slurm.nodes import Node
from res_federation.slurm.partitions import SlurmPartition
from res_federation.slurm.reservations import Reservation

_UP = ("idle", "mixed", "allocated")


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes of one partition with the same cores, memory, accelerators and features.

    Attributes:
        partition: Whose.
        shape: What one node has for a job of this partition.
        kind: The site's own type word of its accelerators.
        features: Constraint words.
        nodes: The nodes, whatever their state.
        whole_nodes: Whether a job always gets whole nodes here.

    """

    partition: SlurmPartition
    shape: NodeShape
    kind: str
    features: tuple[str, ...]
    nodes: tuple[Node, ...]
    whole_nodes: bool = False


def groups(
    partition: SlurmPartition,
    nodes: Iterable[Node],
    declared: Partition | None,
    *,
    whole_nodes: bool = False,
) -> tuple[NodeGroup, ...]:
    """Put the *nodes* of *partition* together by what they have; the largest group first."""
    found: defaultdict[tuple[NodeShape, str, tuple[str, ...]], list[Node]] = defaultdict(list)
    for node in nodes:
        kind, count = _accelerator(node, declared)
        shape = _shape(node, partition, kind, count, declared)
        found[shape, kind, tuple(sorted(node.features))].append(node)
    whole = whole_nodes or partition.whole_nodes
    made = [
        NodeGroup(partition, shape, kind, features, tuple(members), whole)
        for (shape, kind, features), members in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (-len(one.nodes), repr(one.shape), one.features)))


def _accelerator(node: Node, declared: Partition | None) -> tuple[str, int]:
    """Return type word and count of the accelerators that the node counts as having."""
    if not node.gpus:
        return "", 0
    family = family_in(declared.shape.accelerator) if declared is not None else ""
    if family:
        for kind, count in node.gpus:
            if family_in(kind) == family:
                return kind, count
    return node.gpus[0]


def _shape(
    node: Node, partition: SlurmPartition, kind: str, count: int, declared: Partition | None
) -> NodeShape:
    told = declared.shape if declared is not None else None
    model = gpu_types.model(kind, told) if count else gpu_types.GpuModel("")
    limit = partition.max_memory_per_node_mib
    memory = node.memory_mib
    return NodeShape(
        cores=min(node.cpus, partition.max_cpus_per_node or node.cpus),
        memory_mib=memory if memory is None or limit is None else min(memory, limit),
        accelerator=model.name,
        accelerators=count,
        accelerator_memory_mib=model.memory_mib,
        # a node that never came up has not told its own
        architecture=node.architecture or (told.architecture if told else "x86_64"),
    )


def free(
    group: NodeGroup, available: Iterable[Node], *, memory_counted: bool
) -> tuple[FreeNodes, ...]:
    """Return the histogram of what is free on the *available* nodes; the most cores first.

    A node without a free core can take no job, whatever else it has, and is in no bar.
    """
    bars: Counter[tuple[int, int, int]] = Counter()
    most_cores, most_memory = group.shape.cores or 0, group.shape.memory_mib
    for node in available:
        taken = node.alloc_cpus or any(count for _, count in node.alloc_gpus)
        if group.whole_nodes and (taken or node.state.kind != "idle"):
            continue
        cores = min(node.free_cpus, most_cores)
        left = node.free_memory_mib
        counted = memory_counted and left is not None and most_memory is not None
        memory = min(left or 0, most_memory or 0) if counted else -1
        if cores > 0 and memory != 0:
            bars[cores, memory, min(node.free_gpus(group.kind), group.shape.accelerators)] += 1
    return tuple(
        FreeNodes(count, cores, memory, accelerators)
        for (cores, memory, accelerators), count in sorted(bars.items(), reverse=True)
    )


def states(nodes: Iterable[Node], kept: Collection[str]) -> NodeStates:
    """Count the nodes by how they stand; *kept* are the names of those in a reservation now."""
    kinds = Counter(
        "reserved" if node.name in kept and node.state.kind in _UP else node.state.kind
        for node in nodes
    )
    return NodeStates(**kinds)


def windows(
    nodes: Sequence[Node], reservations: Iterable[Reservation], now: float
) -> tuple[Window, ...]:
    """Return what is to come over *nodes*, by start."""
    names = {node.name for node in nodes}
    found = [
        Window(one.name, one.start, one.end, len(names.intersection(one.nodes)), one.maintenance)
        for one in reservations
        if one.end > now and not one.covers(now) and not names.isdisjoint(one.nodes)
    ]
    return tuple(sorted(found, key=lambda window: (window.start, window.name)))
