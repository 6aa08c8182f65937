"""What a site has free: the capacity report, with sequence, time and time to live."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import PartitionId, SiteId
from res_federation.model.resources import NodeShape


@dataclass(frozen=True, slots=True)
class FreeNodes:
    """So many nodes with the same amounts free: one bar of the histogram.

    A node with nothing free is in no bar. ``memory_mib`` is -1 where memory is not counted.
    """

    nodes: int
    cores: int
    memory_mib: int
    accelerators: int


@dataclass(frozen=True, slots=True)
class Release:
    """What comes free when a running job reaches its time limit.

    Attributes:
        at: UTC seconds.
        nodes: Nodes that the job touches.
        cores: Cores in all.
        accelerators: Accelerators in all.

    """

    at: float
    nodes: int
    cores: int
    accelerators: int


@dataclass(frozen=True, slots=True)
class PartitionCapacity:
    """What one group of like nodes of one partition has, now.

    A partition with nodes of several shapes reports one of these for each shape.

    Attributes:
        id: Which partition.
        shape: What one node of this group has in all.
        nodes: Nodes in this group, whatever their state (declared).
        available: Nodes that are up and not drained, reserved or down.
        up: Whether the partition takes jobs.
        free: Histogram of free amounts over the available nodes.
        releases: When running jobs reach their limits, by time.
        pending_jobs: Jobs waiting in the site's queue for this partition.
        pending_core_s: Core-seconds they ask for (cores x time limit).
        pending_accelerator_s: Accelerator-seconds they ask for.
        max_time_s: Longest time limit now, or None.
        max_nodes: Most nodes of one job now, or None.
        max_array: Most tasks of an array, or None.
        features: Constraint words that the nodes have.

    """

    id: PartitionId
    shape: NodeShape
    nodes: int
    available: int
    up: bool = True
    free: tuple[FreeNodes, ...] = ()
    releases: tuple[Release, ...] = ()
    pending_jobs: int = 0
    pending_core_s: float = 0.0
    pending_accelerator_s: float = 0.0
    max_time_s: int | None = None
    max_nodes: int | None = None
    max_array: int | None = None
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """What one site has, at one moment.

    Attributes:
        site: Whose it is.
        sequence: Counts up within one life of the agent.
        taken_at: UTC seconds at the site when it was taken.
        time_to_live_s: Past this age nothing new is sent to the site.
        partitions: One for each group of like nodes.

    """

    site: SiteId
    sequence: int
    taken_at: float
    time_to_live_s: float
    partitions: tuple[PartitionCapacity, ...]
