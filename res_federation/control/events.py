"""Everything that can happen to the federation; each carries its time, given by the shell."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.accounting.records import Grant, Membership, Pool, Project
from res_federation.model.capacity import CapacityReport
from res_federation.model.identifiers import JobId, RunToken, SiteId
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.limits import Limits
from res_federation.model.plan import Plan


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """A user submitted a job; the shell made the identifier."""

    at: float
    job: JobId
    spec: JobSpec
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """A person asked that a job, or one task of it, ends."""

    at: float
    job: JobId
    by: str
    task: int | None = None


@dataclass(frozen=True, slots=True)
class SiteConnected:
    """An agent opened its stream."""

    at: float
    site: SiteId


@dataclass(frozen=True, slots=True)
class SiteReported:
    """An exchange: what the site has and every run that its agent holds.

    Attributes:
        at: UTC seconds at the broker when it was received.
        report: Capacity.
        runs: The full set.
        journal: Names the life of the agent's journal; a new one proves that runs are gone.
        complete: Whether absence of a run from the set means that it is not held.
        strangers: Tokens among the runs that the store has never seen.
        fences: Whether the agent can keep a run from beginning before it is let.

    """

    at: float
    report: CapacityReport
    runs: tuple[RunObservation, ...]
    journal: str = ""
    complete: bool = True
    strangers: frozenset[RunToken] = frozenset()
    fences: bool = False


@dataclass(frozen=True, slots=True)
class SiteDisconnected:
    """An agent's stream ended. Proves nothing about its runs."""

    at: float
    site: SiteId


@dataclass(frozen=True, slots=True)
class SiteDrained:
    """An operator asked that a site takes no new jobs."""

    at: float
    site: SiteId
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SiteResumed:
    """An operator lets a site take jobs again."""

    at: float
    site: SiteId
    by: str


@dataclass(frozen=True, slots=True)
class PlanReady:
    """A round came back."""

    at: float
    plan: Plan


@dataclass(frozen=True, slots=True)
class RoundFailed:
    """A round did not come back (a worker died); its jobs wait for the next one."""

    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed: leases and reports may have grown old."""

    at: float


@dataclass(frozen=True, slots=True)
class PoolSaved:
    """An operator made a pool, or changed one."""

    at: float
    pool: Pool
    by: str = ""


@dataclass(frozen=True, slots=True)
class ProjectSaved:
    """An operator made a project, or changed one."""

    at: float
    project: Project
    by: str = ""


@dataclass(frozen=True, slots=True)
class MembershipSet:
    """Somebody belongs to a project from now on, in this role, or does not any more."""

    at: float
    member: Membership
    by: str = ""


@dataclass(frozen=True, slots=True)
class GrantMade:
    """An operator made a grant, or changed the amounts or the period of one."""

    at: float
    grant: Grant
    by: str = ""


@dataclass(frozen=True, slots=True)
class GrantClosed:
    """An operator closed a grant before its end."""

    at: float
    grant: str
    by: str = ""


RUN = "run:"
"""Begins the name of a use that is a run of the federation, before its token."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used outside of the federation.

    Attributes:
        grant: Who pays.
        once: Names the use for all time, such as ``csuc:12345`` or `RUN` and a token: it is never
            charged twice.
        core_s: Core-seconds.
        accelerator_s: Accelerator-seconds.
        note: For people.

    """

    grant: str
    once: str
    core_s: int
    accelerator_s: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class UsageImported:
    """An operator brought in what sites say was used."""

    at: float
    usage: tuple[Usage, ...]
    by: str = ""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A member gave *units* (thousandths of an exchange unit) to another, outside of any run."""

    at: float
    giver: SiteId
    taker: SiteId
    units: int
    note: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """The broker's file has other limits now; what is over them already stays."""

    at: float
    limits: Limits


Event = (
    JobSubmitted
    | JobCancelled
    | SiteConnected
    | SiteReported
    | SiteDisconnected
    | SiteDrained
    | SiteResumed
    | PlanReady
    | RoundFailed
    | Ticked
    | PoolSaved
    | ProjectSaved
    | MembershipSet
    | GrantMade
    | GrantClosed
    | UsageImported
    | Exchanged
    | LimitsSet
)
