"""States of a job and of a run, and the legal moves between them."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life; the words that outside programs rely on."""

    QUEUED = "QUEUED"
    PLACED = "PLACED"
    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    NODE_FAIL = "NODE_FAIL"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    INFEASIBLE = "INFEASIBLE"
    LOST = "LOST"

    @property
    def final(self) -> bool:
        """Tell whether the job has ended."""
        return self in FINAL


FINAL = frozenset(
    {
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.TIMEOUT,
        JobState.CANCELLED,
        JobState.NODE_FAIL,
        JobState.OUT_OF_MEMORY,
        JobState.INFEASIBLE,
        JobState.LOST,
    }
)

# A run never reaches QUEUED or INFEASIBLE: those are states of a job without a run.
MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.PLACED, JobState.CANCELLED, JobState.INFEASIBLE}),
    JobState.PLACED: (FINAL - {JobState.INFEASIBLE})
    | {JobState.SUBMITTED, JobState.RUNNING, JobState.QUEUED},
    JobState.SUBMITTED: (FINAL - {JobState.INFEASIBLE}) | {JobState.RUNNING, JobState.QUEUED},
    JobState.RUNNING: (FINAL - {JobState.INFEASIBLE}) | {JobState.SUBMITTED, JobState.QUEUED},
}
"""From each state that is not final, the states that may follow."""


def may_move(now: JobState, then: JobState) -> bool:
    """Tell whether *then* may follow *now*."""
    return then in MOVES.get(now, frozenset())
