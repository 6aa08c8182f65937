"""From what a cluster says of itself to what each group of like nodes has, now.

A node with accelerators of two types has one of them here: the one that the site file declares,
else the first in slurm.conf. A node may be in several partitions: what runs on it takes from each,
and gives back to each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from res_federation.model.capacity import PartitionCapacity, QosLimit
from res_federation.model.identifiers import PartitionId, SiteId, partition_id
from res_federation.model.site import Partition
from res_federation.slurm import node_groups, queue_depth, queue_front
from res_federation.slurm.node_groups import NodeGroup
from res_federation.slurm.nodes import Node
from res_federation.slurm.partitions import SlurmPartition
from res_federation.slurm.queue_depth import Depth, Holding
from res_federation.slurm.queue_front import Front
from res_federation.slurm.reservations import Reservation
from res_federation.slurm.squeue import QueuedJob


def capacities(  # noqa: PLR0913 - one argument for each thing that Slurm was asked
    site: SiteId,
    cluster: str,
    nodes: Sequence[Node],
    partitions: Sequence[SlurmPartition],
    jobs: Sequence[QueuedJob],
    reservations: Sequence[Reservation] = (),
    *,
    max_array: int | None,
    now: float,
    declared: Mapping[PartitionId, Partition],
    qos: Sequence[QosLimit] = (),
    memory_counted: bool = True,
    whole_nodes: bool = False,
    whose: Mapping[str, str] | None = None,
) -> tuple[PartitionCapacity, ...]:
    """Return what each group of like nodes of each partition has.

    Args:
        site: Whose cluster it is.
        cluster: Its name as it stands in partition ids.
        nodes: All its nodes.
        partitions: All its partitions; the answer keeps their order.
        jobs: Everything that waits or runs.
        reservations: Now and to come.
        max_array: Most tasks of an array, or None.
        now: UTC seconds by the site's clock.
        declared: Partitions of the site file: they name accelerators that Slurm leaves open.
        qos: Limits of the qualities of service.
        memory_counted: Whether Slurm gives jobs memory; free memory is -1 where it does not.
        whole_nodes: Whether every job gets whole nodes (``select/linear``).
        whose: Local account of each run of the federation, by its token, which is its jobs' name.

    """
    members, found = _members(nodes), list[PartitionCapacity]()
    held = queue_depth.holdings(jobs, frozenset(node.name for node in nodes), now)
    cluster_now = _Now(
        at=now,
        reservations=reservations,
        kept=frozenset(name for one in reservations if one.covers(now) for name in one.nodes),
        held=queue_depth.by_node(held),
        max_array=max_array,
        memory_counted=memory_counted,
        qos=qos,
    )
    nameless = [holding for holding in held if not holding.names]
    for partition in partitions:
        part_id, its = partition_id(site, cluster, partition.name), members.get(partition.name, ())
        groups = node_groups.groups(partition, its, declared.get(part_id), whole_nodes=whole_nodes)
        depths = queue_depth.depths(groups, jobs)
        fronts = queue_front.fronts(groups, jobs, whose or {})
        strays = _strays(groups, nameless)
        found += [
            _capacity(part_id, group, depth, fronts[number], strays[number], cluster_now)
            for number, (group, depth) in enumerate(zip(groups, depths, strict=True))
        ]
    return tuple(found)


def _members(nodes: Sequence[Node]) -> Mapping[str, list[Node]]:
    members: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for name in node.partitions:
            members[name].append(node)
    return members


@dataclass(frozen=True, slots=True)
class _Now:
    """What holds for every group of the cluster at this moment."""

    at: float
    reservations: Sequence[Reservation]
    kept: frozenset[str]
    held: dict[str, list[Holding]]
    max_array: int | None
    memory_counted: bool
    qos: Sequence[QosLimit]


def _capacity(
    part_id: PartitionId,
    group: NodeGroup,
    depth: Depth,
    front: Front,
    strays: Sequence[Holding],
    now: _Now,
) -> PartitionCapacity:
    partition = group.partition
    own, offered = _limits(partition, now.qos)
    up = [node for node in group.nodes if node.state.up and node.name not in now.kept]
    return PartitionCapacity(
        id=part_id,
        shape=group.shape,
        nodes=len(group.nodes),
        available=len(up),
        up=partition.up,
        free=node_groups.free(group, up, memory_counted=now.memory_counted),
        releases=queue_depth.releases(group, up, now.held, strays),
        pending_jobs=depth.jobs,
        pending_core_s=depth.core_s,
        pending_accelerator_s=depth.accelerator_s,
        max_time_s=_least(partition.max_time_s, own.max_time_s),
        max_nodes=_least(partition.max_nodes, own.max_nodes),
        max_array=now.max_array,
        features=group.features,
        states=node_groups.states(group.nodes, now.kept),
        windows=node_groups.windows(group.nodes, now.reservations, now.at),
        qos=offered,
        queue=front.queue,
        others=front.others,
    )


def _limits(
    partition: SlurmPartition, qos: Sequence[QosLimit]
) -> tuple[QosLimit, tuple[QosLimit, ...]]:
    """Return the limits of the partition's own QoS, and those of the ones it takes."""
    own = next((one for one in qos if one.name == partition.qos), QosLimit(""))
    offered = tuple(
        one
        for one in qos
        if one.name not in partition.deny_qos
        and (not partition.allow_qos or one.name in partition.allow_qos)
    )
    return own, offered


def _strays(groups: Sequence[NodeGroup], nameless: Sequence[Holding]) -> list[list[Holding]]:
    """Share out jobs whose nodes are not named: to the group that each would count against."""
    shared: list[list[Holding]] = [[] for _ in groups]
    for holding in nameless:
        if groups and groups[0].partition.name in holding.job.partitions:
            shared[queue_depth.target(groups, holding.job)].append(holding)
    return shared


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
