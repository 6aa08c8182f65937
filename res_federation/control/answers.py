"""What of a site's word on a run is believed: only on runs that were given to it, in their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from res_federation.model.identifiers import RunToken
from res_federation.model.job import Job, Run, RunObservation, TaskOutcome
from res_federation.model.job_state import JobState

SKEW_S = 300.0
"""The clocks of a site and of the broker may differ by so much."""
_IN_FLIGHT_S = 5.0
"""A job's length is known a little more exactly by its site than by when the broker hears of it."""
_TOLD = frozenset(JobState) - {JobState.QUEUED, JobState.INFEASIBLE}
"""States that a site may tell of a run."""


def was_given(job: Job, token: RunToken, site: str) -> bool:
    """Tell whether an attempt of *job* was ever given to *site* under this token."""
    return any(run.token == token and run.site == site for run in job.runs)


def believable(
    job: Job, run: Run, said: RunObservation, at: float
) -> tuple[RunObservation | None, str]:
    """Return what is believed of what a site says, and what is not, for people.

    Times are kept between the placement and now, with `SKEW_S` on either side, and nothing takes
    longer than since it was placed: what a project pays follows from them.

    Args:
        job: Whose run it is.
        run: Its newest run, which the site has.
        said: What the site says.
        at: UTC seconds by the broker's clock.

    Returns:
        None where nothing of it is believed. An honest observation comes back as it is.

    """
    if said.state not in _TOLD:
        return None, f"{said.state} is no state of a run"
    started, ended = _times(run, said.started, said.ended, at)
    tasks, strange = said.tasks, 0
    if tasks and tasks != run.tasks:
        tasks, strange = _tasks(job, run, said.tasks, at)
    if started == said.started and ended == said.ended and tasks is said.tasks:
        return said, ""
    why = "times before its placement, in the future, or longer than since then"
    if strange:
        why = f"{strange} tasks that it does not have, or that are told twice"
    return replace(said, started=started, ended=ended, tasks=tasks), why


def _times(
    run: Run, started: float | None, ended: float | None, at: float
) -> tuple[float | None, float | None]:
    first, last = run.placed - SKEW_S, at + SKEW_S
    if started is not None:
        started = min(max(started, first), last)
    if ended is not None:
        ended = min(max(ended, first if started is None else started), last)
    if started is not None and ended is not None:
        longest = max(0.0, at - run.placed) + _IN_FLIGHT_S
        if ended - started > longest:
            started = ended - longest
    return started, ended


def _tasks(
    job: Job, run: Run, tasks: Sequence[TaskOutcome], at: float
) -> tuple[tuple[TaskOutcome, ...], int]:
    """Return the tasks that the job has, each once; and how many were strange."""
    known = set(job.spec.array) or {-1}
    kept: list[TaskOutcome] = []
    same = True
    for task in tasks:
        if task.index not in known or task.state not in _TOLD:
            continue
        known.discard(task.index)
        started, ended = _times(run, task.started, task.ended, at)
        if (started, ended) != (task.started, task.ended):
            same, task = False, replace(task, started=started, ended=ended)  # noqa: PLW2901
        kept.append(task)
    if same and len(kept) == len(tasks):
        return tuple(tasks), 0
    return tuple(kept), len(tasks) - len(kept)
