"""Jobs that wait for a policy that starts late: by class, each class with its newest answer.

A long queue hears of a round by its classes: what a job is told is looked up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import SupportsBytes

import numpy as np

from res_federation.model.identifiers import JobId
from res_federation.model.job import Job
from res_federation.model.plan import Plan, Rejection
from res_federation.model.reason import Reason
from res_federation.placement.refusals import Refusals
from res_federation.placement.waiting import View, Waiting

FORETOLD = 500
"""Jobs of which one round foretells when they start: of more that are new the next rounds do."""
MANY = 1000
"""New jobs of one round that are told each by itself; more than that hear by their classes."""
_NOTHING = -1


@dataclass(slots=True)
class Answer:
    """What the newest round said of one job."""

    reason: Reason
    decision: SupportsBytes
    at: float


class Held:
    """Queued jobs by class.

    Attributes:
        waiting: The jobs.
        apart: Of jobs for which the newest round had an answer of their own.
        asked: Jobs that were new when the round in flight was asked for.
        untold: Jobs of which nobody has foretold yet when they start.

    """

    __slots__ = ("_at", "_refusals", "_said", "_telling", "apart", "asked", "untold", "waiting")

    def __init__(self, seed: int, jobs: Iterable[Job], *, by_user: bool = False) -> None:
        """Begin with *jobs*; *seed* draws what breaks ties, *by_user* is as `Waiting` has it."""
        self.waiting = Waiting(seed, jobs, by_user=by_user)
        self.apart: dict[JobId, Answer] = {}
        self.asked: tuple[JobId, ...] = ()
        self.untold: dict[JobId, None] = {}
        self._telling: tuple[JobId, ...] = ()
        self._refusals: Refusals | None = None
        self._said = np.full((0, 4), _NOTHING, np.int64)
        self._at = 0.0

    def ask(self, new: Iterable[Job]) -> View:
        """Return all that wait, for a round of which *new* jobs have not heard yet.

        It foretells when jobs start of which nobody has: of new ones first, then of older ones.
        """
        asked: list[JobId] = []
        telling: list[JobId] = []
        for job in new:
            asked.append(job.id)
            if job.forecast is None:
                if len(telling) < FORETOLD:
                    telling.append(job.id)
                    self.untold.pop(job.id, None)
                else:
                    self.untold[job.id] = None
        for job_id in [*islice(self.untold, FORETOLD - len(telling))]:
            del self.untold[job_id]
            if job_id in self.waiting:
                telling.append(job_id)
        self.asked, self._telling = tuple(asked), tuple(telling)
        return self.waiting.view(self._telling)

    def again(self) -> None:
        """Let the next round foretell what one did not that did not come back."""
        self.untold = dict.fromkeys(self._telling) | self.untold

    def answer_of(self, job: JobId) -> Answer | None:
        """Return what the newest round said of a job that waits."""
        answer = self.apart.get(job)
        kind = self.waiting.class_of(job)
        if answer is not None or kind is None or self._refusals is None:
            return answer
        found = self._refusals.of_kind(kind)
        return None if found is None else Answer(found.reason, found.decision, self._at)

    def among(self, kinds: frozenset[int], jobs: Iterable[JobId]) -> Iterator[JobId]:
        """Yield those of *jobs* that are of these classes."""
        return (job for job in jobs if self.waiting.class_of(job) in kinds)

    def answer(self, plan: Plan, at: float) -> frozenset[int]:
        """Take the answers of a plan by class; return the classes whose reason is another one."""
        found = plan.refusals
        assert isinstance(found, Refusals), "it is a plan by class"
        self._refusals, self._at = found, at
        most = int(found.kinds[-1]) + 1 if len(found) else 0
        if most > len(self._said):
            more = np.full((most - len(self._said) + most // 4, 4), _NOTHING, np.int64)
            self._said = np.concatenate((self._said, more))
        before = self._said[found.kinds]
        other = (before != found.nearest).any(axis=1) & (before[:, 0] != _NOTHING)
        self._said[found.kinds] = found.nearest
        return frozenset(found.kinds[other].tolist())

    def answer_apart(self, rejections: Iterable[Rejection], at: float) -> set[JobId]:
        """Take answers for single jobs; return the jobs whose answer changed kind thereby."""
        before = self.apart
        self.apart = {
            one.job: Answer(one.reason, one.decision, at)
            for one in rejections
            if one.job in self.waiting
        }
        return before.keys() ^ self.apart.keys()

    def every_kind(self) -> frozenset[int]:
        """Return all classes that the newest round had an answer for."""
        return frozenset() if self._refusals is None else frozenset(self._refusals.kinds.tolist())
