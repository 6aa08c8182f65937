"""The smallest single change of a request that would flip its outcome.

Found by asking `place` itself about changed requests, so what it promises holds: whoever
resubmits with the change gets the other outcome, as long as capacity stays as it is.  Of each
amount the largest that flips is searched by halving, so a limit comes out as the site has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import SupportsBytes

from res_federation.accounting.funds import Purse
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job, JobSpec
from res_federation.model.plan import Assignment, Counterfactual, Plan, Rejection
from res_federation.model.reason import Code
from res_federation.model.sentences import duration, moment
from res_federation.placement.changes import Amount, Change, amounts, dropped
from res_federation.placement.engine import place
from res_federation.placement.packing import RowVerdict, unpack
from res_federation.placement.paying import begun_at
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Snapshot

NO_CHANGE = "no single change of the request helps now"
_HOURS = (Code.GRANT_SPENT, Code.GRANT_NOT_BEGUN)
ONLY_ONE = "it is the only partition that can run the job"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        chosen: Where it goes now, or None.
        waits_for: A partition that it may wait for, or None.
        verdicts: Of every row.
        frame: Partitions of the rows.

    """

    chosen: PartitionId | None
    waits_for: PartitionId | None
    verdicts: tuple[RowVerdict, ...]
    frame: tuple[PartitionId, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A job on a snapshot, beside those that wait before it."""

    snapshot: Snapshot
    job: Job
    policy: Policy
    ahead: tuple[Job, ...]

    def answer(self, spec: JobSpec) -> Outcome:
        """Return what becomes of the job with *spec*; no site has refused that one."""
        refused = self.job.refused if spec is self.job.spec else ()
        job = replace(self.job, spec=spec, refused=refused)
        plan = place(self.snapshot, [*self.ahead, job], self.policy)
        row, verdicts = unpack(_decision(plan, job.id))
        waits = [
            name
            for name, one in zip(plan.frame, verdicts, strict=True)
            if one.reason.code.temporary
        ]
        return Outcome(
            plan.frame[row] if row >= 0 else None, waits[0] if waits else None, verdicts, plan.frame
        )


def _decision(plan: Plan, job: JobId) -> SupportsBytes:
    told: list[Assignment | Rejection] = [*plan.assignments, *plan.rejections]
    return next(one.decision for one in told if one.job == job)


def counterfactual(
    snapshot: Snapshot, job: Job, policy: Policy, ahead: Sequence[Job] = ()
) -> Counterfactual:
    """Return what would have to be different.

    For a job that goes nowhere now: the smallest change of one property after which it would go
    somewhere, or, where no partition could ever take it, after which it may wait for one; and when
    a grant begins that will pay for it as it is.  For one
    that is placed: the smallest change after which it goes to another partition; without one, how
    much earlier the runner-up would have to complete it.  `changes` says how changes compare.

    Args:
        snapshot: Capacity.
        job: Which.
        policy: What is weighed.
        ahead: Jobs that wait beside it and may have their turn before.

    """
    question = Question(snapshot, job, policy, tuple(one for one in ahead if one.id != job.id))
    now = question.answer(job.spec)
    if now.chosen is not None:
        found = _smallest(question, now, lambda then: then.chosen not in (None, now.chosen))
        return found or Counterfactual(_beside(now))
    if not now.verdicts:
        return Counterfactual(NO_CHANGE)
    found = _smallest(question, now, lambda then: then.chosen is not None)
    if found is None and now.waits_for is None:
        found = _smallest(question, now, lambda then: then.waits_for is not None)
    later = _later(question)
    if later is not None and found is not None:
        return replace(found, sentence=f"{later.sentence}; or {found.sentence}")
    return later or found or Counterfactual(NO_CHANGE)


def _later(question: Question) -> Counterfactual | None:
    """Return from when on the job goes somewhere, unchanged, because a grant begins to pay."""
    funds, project = question.snapshot.funds, question.job.spec.project
    if funds is None:
        return None
    mine = {part: purses for (whose, part), purses in funds.items() if whose == project}
    times = {one.begins for purses in mine.values() for one in purses if one.begins}
    for at in sorted(times):
        paying = {(project, part): begun_at(purses, at) for part, purses in mine.items()}
        snapshot = replace(question.snapshot, funds={**funds, **paying})
        then = replace(question, snapshot=snapshot).answer(question.job.spec)
        partition = then.chosen or _waits_where(then, mine, at)
        if partition is not None:
            begun = [one for one in mine.get(partition, ()) if 0.0 < one.begins <= at]
            which = f"grant {begun[-1].grant}" if begun else "a grant"
            wait = "" if then.chosen else ", where it would wait for its turn"
            return Counterfactual(
                f"{partition} from {moment(at)}, when {which} begins{wait}", (), partition
            )
    return None


def _waits_where(
    then: Outcome, mine: Mapping[PartitionId, tuple[Purse, ...]], at: float
) -> PartitionId | None:
    """Return a partition that a job waits for, for want of nodes alone, once a grant has begun."""
    for part, verdict in zip(then.frame, then.verdicts, strict=True):
        begun = any(0.0 < one.begins <= at for one in mine.get(part, ()))
        if begun and verdict.reason.code.temporary and verdict.reason.code not in _HOURS:
            return part
    return None


def _smallest(
    question: Question, now: Outcome, flips: Callable[[Outcome], bool]
) -> Counterfactual | None:
    """Return the smallest change after which *flips* holds; the first of equals."""
    best: tuple[float, Change, Outcome] | None = None
    for change, then in _flipping(question, now, flips):
        if best is None or change.size < best[0]:
            best = (change.size, change, then)
    if best is None:
        return None
    _, change, then = best
    partition = then.chosen or then.waits_for
    assert partition is not None, "what flips leads somewhere"
    wait = "" if then.chosen else ", where it would wait for its turn"
    return Counterfactual(f"{partition} if {change.words}{wait}", change.fields, partition)


def _flipping(
    question: Question, now: Outcome, flips: Callable[[Outcome], bool]
) -> Iterator[tuple[Change, Outcome]]:
    spec = question.job.spec
    thresholds = tuple({one.reason.have for one in now.verdicts if one.reason.have > 0})
    for amount in amounts(spec):
        found = _largest(question, amount, thresholds, flips)
        if found is not None:
            yield found
    for change in dropped(spec):
        then = question.answer(change.spec)
        if flips(then):
            yield change, then


def _largest(
    question: Question,
    amount: Amount,
    thresholds: tuple[int, ...],
    flips: Callable[[Outcome], bool],
) -> tuple[Change, Outcome] | None:
    """Return the change to the largest amount that flips, next below one that does not."""
    above, best = amount.have, None
    for value in amount.tried(thresholds):
        change = amount.change(value)
        then = question.answer(change.spec)
        if flips(then):
            best = (value, change, then)
            break
        above = value
    if best is None:
        return None
    while above - best[0] > amount.step:
        value = (above + best[0]) // 2 // amount.step * amount.step
        if value <= best[0]:
            break
        change = amount.change(value)
        then = question.answer(change.spec)
        if flips(then):
            best = (value, change, then)
        else:
            above = value
    return best[1], best[2]


def _beside(now: Outcome) -> str:
    """Say what the other partitions lack, where no smaller request would change anything."""
    scored = [
        (verdict.score_s, name, dict(verdict.terms))
        for name, verdict in zip(now.frame, now.verdicts, strict=True)
        if verdict.score_s is not None
    ]
    others = sorted((one for one in scored if one[1] != now.chosen), key=lambda one: one[:2])
    if not others:
        return ONLY_ONE
    mine = min((one for one in scored if one[1] == now.chosen), key=lambda one: one[0])
    score, partition, terms = others[0]
    gap = score - mine[0]
    if gap <= 0:
        return f"{partition} is as good: the documented draw between equals decided"
    dearer = max(terms, key=lambda name: terms[name] - mine[2].get(name, 0.0))
    word = dearer.removesuffix("_s").replace("_", " ")
    amount = duration(gap) if gap >= 1 else f"{gap:.2g} s"
    return f"{partition} would be chosen but for {amount} more, mostly of {word}"
