"""The smallest single change of a request that would flip its outcome.

Found by asking `place`'s own decision about changed requests, so what it promises holds: whoever
resubmits with the change gets the other outcome, as long as capacity stays as it is.  Of each
amount the largest that flips is searched by halving, so a limit comes out as the site has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job, JobSpec
from res_federation.model.plan import Counterfactual
from res_federation.model.reason import Code
from res_federation.model.sentences import duration
from res_federation.placement.changes import Amount, Change, amounts, dropped
from res_federation.placement.decide import consider
from res_federation.placement.order import in_turn
from res_federation.placement.packing import RowVerdict, pack, unpack
from res_federation.placement.policy import SMALL, LateStart, Policy
from res_federation.placement.snapshot import Snapshot

NO_CHANGE = "no single change of the request helps now"
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
        queue = in_turn([*self.ahead, job], self.snapshot.at, self.policy)
        rows, decided = consider(self.snapshot, queue, self.policy)
        place = next(number for number, one in enumerate(queue) if one.id == job.id)
        row, verdicts = unpack(pack(rows.frame_id, decided)[place])
        waits = [
            name
            for name, one in zip(rows.frame, verdicts, strict=True)
            if one.reason.code.temporary
        ]
        return Outcome(
            rows.frame[row] if row >= 0 else None, waits[0] if waits else None, verdicts, rows.frame
        )


def counterfactual(
    snapshot: Snapshot, job: Job, policy: Policy, ahead: Sequence[Job] = ()
) -> Counterfactual:
    """Return what would have to be different.

    For a job that goes nowhere now: the smallest change of one property after which it would go
    somewhere, or, where no partition could ever take it, after which it may wait for one.  For one
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
        return found or Counterfactual(_beside(now, policy))
    if not now.verdicts:
        return Counterfactual(NO_CHANGE)
    found = _smallest(question, now, lambda then: then.chosen is not None)
    if found is None and now.waits_for is None:
        found = _smallest(question, now, lambda then: then.waits_for is not None)
    return found or Counterfactual(NO_CHANGE)


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


def _beside(now: Outcome, policy: Policy) -> str:
    """Say what the other partitions lack, where no smaller request would change anything."""
    if policy.late is not None:
        return _also(now, policy.late)
    scores = sorted(
        (verdict.score_s, name)
        for name, verdict in zip(now.frame, now.verdicts, strict=True)
        if verdict.score_s is not None and name != now.chosen
    )
    if not scores:
        return ONLY_ONE
    score, partition = scores[0]
    mine = min(
        verdict.score_s
        for name, verdict in zip(now.frame, now.verdicts, strict=True)
        if verdict.score_s is not None and name == now.chosen
    )
    gap = max(0.0, score - mine)
    if gap < 1:
        return f"{partition} is as good: the documented draw between equals decided"
    return f"{partition} would be chosen if it completed {duration(gap)} earlier"


def _also(now: Outcome, late: LateStart) -> str:
    """Say who else could start the job now, where each is sent only when it can start."""
    others = [
        name
        for name, verdict in zip(now.frame, now.verdicts, strict=True)
        if verdict.reason.code is Code.LEFT_FOR_OTHERS
    ]
    if not others:
        return "no other partition can start it now"
    word = "smallest" if late.prefer == SMALL else "emptiest"
    return f"{others[0]} could start it now too: the policy takes the {word} that can"
