"""One job's decision as ordered reasons and numbers; and the smallest change that flips it."""

from __future__ import annotations

from collections.abc import Sequence

from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.plan import Candidate, Explanation
from res_federation.model.reason import Code, Reason
from res_federation.placement.counterfactual import counterfactual
from res_federation.placement.packing import RowVerdict, unpack

__all__ = ["counterfactual", "explain"]


def explain(
    job: JobId, decision: bytes, frame: Sequence[PartitionId], decided_at: float
) -> Explanation:
    """Return every partition of every member with its score, or the constraint that failed.

    Partitions with rows of several shapes are told by their best row.  Feasible ones come first,
    by score; the others follow by identifier.
    """
    chosen, verdicts = unpack(decision)
    best: dict[PartitionId, tuple[int, RowVerdict]] = {}
    for row, (partition, verdict) in enumerate(zip(frame, verdicts, strict=True)):
        if partition not in best or _rank(row, verdict, chosen) < _rank(*best[partition], chosen):
            best[partition] = (row, verdict)
    floor = verdicts[chosen].score_s if chosen >= 0 else None
    candidates = [
        _candidate(partition, verdict, row == chosen, floor)
        for partition, (row, verdict) in best.items()
    ]
    candidates.sort(
        key=lambda one: (
            one.reasons[0].code is not Code.CHOSEN,
            not one.feasible,
            one.score_s or 0.0,
            one.partition,
        )
    )
    scores = [one.score_s for one in candidates if one.score_s is not None]
    return Explanation(
        job=job,
        chosen=frame[chosen] if chosen >= 0 else None,
        candidates=tuple(candidates),
        decided_at=decided_at,
        margin_s=round(scores[1] - scores[0], 3) if chosen >= 0 and len(scores) > 1 else None,
    )


def _rank(row: int, verdict: RowVerdict, chosen: int) -> tuple[bool, float, int]:
    score = verdict.score_s
    worst = float("inf") if score is None else score
    return row != chosen, worst, -int(verdict.reason.code)


def _candidate(
    partition: PartitionId, verdict: RowVerdict, is_chosen: bool, floor: float | None
) -> Candidate:
    score = verdict.score_s
    if score is None:
        return Candidate(partition, False, (verdict.reason,))
    if is_chosen:
        reason = Reason(Code.CHOSEN)
    elif verdict.reason.code is Code.LEFT_FOR_OTHERS:
        reason = verdict.reason
    else:
        behind = -1 if floor is None else max(0, round(score - floor))
        reason = Reason(Code.OUTRANKED, needed=behind)
    return Candidate(partition, True, (reason,), round(score, 3), verdict.terms)
