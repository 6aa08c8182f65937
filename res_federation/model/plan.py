"""The answer of a placement round: where jobs go, which wait, which can never run, and why."""

from __future__ import annotations

from dataclasses import dataclass

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

    """

    partition: PartitionId
    feasible: bool
    reasons: tuple[Reason, ...]
    score_s: float | None = None
    terms: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job is where it is (or nowhere).

    Attributes:
        job: Which job.
        chosen: The partition, or None.
        candidates: Every partition of every member, best first, then by identifier.
        counterfactual: The smallest change that would flip the outcome, in one sentence.
        decided_at: UTC seconds of the round.

    """

    job: JobId
    chosen: PartitionId | None
    candidates: tuple[Candidate, ...]
    counterfactual: str = ""
    decided_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job goes to a partition.

    Attributes:
        job: Which job.
        partition: Where to.
        row: Index of the snapshot's row that was chosen.
        starts_now: Whether free nodes were taken off the snapshot for it.
        expected_start_s: Seconds from the round until it is expected to start.
        decision: Packed candidates, for `placement.explain`.

    """

    job: JobId
    partition: PartitionId
    row: int
    starts_now: bool
    expected_start_s: float
    decision: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A job stays where it is.

    Attributes:
        job: Which job.
        permanent: True when no member can ever run it.
        reason: The reason of the partition that comes nearest.
        decision: Packed candidates, for `placement.explain`.

    """

    job: JobId
    permanent: bool
    reason: Reason
    decision: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer of one round; every job of the round is in exactly one of the two.

    Attributes:
        version: Version of the snapshot that it was made from.
        frame: Partitions in the order of the rows that packed decisions refer to.
        frame_id: Eight bytes that name the frame; every packed decision begins with them.
        assignments: In the order in which the jobs were decided.
        rejections: In the same order.

    """

    version: int
    frame: tuple[PartitionId, ...]
    frame_id: bytes
    assignments: tuple[Assignment, ...]
    rejections: tuple[Rejection, ...]
