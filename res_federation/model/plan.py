"""The answer of a placement round: where jobs go, which wait, which can never run, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, SupportsBytes

from res_federation.model.forecast import Expected
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.reason import Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """One partition as it was considered for one job.

    Attributes:
        partition: Which; a member without partitions appears under ``site/-/-``.
        feasible: Whether every hard constraint is met and the site takes jobs now.
        reasons: Never empty: the first failing constraint, or CHOSEN, or OUTRANKED.
        score_s: Expected completion in seconds from now (the ranking), None if not feasible.
        terms: Named parts of the score, in seconds; they add up to ``score_s``.
        grant: Which would pay there, or paid; "" where none does, or nobody keeps accounts.

    """

    partition: PartitionId
    feasible: bool
    reasons: tuple[Reason, ...]
    score_s: float | None = None
    terms: tuple[tuple[str, float], ...] = ()
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have to be different for another outcome.

    Attributes:
        sentence: For people; never empty.
        change: Fields of the request with their other values, "" for one that is left out; empty
            where no change of the request does it.
        partition: Where the job would go, or wait, with the change; None without one.

    """

    sentence: str
    change: tuple[tuple[str, int | str], ...] = ()
    partition: PartitionId | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job is where it is (or nowhere).

    Attributes:
        job: Which job.
        chosen: The partition, or None.
        candidates: Every partition of every member, best first, then by identifier.
        counterfactual: The smallest change that would flip the outcome, or None if none is asked.
        decided_at: UTC seconds of the round.
        margin_s: Seconds by which the runner-up's score is worse than the chosen one's, or None
            without a runner-up.

    """

    job: JobId
    chosen: PartitionId | None
    candidates: tuple[Candidate, ...]
    counterfactual: Counterfactual | None = None
    decided_at: float = 0.0
    margin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job goes to a partition.

    Attributes:
        job: Which job.
        partition: Where to.
        row: Index of the snapshot's row that was chosen.
        starts_now: Whether free nodes were taken off the snapshot for it.
        expected_start_s: Seconds from the round until it is expected to start.
        decision: Packed candidates, for `placement.explain`; packed when somebody asks.

    """

    job: JobId
    partition: PartitionId
    row: int
    starts_now: bool
    expected_start_s: float
    decision: SupportsBytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A job stays where it is.

    Attributes:
        job: Which job.
        permanent: True when no member can ever run it.
        reason: The reason of the partition that comes nearest.
        decision: Packed candidates, for `placement.explain`.
        place: Partition where it holds a place in the meantime, or None.
        expected_start_s: Seconds from the round until it is expected to start there.

    """

    job: JobId
    permanent: bool
    reason: Reason
    decision: SupportsBytes
    place: PartitionId | None = None
    expected_start_s: float = 0.0


class Refusal(NamedTuple):
    """Jobs of one class stay where they are, all for the same reason.

    Attributes:
        kind: Number of the class in the queue of the round.
        first: Where that queue has the oldest of those that stay; the others come after it.
        permanent: True when no member can ever run them.
        reason: The reason of the partition that comes nearest.
        decision: Packed candidates, for `placement.explain`; packed when somebody asks.

    """

    kind: int
    first: int
    permanent: bool
    reason: Reason
    decision: SupportsBytes


class JobQueue(Protocol):
    """The queue of a round, by class."""

    def names_from(self, first: int, /) -> Iterator[JobId]:
        """Yield a job and those of its class that come after it."""
        ...

    @property
    def store(self) -> object:
        """What it is a view of."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The answer of one round; every job of the round is in exactly one of the three.

    Attributes:
        version: Version of the snapshot that it was made from.
        frame: Partitions in the order of the rows that packed decisions refer to.
        frame_id: Eight bytes that name the frame; every packed decision begins with them.
        assignments: In the order in which the jobs were decided.
        alone: Jobs that stay, each with a reason of its own, in the same order.
        refusals: Jobs that stay, by class.
        ended: Those of the refusals that are permanent.
        queue: What refusals refer to.
        looked: How many classes were looked at.
        caught: Jobs that were sent though nothing had changed for their class: none, or something
            was overlooked before.
        expected: When jobs are expected to start that were asked for, and stay.

    """

    version: int
    frame: tuple[PartitionId, ...]
    frame_id: bytes
    assignments: tuple[Assignment, ...]
    alone: tuple[Rejection, ...] = ()
    refusals: Sequence[Refusal] = ()
    ended: tuple[Refusal, ...] = ()
    queue: JobQueue | None = field(default=None, repr=False)
    looked: int = 0
    caught: int = 0
    expected: tuple[Expected, ...] = ()

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Every job that stays: as many objects as there are such jobs. By job, if by class."""
        if self.queue is None:
            return self.alone
        found = [
            Rejection(job, one.permanent, one.reason, one.decision)
            for one in self.refusals
            for job in self.queue.names_from(one.first)
        ]
        return tuple(sorted((*self.alone, *found), key=lambda one: one.job))

    @property
    def size(self) -> int:
        """Jobs that the round looked at and told each by itself, or by class."""
        return len(self.assignments) + len(self.alone) + len(self.refusals)

    def __eq__(self, other: object) -> bool:
        """Tell whether *other* decides the same of the same jobs, whatever keeps it."""
        return isinstance(other, Plan) and self._all() == other._all()

    def __hash__(self) -> int:
        """Hash what is decided."""
        return hash((self.version, self.frame_id, self.assignments))

    def _all(self) -> tuple[object, ...]:
        return self.version, self.frame, self.frame_id, self.assignments, self.rejections
