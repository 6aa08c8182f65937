"""A round of late binding over classes: arrays in, what became of each class out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from res_federation.placement import ground, kept_places, turns, walk
from res_federation.placement.asleep import wake
from res_federation.placement.ground import Flags
from res_federation.placement.kernels import Floats, Narrow
from res_federation.placement.memo import Scores
from res_federation.placement.order import share
from res_federation.placement.paying import Till
from res_federation.placement.policy import EMPTIEST, LateStart, Policy
from res_federation.placement.rows import Ints, RowArrays
from res_federation.placement.score import Scatter
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.terms import Considered, static_terms
from res_federation.placement.waiting import View


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the classes of a view.

    Attributes:
        rows: As the round leaves them: free nodes and releases spent.
        scores: Of the classes.
        considered: Returns what terms look at, rows as the round found them.
        found: What the loops found.
        kept: (places, 8) nodes that are kept, as `kept_places` has them; the job is a slot.
        full: (rows,) whether the federation may not let more runs wait there.
        waiting: (rows,) runs that wait, and how many may.
        nearest: (classes, 4) whether waiting cannot help, code, needed and have of the row that
            comes nearest, for classes of which jobs stay.
        caught: Jobs that were sent though their class was taken to sleep: only a sweep sees them.
        unpaid: Events of jobs that were to go where no grant had enough left in their turn.

    """

    rows: RowArrays
    scores: Scores
    considered: Callable[[], Considered]
    found: ground.Found
    kept: Floats
    full: Flags
    nearest: Ints
    caught: int
    unpaid: tuple[int, ...] = ()


def decide_late(
    snapshot: Snapshot, rows: RowArrays, view: View, policy: Policy, late: LateStart,
    scatter: Scatter, *, sweep: bool = False,
) -> Round:  # fmt: skip
    """Decide who of *view* starts on *rows*, of which what is ordered is spent already.

    With *sweep* every class is looked at, whether anything changed for it or not.
    """
    memo = view.memo
    scores = memo.scores(view, rows, snapshot, policy, scatter)
    backlog = rows.backlog.copy()

    def considered() -> Considered:
        before = replace(rows, backlog=backlog)
        return memo.considered(scores.columns, view.specimens, before, snapshot, policy)

    count = len(view.head)
    dozes, changed = memo.asleep.of(count, rows)
    classes = ground.Classes(
        scores.scored[:count], scores.columns.numbers, scores.columns.throttle, scores.estimate,
        _wide(scores, view, snapshot, late), scores.long, scores.cost,
        memo.asleep.able(scores, scores.scored[:count]),
        view.head.copy(),
        np.zeros_like(dozes) if sweep else dozes, changed,
    )  # fmt: skip
    jobs = ground.Jobs(
        view.after, view.submitted, view.name, view.salts(policy.seed), _held(view, rows, scores)
    )
    places = _places(rows)
    found = ground.Found(
        *walk.walk(
            _ground(rows), classes, jobs, places, float(snapshot.at), float(late.age_s),
            float(late.patience_s), float(policy.unknown_release_s), late.prefer == EMPTIEST,
            float(late.stay),
        )
    )  # fmt: skip
    unpaid = (
        () if snapshot.funds is None else cut(found, view, rows, Till(snapshot.funds, rows.rows))
    )
    memo.asleep.keep(found.sleeps, rows)
    memo.looked = int(found.looked)
    caught = 0
    if sweep:
        wake(dozes, scores.scored, changed)
        caught = int(dozes[found.kind[found.row >= 0]].sum())
    full = rows.waiting >= rows.fixed[:, 10]
    return Round(
        rows, scores, considered, found, places.columns[: places.used[0]], full,
        turns.nearest(scores.scored[:count], found.codes, found.failed, rows.fixed, rows.waiting),
        caught, unpaid,
    )  # fmt: skip


def cut(found: ground.Found, view: View, rows: RowArrays, till: Till) -> tuple[int, ...]:
    """Take back what no grant pays for after those before it; return the numbers of the events.

    Whoever holds a place where he goes, or stays, has paid.  What was spent of the rows stays so:
    the next round gives it to others.
    """
    paid = {(slot, partition) for slot, _, partition in view.holders}
    events = []
    goes, stands = found.row.tolist(), found.place.tolist()
    for event, slot in enumerate(found.slot.tolist()):
        to = goes[event]
        if to < 0 and stands[event] >= 0:
            held = stands[event]
            to = held if found.codes[event, held] == ground.PLACE_AT_SITE else -1
        if to < 0 or (slot, rows.frame[to]) in paid:
            continue
        if till.pay(view.job(slot).spec, rows.frame[to]) is None:
            found.row[event] = found.place[event] = -1
            found.codes[event, to] = ground.GRANT_SPENT
            events.append(event)
    return tuple(events)


def _wide(scores: Scores, view: View, snapshot: Snapshot, late: LateStart) -> Floats:
    """Return (classes,) how much width counts for a turn, and with it its user's fair share."""
    if late.fair_share <= 0 or not snapshot.shares:
        return scores.wide
    wide = scores.wide.copy()
    shares = [share(job, snapshot.shares, late) for job in view.specimens]
    wide[: len(shares)] *= shares
    return wide


def _ground(rows: RowArrays) -> ground.Ground:
    idle = (rows.free[:, :, 0] * rows.free[:, :, 1]).sum(axis=1)
    count = len(rows.frame)
    return ground.Ground(
        rows.fixed, rows.free, rows.bars, rows.release_after, rows.release_nodes, rows.backlog,
        rows.waiting, rows.salt, idle.astype(np.float64),
        rows.waiting >= rows.fixed[:, 10], rows.free[:, 0].copy(),
        rows.shared, rows.depth, np.zeros(count, np.int64), np.zeros(count), rows.ahead,
        rows.first, np.full(count, -1, np.int64),
    )  # fmt: skip


def _places(rows: RowArrays) -> ground.Places:
    """Make room for one kept place in each row: for whoever is first there."""
    count = len(rows.frame)
    return ground.Places(
        np.zeros((count, kept_places.KEPT_COLUMNS)), np.zeros((count, 4), np.int64),
        np.zeros((count, rows.free.shape[1], 4), np.int64), np.zeros(count, np.int64),
        np.zeros(count), np.zeros(1, np.int64),
    )  # fmt: skip


def _held(view: View, rows: RowArrays, scores: Scores) -> Ints:
    """Return (slots,) the row where a job holds a place, or -1."""
    found = np.full(len(view.submitted), -1, np.int64)
    for slot, kind, partition in view.holders:
        able = [
            row
            for row, name in enumerate(rows.frame)
            if name == partition and scores.scored[kind, row, 2] & 255 == 0
        ]
        if able:
            found[slot] = able[0]
    return found


def triples(one: Round, number: int, event: int) -> Narrow:
    """Return (rows, 3) code, needed, have of a class at an event, or as it sleeps."""
    scored: Narrow = one.scores.scored[number]
    told: Narrow = np.empty_like(scored)
    told[:, 0], told[:, 1], told[:, 2] = scored[:, 2] & 255, scored[:, 0], scored[:, 1]
    fits = told[:, 0] == 0
    codes = one.found.codes[event] if event >= 0 else None
    momentary = (
        np.where(one.full, ground.QUEUE_FULL, ground.NODES_BUSY) if codes is None else codes
    ).astype(np.int32)
    told[fits, 0], told[fits, 1:] = momentary[fits], -1
    busy, full = fits & (momentary == ground.NODES_BUSY), fits & (momentary == ground.QUEUE_FULL)
    told[busy, 1] = scored[busy, 0]
    told[full, 1], told[full, 2] = one.rows.waiting[full], one.rows.fixed[full, 10]
    return told


def terms_of(one: Round, number: int) -> Floats:
    """Return (rows, len(STATIC)) the seconds that ranked the rows for a class."""
    found: Floats = static_terms(one.considered().some([number]))[0]
    return found
