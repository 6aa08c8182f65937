"""What was asked (`JobSpec`), what became of it (`Job`), and what was tried (`Run`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from res_federation.model.forecast import Forecast
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest
from res_federation.model.share import Share

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's own default of ``max_script_size``."""
MAX_ARRAY_TASKS = 100_000
MAX_TIME_LIMIT_S = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a user submits. Never changes after submission.

    Attributes:
        name: ``--job-name``; never used as a path.
        user: Who submits.
        script: The script as it was given, from ``#!`` on.
        arguments: Arguments of the script.
        request: Resources.
        time_limit_s: ``--time``; the site kills the run after it.
        array: Indices of the tasks, ascending, or empty for a job without an array.
        array_throttle: Tasks that may run at once (``%N``), or 0 for no bound.
        clusters: Pinned to these sites (``-M``): site ids, cluster names; empty for anywhere.
        excluded: Never at these sites.
        partition: ``--partition`` as given: binding only when the job is pinned.
        account: ``--account`` as given: a hint until the dialects come.
        qos: ``--qos`` as given.
        constraint: ``--constraint`` as given.
        output: ``--output`` pattern as given, or "".
        error: ``--error`` pattern as given, or "".
        directory: ``--chdir`` as given, or "".
        environment: Variables that the user exported on purpose.
        input_mib: Input data to be moved to the site first.
        input_site: Where the input data lies, or "".
        requeue: Whether the payload may begin more than once.
        notes: What was understood, mapped or left out, for the user to read.
        options: Every option found, by sbatch's long name, as given: nothing is dropped silently.
        origin: Site whose dialect the script is in, or "" where that is not known.
        meant: Name of the partition there that its words mean, or "".
        purpose: What its QoS is for (``res-a``, ``debug``…), or "".
        memory_per_core_mib: What a core gets there when none is asked for; 0 where not known.
        issuer: Short name of who vouches for the user; set by the broker.
        subject: Whom that issuer means; set by the broker.
        project: Whose hours it uses and whose members may see it, or "".
        data_class: Class of the data that it works on, or "" for none.
        jurisdictions: Only there may the data go; none for wherever its class may.

    """

    name: str
    user: str
    script: str
    request: ResourceRequest = field(default_factory=ResourceRequest)
    time_limit_s: int = 3600
    arguments: tuple[str, ...] = ()
    array: tuple[int, ...] = ()
    array_throttle: int = 0
    clusters: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    output: str = ""
    error: str = ""
    directory: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    input_mib: int = 0
    input_site: str = ""
    requeue: bool = False
    notes: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    meant: str = ""
    purpose: str = ""
    memory_per_core_mib: int = 0
    issuer: str = ""
    subject: str = ""
    project: str = ""
    data_class: str = ""
    jurisdictions: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        """How many batch tasks the job has: the length of the array, or one."""
        return len(self.array) or 1


def script_bytes(script: str) -> bytes:
    """Return a script's bytes; what was not UTF-8 comes out as it came in."""
    return script.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How one array element (or the only task, index -1) stands.

    Attributes:
        index: Array index, -1 for a job without an array.
        state: SUBMITTED, RUNNING or a final state.
        exit_code: Exit code of the payload, None before the end.
        signal: Signal that ended it, 0 for none.
        batch_id: The batch system's own number.
        started: UTC seconds, None before.
        ended: UTC seconds, None before.
        nodes: Where it ran, as the batch system writes it.
        reason: The batch system's own words.

    """

    index: int
    state: JobState
    exit_code: int | None = None
    signal: int = 0
    batch_id: str = ""
    started: float | None = None
    ended: float | None = None
    nodes: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunObservation:
    """What an agent says of a run that it holds.

    Attributes:
        token: Which run.
        state: SUBMITTED (held or queued at the site), RUNNING or final. PLACED while the agent
            has journalled the order and has not yet been able to submit it.
        reason: The site's own words (Slurm's pending reason, the text of a refusal).
        started: UTC seconds when the payload of the first task began.
        ended: UTC seconds when the last task ended.
        exit_code: The first non-zero exit code of a task, 0 when all ended well.
        refused: True when the site surely did not take it: the broker may place it elsewhere.
        withdrawn: True when it ended without a payload, and not because the site does not take
            such a job: the broker may place it anywhere again, there too.
        begun: True when a payload may have begun, so it must not begin elsewhere.
        fenced: True when no payload of it can begin before the broker has said so.
        asks: True when a fenced run has its nodes and waits for that word.
        counted: False while the capacity figures of the same report do not count it yet.
        script_sha256: Hash of the script that was submitted, once it was.
        tasks: Each task that has anything to tell.

    """

    token: RunToken
    state: JobState
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    refused: bool = False
    withdrawn: bool = False
    begun: bool = False
    fenced: bool = False
    asks: bool = False
    counted: bool = True
    script_sha256: str = ""
    tasks: tuple[TaskOutcome, ...] = ()


@dataclass(slots=True)
class Run:
    """One attempt of a job at one partition. Changed only by `control`."""

    token: RunToken
    attempt: int
    partition: PartitionId
    site: SiteId
    placed: float
    state: JobState = JobState.PLACED
    reason: str = ""
    confirmed: bool = False
    """Whether the agent has said that it holds the run."""
    journal: str = ""
    """Life of the agent's journal to which the start order went."""
    begun: bool = False
    fenced: bool = False
    """Whether its payload can begin only after the broker wrote down that it does."""
    held: bool = False
    """Whether it waits there to hold a place: it is taken back when it can start elsewhere."""
    leaving: bool = False
    """Whether the site was told to take it back; that is no failed attempt."""
    barred: str = ""
    """Why its data may no longer be at its site; "" where it may."""
    counted: bool = False
    """Whether the newest capacity report of its site has it in its figures."""
    lease_until: float = 0.0
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    expected_start_s: float = 0.0
    script_sha256: str = ""
    """Of the script as the site's batch system got it."""
    grant: str = ""
    """Which grant pays for it; "" where nobody keeps accounts."""
    reserved_core_s: int = 0
    """Core-seconds that were set aside for it: what it costs at its time limit."""
    reserved_accelerator_s: int = 0
    """Accelerator-seconds, the same."""
    used_core_s: int = 0
    """Core-seconds that it was charged with when it ended."""
    used_accelerator_s: int = 0
    """Accelerator-seconds, the same."""
    settled: bool = False
    """Whether it was charged, and the rest of what was set aside given back."""
    tasks: tuple[TaskOutcome, ...] = ()


@dataclass(slots=True)
class Job:
    """A job as the federation knows it. Changed only by `control`."""

    id: JobId
    spec: JobSpec
    submitted: float
    state: JobState = JobState.QUEUED
    reason: str = ""
    idempotency_key: str = ""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    runs: list[Run] = field(default_factory=list)
    cancel_asked: bool = False
    refused: tuple[PartitionId, ...] = ()
    """Partitions whose site surely refused it: not tried again."""
    revision: int = 0
    """Number of the newest event about this job."""
    decision: bytes = b""
    """The newest decision, packed by `placement.explain`; empty before the first round."""
    decided_at: float = 0.0
    """When that was."""
    estimate_s: int = 0
    """Seconds that it is expected to run, fixed at submission; 0 for its limit. Ranks only."""
    forecast: Forecast | None = None
    """When it was expected to start, told when it first had to wait; None where it had not."""
    shared_with: tuple[Share, ...] = ()
    """Filled in for whom it is shown to; the broker keeps shares apart from jobs."""

    @property
    def run(self) -> Run | None:
        """The newest attempt."""
        return self.runs[-1] if self.runs else None

    @property
    def site(self) -> str:
        """Site of the newest attempt, or ""."""
        return self.runs[-1].site if self.runs else ""

    @property
    def partition(self) -> str:
        """Partition of the newest attempt, or ""."""
        return self.runs[-1].partition if self.runs else ""
