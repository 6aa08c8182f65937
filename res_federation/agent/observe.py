"""From what a batch system knows of tasks to what the agent says of a run. Pure."""

from __future__ import annotations

from res_federation.agent.batch import Found
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, RunObservation, TaskOutcome
from res_federation.model.job_state import JobState

_WORST_FIRST = (
    JobState.NODE_FAIL,
    JobState.LOST,
    JobState.OUT_OF_MEMORY,
    JobState.TIMEOUT,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.COMPLETED,
)


def observe(spec: JobSpec, found: Found) -> RunObservation:
    """Return how a run stands.

    It has ended when every task has; its state is then the worst of theirs.  It was refused when
    it ended otherwise than by a cancel and no payload ever began.
    """
    tasks = found.tasks
    starts = [task.started for task in tasks if task.started is not None]
    begun = bool(starts)
    started = min(starts, default=None)
    over = [task for task in tasks if task.state.final]
    if len(over) < spec.tasks:
        return RunObservation(
            token=found.token,
            state=JobState.RUNNING if begun else JobState.SUBMITTED,
            reason=found.reason,
            started=started,
            begun=begun,
            tasks=tasks,
        )
    worst = min(over, key=lambda task: _WORST_FIRST.index(task.state))
    return RunObservation(
        token=found.token,
        state=worst.state,
        reason=worst.reason,
        started=started,
        ended=max((task.ended for task in over if task.ended is not None), default=None),
        exit_code=_exit_code(over) if begun else None,
        refused=not begun and not found.returned and worst.state is not JobState.CANCELLED,
        withdrawn=not begun and found.returned,
        begun=begun,
        tasks=tasks,
    )


def _exit_code(tasks: list[TaskOutcome]) -> int | None:
    codes = [task.exit_code for task in tasks if task.exit_code is not None]
    return next((code for code in codes if code), 0 if codes else None)


def ended_unbegun(
    token: RunToken, state: JobState, reason: str, at: float, *, refused: bool
) -> RunObservation:
    """Say that a run ended before the batch system had it."""
    return RunObservation(token=token, state=state, reason=reason, ended=at, refused=refused)
