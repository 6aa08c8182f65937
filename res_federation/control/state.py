"""What the federation knows. Owned by one loop; only functions in `control` change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import SupportsBytes

from res_federation.accounting.books import Books
from res_federation.accounting.fair_share import Usage
from res_federation.accounting.usage import check_reserved
from res_federation.control.forecasts import Forecasts, reopen
from res_federation.control.held import Held
from res_federation.control.known_rows import KnownRows
from res_federation.control.live import Live
from res_federation.control.shared import Shared
from res_federation.model.capacity import CapacityReport
from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId, job_of
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.limits import LOCAL_LIMITS, Limits
from res_federation.model.site import Partition, Site
from res_federation.placement.pins import pin_words
from res_federation.placement.policy import Policy
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import NOWHERE, DistanceTable


@dataclass(frozen=True, slots=True)
class Terms:
    """Times and bounds that the control follows, in seconds and counts.

    Attributes:
        lease_s: How long an agent may begin a queued run after its last answered report.
        margin_s: How much longer the broker waits: covers drift of clocks and delays.
        resend_s: An order whose run is not yet held is repeated after this.
        max_refusals: A job that so many sites surely refused has failed.
        max_attempts: A job whose attempts so often ended before they began has failed.
        fence_after_s: A run that is expected to wait longer than this at its site is fenced from
            the start; one that starts at once need not ask.
        round_jobs: Most jobs of one round, where jobs do not start late.
        round_interval_s: Least time between the starts of two rounds: a lone job never waits
            for it, a stream of jobs shares rounds.
        shared_s: So long after others were seen in a partition it is taken for one that is shared.
        sweep_s: After so long a round looks at all that wait, whether anything changed or not.
        explains: Whether every job keeps its newest decision, packed: nobody asks in a replay.
        limits: How many live jobs a user and a project may have.

    """

    lease_s: float = 900.0
    margin_s: float = 60.0
    resend_s: float = 2.0
    max_refusals: int = 5
    max_attempts: int = 50
    fence_after_s: float = 5.0
    round_jobs: int = 10_000
    round_interval_s: float = 0.1
    shared_s: float = 7 * 86400.0
    sweep_s: float = 60.0
    explains: bool = True
    limits: Limits = LOCAL_LIMITS


@dataclass(slots=True)
class SiteState:
    """A member as the control sees it now.

    Attributes:
        site: What it declares.
        connected: Whether its agent's stream is open.
        drained: Whether an operator closed it for new jobs.
        drain_reason: Why.
        report: The newest report, None before the first.
        received: When that was, by the broker's clock.
        journal: Life of the agent's journal that the newest report named.
        fences: Whether its agent can keep a run from beginning before it is let.
        runs: Live runs of the federation at this site, in the order of placement.
        sent: When the start order of an unconfirmed run was last sent.
        uncounted: Those of the runs that the newest figures do not have in them, or that the agent
            has not confirmed, in the order of placement: few, where runs are many.
        pins: Words that pin a job to the site.
        declared: Its partitions by identifier.
        others: Of partitions when others than the federation last waited or ran there.
        arranged: Of partitions the order in which the places of our runs were dealt last.
        doubts: What of the newest report is not believed, for people.
        ignored: Reports that were not newer than the one before, or from the future.
        warned: What was told to the audit log of answers that are not believed: once each.

    """

    site: Site
    connected: bool = False
    drained: bool = False
    drain_reason: str = ""
    report: CapacityReport | None = None
    received: float = 0.0
    journal: str = ""
    fences: bool = False
    runs: dict[RunToken, JobId] = field(default_factory=dict)
    sent: dict[RunToken, float] = field(default_factory=dict)
    uncounted: dict[RunToken, None] = field(default_factory=dict)
    pins: tuple[str, ...] = field(init=False)
    declared: dict[PartitionId, Partition] = field(init=False)
    others: dict[PartitionId, float] = field(default_factory=dict)
    arranged: dict[PartitionId, tuple[RunToken, ...]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    ignored: int = 0
    warned: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep what follows from the site and every snapshot asks for."""
        self.pins = pin_words(self.site)
        self.declared = {partition.id: partition for partition in self.site.partitions}


@dataclass(slots=True)
class FederationState:
    """All that `handle` looks at and changes.

    Attributes:
        sites: Members by identifier, sorted.
        distances: The network.
        policy: How rounds weigh.
        terms: Times and bounds.
        jobs: Live jobs; one that ended leaves once its end is told.
        live: How many they are, by user and project.
        fresh: Queued jobs that no round has considered yet.
        held: Queued jobs that a round considered and could not place.
        holding: Jobs whose run waits at a site to hold a place there (`control.places`).
        keys: Job by (user, idempotency key); ended jobs stay.
        revision: Number of the newest event in the log.
        version: Counts changes of what a round may see.
        seen_version: Version up to which held jobs were seen, or are in `unseen`.
        unseen: Held jobs that no round looked at since something changed.
        planning: Jobs of the round in flight, None when there is none.
        pause_until: No round before this time.
        events: Events handled that a round may see.
        asked: Events and time when the round in flight was asked for.
        dialects: How members want their scripts; nothing is asked of the jobs of one without.
        stale: Sites whose newest report is past its time to live, as the last tick saw it.
        late: What waits by class, where the policy starts jobs late; made by the first round.
        swept: When a round last looked at all that wait.
        sweep_caught: Jobs that only a sweep sent: none, or a change was overlooked.
        shared: Words of specs that are kept once; made by the first submission.
        known: Rows of the snapshot before; made by the first one.
        frames: Lists of partitions that stored decisions refer to, by identifier.
        history: Of each user's newest ended jobs run time over limit, the newest last.
        usage: What each user has used, where the policy's order asks for it.
        forecasts: What users were told of when jobs start, and how right that was.
        residency: Classes of data, and which project has which.
        obeyed: The classes that runs at sites were last held against; None before the first time.
        books: Projects, grants and what is left of them.
        books_turn: When the next grant begins or ends to pay.

    """

    sites: dict[SiteId, SiteState]
    distances: DistanceTable = field(default=NOWHERE)
    policy: Policy = field(default_factory=Policy)
    terms: Terms = field(default_factory=Terms)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    fresh: dict[JobId, None] = field(default_factory=dict)
    held: dict[JobId, None] = field(default_factory=dict)
    holding: dict[JobId, None] = field(default_factory=dict)
    keys: dict[tuple[str, str], JobId] = field(default_factory=dict)
    revision: int = 0
    version: int = 1
    seen_version: int = 0
    unseen: dict[JobId, None] = field(default_factory=dict)
    planning: frozenset[JobId] | None = None
    pause_until: float = 0.0
    events: int = 0
    asked: tuple[int, float] = (-1, 0.0)
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    stale: set[SiteId] = field(default_factory=set)
    frames: dict[bytes, tuple[PartitionId, ...]] = field(default_factory=dict)
    late: Held | None = field(default=None, repr=False)
    swept: float = 0.0
    sweep_caught: int = 0
    shared: Shared | None = field(default=None, repr=False)
    known: KnownRows | None = field(default=None, repr=False)
    history: dict[str, tuple[float, ...]] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    forecasts: Forecasts = field(default_factory=Forecasts)
    residency: Residency = NO_CLASSES
    obeyed: Residency | None = None
    books: Books = field(default_factory=Books)
    books_turn: float = 0.0

    def next_revision(self) -> int:
        """Number the next event."""
        self.revision += 1
        return self.revision

    def take_in(self, job: Job) -> None:
        """Let a job be live."""
        self.jobs[job.id] = job
        self.live.add(job)

    def let_go(self, job: Job) -> None:
        """Let a job that has ended be live no more."""
        del self.jobs[job.id]
        self.live.remove(job)

    def share(self, spec: JobSpec) -> JobSpec:
        """Return an equal spec that shares its parts with those before it."""
        if self.shared is None:
            self.shared = Shared()
        return self.shared.spec(spec)

    def known_rows(self) -> KnownRows:
        """Return what is known of rows; from the first call on it is kept up."""
        if self.known is None:
            self.known = KnownRows()
        return self.known

    def enqueue(self, job: Job) -> None:
        """Let a job wait for its first round, or for the first one since it came back."""
        self.leave_place(job.id)
        self.fresh[job.id] = None
        if self.late is not None:
            self.late.waiting.add(job)

    def take_place(self, job: Job) -> None:
        """Let a job wait for its turn in the queue of a site."""
        self.fresh.pop(job.id, None)
        self.held.pop(job.id, None)
        self.holding[job.id] = None
        if self.late is not None:
            if job.id not in self.late.waiting:
                self.late.waiting.add(job)
            run = job.run
            self.late.waiting.hold(job.id, None if run is None else run.partition)

    def leave_place(self, job: JobId) -> None:
        """Let a job hold no place any more."""
        if self.holding.pop(job, 0) is None and self.late is not None:
            self.late.waiting.remove(job)

    def dequeue(self, job: JobId) -> None:
        """Let a job wait no longer."""
        self.leave_place(job)
        self.fresh.pop(job, None)
        self.held.pop(job, None)
        if self.late is not None:
            self.late.waiting.remove(job)

    def by_class(self) -> Held:
        """Return what waits by class; from the first call on it is kept up."""
        if self.late is None:
            waits = [self.jobs[job] for job in (*self.fresh, *self.held, *self.holding)]
            policy = self.policy
            by_user = policy.late is not None and policy.late.fair_share > 0
            self.late = Held(policy.seed, waits, by_user=by_user)
        return self.late

    def decide(self, job: Job, decision: SupportsBytes, at: float) -> None:
        """Note the newest decision about a job."""
        job.decided_at = at
        if self.terms.explains:
            job.decision = bytes(decision)

    def check(self) -> None:
        """Assert every invariant; run after each event in tests.

        Raises:
            AssertionError: Naming what does not hold.

        """
        check_reserved(self.books, self.jobs.values())
        assert not set(self.fresh) & set(self.held), "a job is both fresh and held"
        for job_id in [*self.fresh, *self.held]:
            assert self.jobs[job_id].state is JobState.QUEUED, f"{job_id} waits but is not QUEUED"
        if self.late is not None:
            queued = {*self.fresh, *self.held, *self.holding}
            assert len(queued) == len(self.late.waiting), "classes have too many jobs, or too few"
            assert all(job in self.late.waiting for job in queued), "a job waits in no class"
        for job_id in self.holding:
            run = self.jobs[job_id].run
            assert run is not None, f"{job_id} holds a place without a run"
            assert run.held, f"{run.token} holds no place"
            assert not run.begun, f"{run.token} has begun and holds a place"
        assert self.live == Live.of(self.jobs.values()), "live jobs are miscounted"
        for job in self.jobs.values():
            assert not job.state.final, f"{job.id} has ended and is still live"
            waits = job.id in self.fresh or job.id in self.held
            assert waits == (job.state is JobState.QUEUED), f"{job.id}: {job.state}, waits={waits}"
            live = [run for run in job.runs if not run.state.final]
            assert len(live) <= 1, f"{job.id} has {len(live)} live runs"
            assert bool(live) == (job.state is not JobState.QUEUED), f"{job.id}: {job.state}"
            for run in live:
                assert not (run.fenced and run.begun), f"{run.token} is fenced and has begun"
                assert self.sites[run.site].runs.get(run.token) == job.id, f"{run.token} astray"
        for site in self.sites.values():
            for token, job_id in site.runs.items():
                assert job_of(token) == job_id, f"{token} of another job"
                newest = self.jobs[job_id].run
                assert newest is not None, f"{token} has no run"
                assert newest.token == token, f"{token} is not the newest attempt"
                known = newest.counted and newest.confirmed
                assert known != (token in site.uncounted), f"{token} is counted amiss"
            assert set(site.uncounted) <= set(site.runs), f"{site.site.id} counts what is gone"


def federation(
    sites: tuple[Site, ...],
    *,
    distances: DistanceTable = NOWHERE,
    policy: Policy | None = None,
    terms: Terms | None = None,
    dialects: Mapping[str, Dialect] | None = None,
    residency: Residency = NO_CLASSES,
    books: Books | None = None,
) -> FederationState:
    """Return the state of a federation that has just begun."""
    return FederationState(
        sites={site.id: SiteState(site) for site in sorted(sites, key=lambda site: site.id)},
        distances=distances,
        policy=policy or Policy(),
        terms=terms or Terms(),
        dialects=dialects or {},
        residency=residency,
        books=books or Books(),
    )


def restore(  # the pieces come from the store, which knows nothing of this room
    state: FederationState,
    *,
    at: float,
    jobs: list[Job],
    keys: dict[tuple[str, str], JobId],
    drained: dict[SiteId, str],
    revision: int,
    history: dict[str, tuple[float, ...]] | None = None,
    forecasts: Forecasts | None = None,
) -> None:
    """Put back what was on disk; every lease begins anew, for nobody could renew meanwhile."""
    state.keys = keys
    state.revision = revision
    state.history = history or {}
    for site, reason in drained.items():
        if site in state.sites:
            state.sites[site].drained, state.sites[site].drain_reason = True, reason
    state.forecasts = forecasts or Forecasts()
    reopen(state.forecasts, jobs, at)
    for job in sorted(jobs, key=lambda job: (job.submitted, job.id)):
        state.take_in(job)
        run = job.run
        if job.state is JobState.QUEUED or run is None:
            state.fresh[job.id] = None
            continue
        run.lease_until = at + state.terms.lease_s + state.terms.margin_s
        if state.policy.late is not None and run.fenced and not run.begun and not job.cancel_asked:
            run.held = True
            state.take_place(job)
        if run.site not in state.sites:
            # The member left the catalogue: the run is kept, and said to be out of reach.
            state.sites[run.site] = SiteState(_former(run.site, run.partition))
        state.sites[run.site].runs[run.token] = job.id
        if not (run.counted and run.confirmed):
            state.sites[run.site].uncounted[run.token] = None


def _former(site: SiteId, partition: PartitionId) -> Site:
    return Site(
        id=site, name=f"{site} (not in the catalogue)", machine=site, city="",
        latitude=0.0, longitude=0.0, batch="", partitions=(),
        clusters=(partition.split("/")[1],),
    )  # fmt: skip
