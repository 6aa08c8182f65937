"""Judges how the demo's jobs ended: each as expected, or what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from res_federation.cli.demo_jobs import Planned
from res_federation.config.demo import Expectation
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from res_federation.model.plan import Explanation
from res_federation.model.sentences import duration, sentence

Read = Callable[[str, int | None], bytes]
"""Returns the standard output of a job, or of one task of it."""


class Verdict(StrEnum):
    """What a job counts as."""

    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Judged:
    """A job, what it counts as, and what is wrong where something is."""

    planned: Planned
    job: Job
    verdict: Verdict
    wrong: str = ""


def judge(planned: Planned, job: Job, families: Mapping[str, str], read: Read) -> Judged:
    """Judge one job.

    Args:
        planned: What was submitted.
        job: What became of it.
        families: Accelerator family of each partition, "" for none.
        read: Reads output back.

    """
    wrong = _misplaced(planned, job, families)
    if planned.expected is not None:
        wrong = wrong or _differs(planned.expected, job, families, read)
    else:
        wrong = wrong or _lost(job)
    verdict = _VERDICTS.get(job.state, Verdict.FAILED)
    return Judged(planned, job, Verdict.UNEXPECTED if wrong else verdict, wrong)


_VERDICTS = {
    JobState.COMPLETED: Verdict.COMPLETED,
    JobState.INFEASIBLE: Verdict.REFUSED,
    JobState.CANCELLED: Verdict.CANCELLED,
}


def _misplaced(planned: Planned, job: Job, families: Mapping[str, str]) -> str:
    """Tell where a run was at a partition without the accelerator that the script asks for."""
    need = planned.spec.request.accelerator
    for run in job.runs:
        family = families.get(run.partition, "")
        if need is not None and not family:
            return f"wants an accelerator, was on {run.partition}, which has none"
        if need is not None and need.family and need.family != family:
            return f"wants {need.asked or need.family}, was on {run.partition} with {family}"
    return ""


def _lost(job: Job) -> str:
    """Tell what is wrong with a job of which nothing else is known than that it must end."""
    if not job.state.final:
        return f"has not ended: {job.state}"
    if job.state is JobState.LOST:
        return f"was lost: {job.reason}"
    if job.state is not JobState.COMPLETED and not job.reason:
        return f"ended as {job.state} without a reason"
    return ""


def _differs(expected: Expectation, job: Job, families: Mapping[str, str], read: Read) -> str:
    if job.state is not expected.state:
        return f"is {job.state} ({job.reason}), not {expected.state}"
    if expected.state is JobState.INFEASIBLE:
        return "" if job.reason else "was refused without a reason"
    if expected.exit_code is not None and job.exit_code != expected.exit_code:
        return f"ended with exit code {job.exit_code}, not {expected.exit_code}"
    family = families.get(job.partition, "")
    if (
        expected.accelerator
        and family != expected.accelerator
        and not (expected.accelerator == "any" and family)
    ):
        return f"was on {job.partition} ({family or 'no accelerator'})"
    wanted: list[tuple[int | None, str]] = list(expected.tasks.items())
    if expected.stdout is not None:
        wanted.append((None, expected.stdout))
    for task, text in wanted:
        printed = read(job.id, task).decode("utf-8", "replace")
        if printed != text:
            which = "" if task is None else f"task {task} "
            return f"{which}printed {_short(printed)}, not {_short(text)}"
    return ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def why(explanation: Explanation) -> str:
    """Return in one line why a job went where it went, or nowhere."""
    for candidate in explanation.candidates:
        if candidate.partition == explanation.chosen:
            terms = " + ".join(
                f"{name.removesuffix('_s')} {duration(value)}"
                for name, value in candidate.terms
                if value >= 1
            )
            others = sum(other.feasible for other in explanation.candidates) - 1
            score = duration(candidate.score_s or 0)
            best = f"the best of {others + 1}" if others else "the only one that can run it now"
            return best + (f", at a cost of {score}: {terms}" if terms else "")
    return most_common(
        sentence(candidate.reasons[0]) for candidate in explanation.candidates if candidate.reasons
    )


def most_common(sentences: Iterable[str]) -> str:
    """Return sentences with how often each was said, the most frequent first."""
    said = Counter(sentences).most_common(4)
    return "; ".join(f"{text} ({count}x)" for text, count in said)
