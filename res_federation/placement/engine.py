"""`place`: where jobs go, and why. Pure: the same input gives the same plan, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from res_federation.model.job import Job
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Code, Reason
from res_federation.placement import packing
from res_federation.placement.decide import Decided, consider
from res_federation.placement.order import in_turn
from res_federation.placement.policy import Policy
from res_federation.placement.rows import RowArrays
from res_federation.placement.score import Scatter, in_process
from res_federation.placement.snapshot import Snapshot

__all__ = ["Scatter", "in_process", "place"]


def place(
    snapshot: Snapshot, jobs: Sequence[Job], policy: Policy, *, scatter: Scatter = in_process
) -> Plan:
    """Return where each of *jobs* goes, and why.

    A policy that starts late sends jobs in their turn (`order.turn`), each only where it can start
    now without taking nodes that are kept for one before it (`late`); the others stay.  Otherwise
    jobs are decided first come first served, each for the partition where it is expected to
    complete first: expected start (free nodes, release profile, queue), plus the transfer of its
    input, plus its limit scaled by the accelerator.  What a job takes is not there for the next.
    Equal scores (to the microsecond) are settled by xorshift64(blake2b(seed, job) xor
    blake2b(partition)).  Neither the order of jobs or rows nor *scatter* changes the outcome.
    """
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
            max(waits or reasons, key=lambda one: (one.code, -one.needed, one.have)),
        )
    return known[key]
