"""What a site has free: the capacity report, with sequence, time and time to live."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import PartitionId, RunToken, SiteId
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
class NodeStates:
    """How the declared nodes of a group stand; each node counts once.

    Attributes:
        idle: Up, with nothing on it.
        mixed: Up, partly given away.
        allocated: Up, given away in whole.
        drained: Taken out by an administrator, with or without jobs that still run.
        down: Broken, or not answering.
        reserved: Kept for a reservation or for maintenance now.
        other: Switched off, booting, or in a state that is not known here.

    """

    idle: int = 0
    mixed: int = 0
    allocated: int = 0
    drained: int = 0
    down: int = 0
    reserved: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A time to come in which nodes are kept for others.

    Attributes:
        name: The site's own name for it.
        start: UTC seconds.
        end: UTC seconds.
        nodes: Nodes of the group that it covers.
        maintenance: Whether it is for maintenance.

    """

    name: str
    start: float
    end: float
    nodes: int
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class QosLimit:
    """What a quality of service allows; None for no limit.

    Attributes:
        name: As ``--qos`` spells it.
        max_time_s: Longest time limit.
        max_nodes: Most nodes of one job.
        max_jobs: Most running jobs of one user.
        max_submitted: Most jobs of one user that run or wait.
        max_cores: Most cores of one user at a time.
        max_accelerators: Most accelerators of one user at a time.

    """

    name: str
    max_time_s: int | None = None
    max_nodes: int | None = None
    max_jobs: int | None = None
    max_submitted: int | None = None
    max_cores: int | None = None
    max_accelerators: int | None = None


@dataclass(frozen=True, slots=True)
class License:
    """Licences that a batch system counts: so many in all, so many free."""

    name: str
    total: int
    free: int


MOST_WAITING = 32
"""Of a queue, so many jobs are told: whoever looks further ahead guesses by the work in all."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits in a partition's queue; tasks of an array are one each.

    Attributes:
        nodes: Nodes that it asks for.
        cores: Cores in all.
        accelerators: Accelerators in all.
        limit_s: Its time limit.
        token: Which run of the federation it is, or "" for somebody else's job.

    """

    nodes: int
    cores: int
    accelerators: int
    limit_s: int
    token: RunToken | None = None


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
        states: How the declared nodes stand.
        windows: Reservations and maintenance to come, by start.
        qos: Qualities of service that the partition takes, with their limits.
        queue: The first `MOST_WAITING` jobs that wait, in the order in which the site looks at
            them; runs of the federation with their tokens.
        others: Jobs that wait or run and are not the federation's.

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
    states: NodeStates = NodeStates()
    windows: tuple[Window, ...] = ()
    qos: tuple[QosLimit, ...] = ()
    queue: tuple[WaitingJob, ...] = ()
    others: int = 0


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """What one site has, at one moment.

    Attributes:
        site: Whose it is.
        sequence: Counts up within one life of the agent.
        taken_at: UTC seconds at the site when it was taken.
        time_to_live_s: Past this age nothing new is sent to the site.
        partitions: One for each group of like nodes.
        licenses: What the batch system counts by licence.
        problem: Why the figures are old though the agent is well ("slurmctld does not answer"),
            or "". With a problem nothing new is sent to the site.
        measured_at: UTC seconds at the site when the figures were measured; None for *taken_at*.
        needs_account: Whether users must name their account at the site where it wants one: the
            agent knows none to charge.
        arranges: Whether runs of the federation that wait there can be put into another order
            among themselves, each in the place of another (`model.order.Arrange`).

    """

    site: SiteId
    sequence: int
    taken_at: float
    time_to_live_s: float
    partitions: tuple[PartitionCapacity, ...]
    licenses: tuple[License, ...] = ()
    problem: str = ""
    measured_at: float | None = None
    needs_account: bool = False
    arranges: bool = False

    @property
    def lag_s(self) -> float:
        """Seconds by which the figures are older than the report; both by the site's clock."""
        if self.measured_at is None:
            return 0.0
        return max(0.0, self.taken_at - self.measured_at)
