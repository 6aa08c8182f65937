"""Jobs that wait for a policy that starts late: by class, each class with its newest answer.

A long queue hears of a round by its classes: what a job is told is looked up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import SupportsBytes

from res_federation.control.effects import ClassesHeld, Effect, JobHeld
from res_federation.model.identifiers import JobId
from res_federation.model.job import Job
from res_federation.model.plan import Plan, Rejection
from res_federation.model.reason import Reason
from res_federation.model.sentences import sentence
from res_federation.placement.waiting import Waiting


@dataclass(slots=True)
class Answer:
    """What the newest round said of a class, or of one job."""

    reason: Reason
    text: str
    decision: SupportsBytes
    at: float


class Held:
    """Queued jobs by class.

    Attributes:
        waiting: The jobs.
        answers: Of classes, by number.
        apart: Of jobs for which the newest round had an answer of their own.
        asked: Jobs that were new when the round in flight was asked for.

    """

    __slots__ = ("answers", "apart", "asked", "waiting")

    def __init__(self, seed: int, jobs: Iterable[Job], *, by_user: bool = False) -> None:
        """Begin with *jobs*; *seed* draws what breaks ties, *by_user* is as `Waiting` has it."""
        self.waiting = Waiting(seed, jobs, by_user=by_user)
        self.answers: dict[int, Answer] = {}
        self.apart: dict[JobId, Answer] = {}
        self.asked: tuple[JobId, ...] = ()

    def tell(self, job: Job) -> bool:
        """Give a held job the newest answer; return whether its reason is another one now."""
        answer = self.apart.get(job.id)
        if answer is None:
            kind = self.waiting.class_of(job.id)
            answer = None if kind is None else self.answers.get(kind)
        if answer is None:
            return False
        job.decision, job.decided_at = bytes(answer.decision), answer.at
        news = job.reason != answer.text
        job.reason = answer.text
        return news

    def among(self, kinds: frozenset[int], jobs: Iterable[JobId]) -> Iterator[JobId]:
        """Yield those of *jobs* that are of these classes."""
        return (job for job in jobs if self.waiting.class_of(job) in kinds)

    def answer(self, plan: Plan, at: float) -> frozenset[int]:
        """Take the answers of a plan; return the classes whose reason is another one now."""
        changed = []
        answers = self.answers
        for kind, _, _, reason, decision in plan.refusals:
            old = answers.get(kind)
            if old is not None and (old.reason is reason or old.reason == reason):
                old.decision, old.at = decision, at
            else:
                answers[kind] = _answer(reason, decision, at)
                if old is not None:
                    changed.append(kind)
        return frozenset(changed)

    def answer_apart(self, rejections: Iterable[Rejection], at: float) -> set[JobId]:
        """Take answers for single jobs; return the jobs whose answer changed kind thereby."""
        before = set(self.apart)
        self.apart = {
            one.job: _answer(one.reason, one.decision, at)
            for one in rejections
            if one.job in self.waiting
        }
        return before ^ set(self.apart)


def _answer(reason: Reason, decision: SupportsBytes, at: float) -> Answer:
    return Answer(reason, f"waits: {sentence(reason)}", decision, at)


def tell_held(
    held: Held, jobs: dict[JobId, Job], waits: dict[JobId, None], plan: Plan, at: float
) -> list[Effect]:
    """Take what a plan says of those that stay; tell whose reason is new.

    Jobs that were new are told each; those that were told before hear by their class.
    """
    effects: list[Effect] = []
    changed = held.answer(plan, at)
    alone = held.answer_apart(plan.alone, at)
    for job_id in (*held.asked, *sorted(alone - set(held.asked))):
        job = jobs.get(job_id)
        if job is not None and job_id in waits and held.tell(job):
            effects.append(JobHeld(job))
    if changed:
        effects.append(ClassesHeld(changed))
    return effects
