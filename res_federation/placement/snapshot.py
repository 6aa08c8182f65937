"""Everything a round may look at, frozen: one row for each group of like nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from res_federation.accounting.funds import Funds
from res_federation.model.capacity import FreeNodes
from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.governance import Governance
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import NOWHERE, DistanceTable, Moving

Floats = npt.NDArray[np.float64]


class ReleaseIn(NamedTuple):
    """So many nodes' worth comes free so many seconds after the snapshot was taken."""

    after_s: float
    nodes: float


class Profile(Sequence[ReleaseIn]):
    """A release profile kept as two arrays, by time: long ones are read once a round."""

    __slots__ = ("_after", "ends", "nodes", "now")

    def __init__(self, ends: Floats, nodes: Floats, now: float = 0.0) -> None:
        """Take when releases are, ascending, by the same clock as *now*, and nodes' worth.

        What is past already is now.  Nobody changes the arrays any more.
        """
        self.ends, self.nodes, self.now = ends, nodes, now
        self._after: Floats | None = None

    @property
    def after(self) -> Floats:
        """Seconds from now on, ascending."""
        if self._after is None:
            self._after = np.maximum(self.ends - self.now, 0.0)
        return self._after

    def __len__(self) -> int:
        """Return the number of releases."""
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> ReleaseIn: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ReleaseIn]: ...
    def __getitem__(self, place: int | slice) -> ReleaseIn | Sequence[ReleaseIn]:
        """Return one release, or several."""
        if isinstance(place, slice):
            return Profile(self.ends[place], self.nodes[place], self.now)
        return ReleaseIn(float(self.after[place]), float(self.nodes[place]))

    def __eq__(self, other: object) -> bool:
        """Tell whether *other* has the same releases, whatever keeps them."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Hash as the tuple of the releases does."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Write the releases as a tuple of them is written."""
        return repr(tuple(self))


class Still:
    """What stays of a row while only time passes: made anew with every other change of it."""

    __slots__ = ()


class First(NamedTuple):
    """Somebody else's job that waits first in a site's queue: its scheduler keeps nodes for it."""

    nodes: int
    cores_per_node: int
    accelerators_per_node: int
    limit_s: int


@dataclass(frozen=True, slots=True)
class Row:
    """One group of like nodes of one partition, as a round sees it.

    A member without partitions has one row, ``site/-/-``, with problem NO_PARTITIONS: every
    member is considered, and says why it is not chosen.

    Attributes:
        partition: ``site/cluster/partition``.
        names: Words that mean this partition when a pinned job names one (name, aliases).
        site_names: Words that pin a job here (site id, cluster, machine), lower case.
        problem: FITS, or what keeps the whole row from taking jobs now or for good.
        problem_have: Number that goes with the problem (age of the report in seconds), or -1.
        shape: What one node has.
        family: Accelerator family of the shape, or "".
        nodes: Declared nodes; -1 where not known.
        available: Nodes that are up now.
        free: Histogram of free amounts, runs already ordered but not yet reported taken off.
        releases: Release profile, by time.
        backlog_node_s: Node-seconds that wait in the site's queue before a new job.
        waiting: Runs of the federation that wait there.
        max_time_s: Longest time limit, or None.
        max_nodes: Most nodes of one job, or None.
        max_array: Most tasks of an array, or None.
        features: Constraint words that the nodes have.
        dialect: How the site wants its scripts, or None where nothing is asked of them.
        needs_account: Whether a job must name its account where the dialect wants one.
        node_watts: Power of a busy node, or None where it is not known.
        grams_per_kwh: CO2 of the electricity there, cooling counted in, or None.
        shared: Whether others than the federation wait or run there, now or lately.
        places: Whether runs of the federation can wait there, and be taken back.
        arranges: Whether they can take one another's places.
        others_node_s: Node-seconds of others that wait, where it is shared.
        ahead: Node-seconds of others before each place that the federation has there, by age.
        first: Who waits first there, if he is somebody else.
        governance: Under whose rule the site is, or None where nothing is known.
        still: Rows that have the same one differ in nothing but their releases.

    """

    partition: PartitionId
    names: tuple[str, ...]
    site_names: tuple[str, ...]
    problem: Code
    shape: NodeShape
    nodes: int
    problem_have: int = -1
    family: str = ""
    available: int = 0
    free: tuple[FreeNodes, ...] = ()
    releases: Sequence[ReleaseIn] = ()
    backlog_node_s: float = 0.0
    waiting: int = 0
    max_time_s: int | None = None
    max_nodes: int | None = None
    max_array: int | None = None
    features: tuple[str, ...] = ()
    dialect: Dialect | None = field(default=None, repr=False)
    needs_account: bool = False
    shared: bool = False
    places: bool = False
    arranges: bool = False
    others_node_s: float = 0.0
    ahead: tuple[float, ...] = ()
    first: First | None = None
    node_watts: float | None = None
    grams_per_kwh: float | None = None
    governance: Governance | None = field(default=None, repr=False)
    still: Still | None = field(default=None, init=False, repr=False, compare=False)


_FIGURES = [one.name for one in fields(Row) if one.init]
_figures = attrgetter(*_FIGURES)
_RELEASES = _FIGURES.index("releases")


def kept(row: Row) -> Row:
    """Note on a row that was just made that its like will come again, later; return it."""
    object.__setattr__(row, "still", Still())
    return row


def released(row: Row, releases: Sequence[ReleaseIn]) -> Row:
    """Return a row that was `kept` with another release profile: all else is known to be as was."""
    figures = list(_figures(row))
    figures[_RELEASES] = releases
    later = Row(*figures)
    object.__setattr__(later, "still", row.still)
    return later


@dataclass(frozen=True, slots=True)
class Ordered:
    """A job that was sent to a partition and does not show in the site's report yet."""

    job: Job
    partition: PartitionId


class Early(NamedTuple):
    """A run that should end before its limit.

    Attributes:
        partition: Where.
        request: What it holds.
        limit_s: Seconds from the snapshot until its limit.
        expected_s: Seconds until it is expected to end.

    """

    partition: PartitionId
    request: ResourceRequest
    limit_s: float
    expected_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All the latest reports at one version. Frozen and picklable.

    Attributes:
        version: Counts up with every change of what a round may see.
        at: UTC seconds.
        rows: By partition identifier, then by shape: the order never depends on arrival.
        distances: The network between sites.
        ordered: Jobs whose capacity is spent before any other job is considered.
        moving: Input data on its way for jobs that are placed and have not begun.
        factors: Speeds observed, relative to an A100, by account and family.
        parity: Core hours that a member (site identifier) has given, less those it has taken.
        shares: Fair share factor of a user, above 0 and at most 1; 1 for one who is not here.
        early: Runs that should end before their limits, where a start is to be foretold.
        residency: Classes of data: a job of one that is not among them goes nowhere.
        funds: What projects have left, or None where nobody keeps accounts: all may.

    """

    version: int
    at: float
    rows: tuple[Row, ...]
    distances: DistanceTable = field(default=NOWHERE)
    ordered: tuple[Ordered, ...] = ()
    moving: tuple[Moving, ...] = ()
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    parity: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    early: Sequence[Early] = ()
    residency: Residency = NO_CLASSES
    funds: Funds | None = None
