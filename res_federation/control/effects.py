"""Everything a shell can be told to do; it persists before it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from res_federation.accounting.ledger import Entry
from res_federation.accounting.records import Grant, Membership, Pool, Project
from res_federation.model.audit import AuditEntry
from res_federation.model.forecast import Forecast, Outcome
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId
from res_federation.model.job import Job
from res_federation.placement.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class JobChanged:
    """Append an event about a job and write its row, in one transaction.

    Attributes:
        job: The job itself; its row is written as it stands at the end of the step.
        revision: Number of the event: unique, ascending.
        kind: A stable word: ``submitted``, ``placed``, ``running``, ``completed``…
        at: UTC seconds.
        data: What a reader of the log wants to know beside the row.
        new: Whether the row does not exist yet.
        learnt: What is known of its user's run times from now on (`control.history`), or None
            where that is as it was; written with it.
        outcome: What became of its forecast, if it has just started; written with it.
        entries: Of the ledger, what its run reserved or used; written with it.

    """

    job: Job
    revision: int
    kind: str
    at: float
    data: dict[str, str | int | float] = field(default_factory=dict)
    new: bool = False
    learnt: tuple[float, ...] | None = None
    outcome: Outcome | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class BooksChanged:
    """Write down an administrator's act: the record that it made or changed, and its entries."""

    kind: str
    at: float
    by: str
    pool: Pool | None = None
    project: Project | None = None
    member: Membership | None = None
    grant: Grant | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """Append an event about a site and write its row (drained or not, why, by whom)."""

    site: SiteId
    revision: int
    kind: str
    at: float
    drained: bool
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """Keep the list of partitions that packed decisions refer to by *id*."""

    id: bytes
    partitions: tuple[PartitionId, ...]


@dataclass(frozen=True, slots=True)
class JobHeld:
    """Tell watchers why a job still waits; not written, for a restart decides it anew."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobTold:
    """Write down what a job that waits was told of when it should start."""

    job: Job
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class ClassesHeld:
    """Tell those who watch single jobs of these classes that the reason is another one now."""

    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class SiteSeen:
    """Tell watchers of capacity that a site reported, came or went. Nothing is written."""

    site: SiteId


@dataclass(frozen=True, slots=True)
class RunRound:
    """Place these jobs on this snapshot and come back with PlanReady or RoundFailed.

    Attributes:
        snapshot: Capacity.
        jobs: In any order; a view of all that wait where the policy starts jobs late.
        sweep: Whether to look at jobs too for which nothing has changed.

    """

    snapshot: Snapshot
    jobs: Sequence[Job]
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start a run at a site, once, whatever happens; a fenced one only begins when it is let.

    In the site's queue it stands as if it had come *yields_s* later.
    """

    token: RunToken
    job: JobId
    fenced: bool = False
    yields_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CancelRun:
    """End a run, or one task of it."""

    token: RunToken
    task: int | None = None


@dataclass(frozen=True, slots=True)
class WithdrawRuns:
    """Take runs back that surely have not begun, so that they can be placed elsewhere."""

    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class ArrangeRuns:
    """Let waiting runs of a partition stand in this order, in the places that they have."""

    partition: PartitionId
    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class RenewLeases:
    """Renew the leases of all runs held, counted from the report with this sequence."""

    sequence: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class BeginRuns:
    """It is on disk that payloads of these fenced runs begin: let them."""

    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class ForgetRuns:
    """The end of these runs is on disk: the agent may drop them."""

    tokens: tuple[RunToken, ...]


Order = StartRun | CancelRun | WithdrawRuns | ArrangeRuns | RenewLeases | BeginRuns | ForgetRuns


@dataclass(frozen=True, slots=True)
class SendToSite:
    """Send orders to a site, in this order; lost ones are repeated by a later report."""

    site: SiteId
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send Ticked at this time, at the latest."""

    at: float


Effect = (
    JobChanged
    | SiteChanged
    | BooksChanged
    | FrameSeen
    | JobHeld
    | JobTold
    | ClassesHeld
    | SiteSeen
    | RunRound
    | SendToSite
    | WakeAt
    | AuditEntry
)
