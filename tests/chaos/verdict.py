"""What became of every job, held against the lines that its payloads left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from res_federation.model.job import Job, TaskOutcome
from res_federation.model.job_state import JobState
from tests.chaos.workload import FAILS_WITH, Order, payload_lines

_OF_THE_FAULTS = frozenset(
    {JobState.FAILED, JobState.NODE_FAIL, JobState.LOST, JobState.CANCELLED, JobState.TIMEOUT}
)
"""States in which a job may end when its nodes, its controller or its user ended it."""


@dataclass(slots=True)
class Verdict:
    """Jobs that broke a promise, and how all of them ended.

    Attributes:
        lost: Said to be over without the payload that this means, or without a reason.
        duplicated: A payload began more than once though it may not.
        stuck: Not over in time.
        states: How many ended how, by kind.
        reasons: Why those that did not end by their own payload ended.
        elsewhere: Jobs with more than one run.
        again: Jobs with --requeue whose payload began more than once, as it may.
        unseen: Payloads that ended well though their job is said to have ended otherwise.

    """

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    elsewhere: int = 0
    again: int = 0
    unseen: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.duplicated or self.stuck)


def judge(ordered: dict[str, Order], jobs: dict[str, Job], marks: Path) -> Verdict:
    """Hold every job against its marks.

    Args:
        ordered: What was submitted, by the job's identifier.
        jobs: As the broker has them, by identifier.
        marks: The directory of the marks.

    """
    verdict = Verdict()
    for name, order in ordered.items():
        job = jobs.get(name)
        if job is None:
            verdict.lost.append(f"{name} ({order.kind}) was acknowledged and is not known")
            continue
        verdict.states[f"{order.kind} {job.state}"] += 1
        verdict.elsewhere += len(job.runs) > 1
        if not job.state.final:
            verdict.stuck.append(_told(job, order, "is not over"))
            continue
        own = _own_end(order)
        if job.state not in own:
            verdict.reasons[f"{job.state}: {_without_numbers(job.reason)}"] += 1
        for outcome in _outcomes(order, job):
            _judge_task(verdict, order, job, outcome, marks)
    known = {f.name.rpartition(".")[0] for f in marks.iterdir()}
    verdict.duplicated += [
        f"{name} ran and was never acknowledged" for name in known - set(ordered)
    ]
    return verdict


def _own_end(order: Order) -> frozenset[JobState]:
    match order.kind:
        case "fails":
            return frozenset({JobState.FAILED})
        case "cancelled":
            return frozenset({JobState.CANCELLED, JobState.COMPLETED})
        case _:
            return frozenset({JobState.COMPLETED})


def _outcomes(order: Order, job: Job) -> Iterator[TaskOutcome]:
    """Yield how each task ended; a task of which nothing is told ended as its job."""
    told = {task.index: task for task in job.runs[-1].tasks} if job.runs else {}
    for index in order.spec.array or (-1,):
        whole = TaskOutcome(index, job.state, exit_code=job.exit_code, reason=job.reason)
        yield told.get(index, whole) if order.spec.array else whole


def _judge_task(verdict: Verdict, order: Order, job: Job, task: TaskOutcome, marks: Path) -> None:
    lines = payload_lines(marks, job.id, task.index)
    begun, ended = lines["begin"], lines["end"]
    what = f"task {task.index} is {task.state}, began {begun} times and ended {ended} times"
    if begun > 1 or ended > 1:
        if order.kind == "requeue":
            verdict.again += 1
        else:
            verdict.duplicated.append(_told(job, order, what))
    own_failure = task.state is JobState.FAILED and task.exit_code == FAILS_WITH
    if task.state is JobState.COMPLETED or own_failure:
        if not begun or not ended:
            verdict.lost.append(_told(job, order, what))
    elif not task.state.final:
        verdict.lost.append(_told(job, order, f"{what}, and the job is over"))
    elif not (job.reason or task.reason) or task.state not in _OF_THE_FAULTS:
        verdict.lost.append(_told(job, order, f"{what}, without a reason that holds"))
    elif ended and order.kind != "cancelled":
        verdict.unseen.append(_told(job, order, what))


def _told(job: Job, order: Order, what: str) -> str:
    runs = "; ".join(f"{run.token} at {run.site} {run.state} ({run.reason})" for run in job.runs)
    return f"{job.id} ({order.kind}) {what}; reason '{job.reason}'; runs: {runs or 'none'}"


def _without_numbers(reason: str) -> str:
    """Return a reason so that like ones are counted together."""
    words = ("#" if any(c.isdigit() for c in word) else word for word in reason.split())
    return " ".join(words)
