"""When the jobs are expected to start that a round of late binding did not send, and were new."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from res_federation.model.forecast import Expected
from res_federation.placement.decide_late import Round
from res_federation.placement.early import early, expected_releases
from res_federation.placement.forecast import (
    LAID,
    Expectations,
    Links,
    before,
    demands,
    expect,
    first_in_turn,
)
from res_federation.placement.ground import Flags
from res_federation.placement.kernels import Floats
from res_federation.placement.order import processors
from res_federation.placement.policy import LateStart
from res_federation.placement.rows import AVAILABLE, Ints
from res_federation.placement.shapes import TASKS
from res_federation.placement.snapshot import Early, Snapshot
from res_federation.placement.waiting import View

GRID = 16
"""Turns for which the work before them is counted; what lies between is between."""


def foretell(one: Round, view: View, late: LateStart, snapshot: Snapshot) -> tuple[Expected, ...]:
    """Return what is expected of jobs that wait.

    Args:
        one: The round.
        view: The queue that it was about; of those asked for that were sent nothing is told.
        late: The policy's order.
        snapshot: What the round was about.

    """
    if not view.asked or not len(one.rows.frame):
        return ()
    at, sent = snapshot.at, np.zeros(len(view.after), np.bool_)
    sent[one.found.slot[one.found.row >= 0]] = True
    wanted = {slot: kind for slot, kind in view.asked if not sent[slot]}
    if not wanted:
        return ()
    head = _heads(one, view, sent)
    scores = one.scores
    slots, kinds, left = first_in_turn(
        head, view.after, view.submitted, scores.wide, scores.long, at, late.age_s, LAID
    )
    place = {slot: number for number, slot in enumerate(slots.tolist())}
    others = [slot for slot in wanted if slot not in place]
    theirs = np.array([wanted[slot] for slot in others], np.int64)
    if not others:  # nobody behind them matters
        last = max(place[slot] for slot in wanted) + 1
        slots, kinds = slots[:last], kinds[:last]
    ahead = _ahead(one, view, np.array(others, np.int64), theirs, left, kinds, late, at)
    every = np.concatenate([kinds, theirs])
    known, shape = np.unique(every, return_inverse=True)
    rows, columns = one.rows, scores.columns
    tasks = columns.numbers[known, TASKS].copy()
    need, lost, free = demands(scores.scored[known], tasks, rows.fixed, rows.free, rows.bars)
    size = rows.fixed[:, AVAILABLE].astype(np.float64)
    length = scores.estimate[known].astype(np.float64)

    def when(after: Floats, worth: Floats) -> Expectations:
        return expect(
            need, lost, tasks, columns.throttle[known], length, shape.reshape(-1),
            np.array([len(kinds)]), ahead, free, after, worth,
            rows.backlog / np.maximum(size, 1.0), size,
        )  # fmt: skip

    start, _, _ = when(rows.release_after, rows.release_nodes)
    near, where, queue = when(*expected_releases(rows, _running(one, view, snapshot)))
    told = [(slot, place[slot]) for slot in wanted if slot in place]
    told += [(slot, len(kinds) + number) for number, slot in enumerate(others)]
    return tuple(
        Expected(
            job=(job := view.job(slot)).id,
            partition=rows.frame[where[number]] if where[number] >= 0 else None,
            raw_s=float(start[number]),
            near_s=float(near[number]),
            width=processors(job.spec.request, late.accelerator_width),
            length_s=float(scores.estimate[every[number]]),
            ahead_s=float(queue[number]),
        )
        for slot, number in told
    )


def _heads(one: Round, view: View, sent: Flags) -> Links:
    """Return (classes,) the oldest job of each that the round has not sent, -1 for none."""
    head = view.head.copy()
    for number in np.unique(one.found.kind[one.found.row >= 0]).tolist():
        while head[number] >= 0 and sent[head[number]]:
            head[number] = view.after[head[number]]
    return head


def _running(one: Round, view: View, snapshot: Snapshot) -> Iterator[Early]:
    """Yield what should end early: what runs, what is on its way, what this round has sent."""
    yield from snapshot.early
    sent = np.flatnonzero(one.found.row >= 0).tolist()
    started = [(each.job, each.partition) for each in snapshot.ordered] + [
        (view.job(int(one.found.slot[event])), one.rows.frame[int(one.found.row[event])])
        for event in sent
    ]
    for job, partition in started:
        found = early(job, partition, 0.0)
        if found is not None:
            yield found


def _ahead(
    one: Round, view: View, others: Ints, theirs: Ints, left: Links, laid: Ints,
    late: LateStart, at: float,
) -> Floats:  # fmt: skip
    """Return (others, rows) the work that has its turn before theirs, without what is laid."""
    rows, scores = one.rows, one.scores
    if not len(others):
        return np.zeros((0, len(rows.frame)))
    waited = np.maximum(0.0, at - view.submitted[others]) + late.age_s
    turn = waited * scores.wide[theirs] / scores.long[theirs]
    grid = np.geomspace(turn.min(), max(turn.max(), turn.min() * (1 + 1e-9)), GRID)
    count = view.sizes - np.bincount(laid, minlength=len(view.sizes))
    tasks = scores.columns.numbers[:, TASKS].copy()
    need, _, _ = demands(scores.scored, tasks, rows.fixed, rows.free, rows.bars)
    work = before(
        need, tasks, scores.estimate.astype(np.float64), left, count, view.submitted, scores.wide,
        scores.long, at, late.age_s, grid, rows.fixed[:, AVAILABLE].astype(np.float64),
    )  # fmt: skip
    return np.stack([np.interp(turn, grid, work[:, row]) for row in range(len(rows.frame))], axis=1)
