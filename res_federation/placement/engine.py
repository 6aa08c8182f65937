"""`place`: where jobs go, and why. Pure: the same input gives the same plan, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from res_federation.model.forecast import Expected
from res_federation.model.job import Job
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Code, Reason
from res_federation.placement import packing
from res_federation.placement.decide import Decided, consider, spent
from res_federation.placement.decide_late import Round, decide_late
from res_federation.placement.foretell import foretell
from res_federation.placement.order import in_turn
from res_federation.placement.packing import Decision
from res_federation.placement.policy import Policy
from res_federation.placement.refusals import Refusals
from res_federation.placement.rows import RowArrays
from res_federation.placement.score import Scatter, in_process
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.waiting import View, Waiting

__all__ = ["Scatter", "in_process", "place"]


def place(
    snapshot: Snapshot,
    jobs: Sequence[Job],
    policy: Policy,
    *,
    scatter: Scatter = in_process,
    sweep: bool = False,
) -> Plan:
    """Return where each of *jobs* goes, and why.

    A policy that starts late sends jobs in their turn (`order.turn`), each only where it can start
    now without taking nodes that are kept for one before it (`late`); the others stay.  Otherwise
    jobs are decided first come first served, each for the partition where it is expected to
    complete first: expected start (free nodes, release profile, queue), plus the transfer of its
    input, plus its limit scaled by the accelerator.  What a job takes is not there for the next.
    A `View` of waiting jobs keeps what is known of their classes from one round to the next, and
    classes for which nothing has changed since are not asked again, but with *sweep*; the outcome
    is the same.
    Equal scores (to the microsecond) are settled by xorshift64(blake2b(seed, job) xor
    blake2b(partition)).  Neither the order of jobs or rows nor *scatter* changes the outcome.
    """
    if policy.late is not None:
        by_user = policy.late.fair_share > 0
        view = (
            jobs if isinstance(jobs, View) else Waiting(policy.seed, jobs, by_user=by_user).view()
        )
        rows = spent(snapshot, policy, scatter, view.memo.rows)
        found = decide_late(snapshot, rows, view, policy, policy.late, scatter, sweep=sweep)
        return _plan_by_class(view, found, foretell(found, view, policy.late, snapshot))
    ordered = in_turn(jobs, snapshot.at, policy)
    rows, decided = consider(snapshot, ordered, policy, scatter=scatter)
    return _plan(rows, ordered, decided)


def _plan(rows: RowArrays, jobs: Sequence[Job], decided: Decided) -> Plan:
    decisions = packing.pack(rows.frame_id, decided)
    chosen, starts = decided.chosen.tolist(), decided.starts.tolist()
    first = (
        decided.terms[np.arange(len(jobs)), np.maximum(decided.chosen, 0), 0].tolist()
        if rows.frame
        else []
    )
    assignments, rejections = [], []
    known: dict[bytes, tuple[bool, Reason]] = {}
    for number, job in enumerate(jobs):
        row = chosen[number]
        if row >= 0:
            assignments.append(
                Assignment(
                    job.id, rows.frame[row], row, starts[number], first[number], decisions[number]
                )
            )
        else:
            permanent, reason = _nearest(decided, number, known)
            rejections.append(Rejection(job.id, permanent, reason, decisions[number]))
    return Plan(rows.version, rows.frame, rows.frame_id, tuple(assignments), tuple(rejections))


def _plan_by_class(view: View, found: Round, expected: tuple[Expected, ...]) -> Plan:
    rows, told = found.rows, found.found
    frame, kinds = rows.frame, told.kind.tolist()
    assignments, alone = [], []
    unpaid = set(found.unpaid)
    places, begins, slots = told.place.tolist(), told.begin.tolist(), told.slot.tolist()
    for event, row in enumerate(told.row.tolist()):
        if row >= 0:
            decision = Decision(found, kinds[event], event)
            job = view.job(slots[event]).id
            assignments.append(Assignment(job, frame[row], row, True, 0.0, decision))
        elif event in unpaid:
            job = view.job(slots[event]).id
            decision = Decision(found, kinds[event], event)
            alone.append(Rejection(job, False, Reason(Code.GRANT_SPENT), decision))
        elif places[event] >= 0:
            held = places[event]
            alone.append(
                Rejection(
                    view.job(slots[event]).id, False, Reason(Code(told.codes[event, held])),
                    Decision(found, kinds[event], event), frame[held], begins[event],
                )
            )  # fmt: skip
    refusals = Refusals(found)
    return Plan(
        rows.version, frame, rows.frame_id, tuple(assignments), tuple(alone), refusals,
        refusals.permanent, view, int(told.looked), found.caught, expected,
    )  # fmt: skip


def _nearest(
    decided: Decided, number: int, known: dict[bytes, tuple[bool, Reason]]
) -> tuple[bool, Reason]:
    """Say whether a job can never run, with the reason of the row that comes nearest.

    Jobs of one shape mostly share their verdicts: *known* keeps the answers of this round.
    """
    verdicts = decided.verdicts[number]
    if not len(verdicts):
        return False, Reason(Code.SITE_NOT_CONNECTED)
    key = verdicts.tobytes()
    if key not in known:
        reasons = [Reason(Code(c), n, h) for c, n, h in verdicts.tolist()]
        waits = [reason for reason in reasons if reason.code.temporary]
        known[key] = (
            not waits,
            max(waits or reasons, key=lambda one: (one.code.nearness, -one.needed, one.have)),
        )
    return known[key]
