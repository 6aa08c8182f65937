"""What is known of classes of jobs on a snapshot's rows, kept from one round to the next.

Only a cache: what it answers is what would be computed anew.  A row that changed is scored again
for all classes, a class that is new on all rows; the rest stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from res_federation.accounting.funds import Funds
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.placement.asleep import Asleep
from res_federation.placement.order import run_estimate, weight
from res_federation.placement.paying import Holder, Paying, noted
from res_federation.placement.policy import Policy
from res_federation.placement.price import Prices, cost_of, prices
from res_federation.placement.row_memo import RowMemo, Same
from res_federation.placement.rows import Floats, Ints, RowArrays, grades
from res_federation.placement.score import Board, Narrow, Scatter, Shard, score, score_shard
from res_federation.placement.shapes import (
    ShapeColumns,
    Shapes,
    Tables,
    encode_shapes,
)
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.terms import Considered, stands_on

_NONE: Ints = np.zeros(0, np.int64)


class Renewed(Protocol):
    """Classes of jobs, as `waiting.View` has them."""

    @property
    def specimens(self) -> Sequence[Job]:
        """A job of each."""
        ...

    @property
    def since(self) -> int:
        """How many there had been, one after the other, when the memo last looked."""
        ...

    @property
    def holders(self) -> Sequence[tuple[int, int, PartitionId]]:
        """Slot, class and partition of each job that holds a place in a site's queue."""
        ...

    @property
    def renewed(self) -> Sequence[int]:
        """Those that are new since then, or whose number means something else now."""
        ...


@dataclass(frozen=True, slots=True)
class Scores:
    """Classes on rows; the arrays are not changed while anybody may read them.

    Attributes:
        columns: What classes ask for.
        scored: (classes, rows, 3) as `kernels.score_shapes` gives it.
        estimate: (classes,) seconds that a job is expected to run.
        wide: (classes,) how much its width counts for its turn.
        long: (classes,) how much its length counts against it.
        cost: (classes, rows) what ranks the rows where a job can start; the least is taken.

    """

    columns: ShapeColumns
    scored: Narrow
    estimate: Ints
    wide: Floats
    long: Floats
    cost: Floats


class Memo:
    """The newest scores. Used by one round at a time."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._key: tuple[Any, ...] = ()
        self._words: tuple[Any, ...] | None = None
        self._tables: Tables | None = None
        self._fixed: Ints = np.zeros((0, 0), np.int64)
        self._scores: Scores | None = None
        self._dear_as: tuple[object, ...] = ()
        self._grade: Ints = np.zeros(0, np.int64)
        self._prices: Prices | None = None
        self._count = 0
        self.scored_shapes = 0
        """Classes that were scored on all rows so far: jobs of a class share it."""
        self.looked = 0
        """Classes that the newest round looked at."""
        self.asleep = Asleep()
        self.rows = RowMemo()
        self._paying: Paying | None = None
        self._paid: tuple[tuple[object, ...], Scores] | None = None
        self.known = 0
        """How many classes there had been, one after the other, when the newest round looked."""

    def scores(
        self,
        view: Renewed,
        rows: RowArrays,
        snapshot: Snapshot,
        policy: Policy,
        scatter: Scatter,
    ) -> Scores:
        """Return what is known of the classes of *view* on *rows*."""
        fresh = self._fresh(view, rows, snapshot, policy)
        found = self._scored(view, fresh, rows, snapshot, policy, scatter)
        if snapshot.funds is None:
            self._paying = self._paid = None
            return found
        return self._with_grants(found, view, fresh, rows, snapshot.funds)

    def _with_grants(
        self, found: Scores, view: Renewed, fresh: Sequence[int], rows: RowArrays, funds: Funds
    ) -> Scores:
        """Return scores with what no grant pays for noted over them; the same while they are."""
        self._paying = self._paying or Paying()
        codes, other = self._paying.codes(view.specimens, fresh, rows.rows, funds)
        self.asleep.forget(other)
        holders = {Holder(kind, partition) for _, kind, partition in view.holders}
        key = (Same(found), Same(codes), holders)
        if self._paid is None or self._paid[0] != key:
            paid = replace(found, scored=noted(found.scored, codes, holders, rows.rows))
            self._paid = key, paid
        return self._paid[1]

    def _scored(
        self, view: Renewed, fresh: Sequence[int], rows: RowArrays, snapshot: Snapshot,
        policy: Policy, scatter: Scatter,
    ) -> Scores:  # fmt: skip
        """Return what is known of the classes but for who pays."""
        specimens = view.specimens
        changed: Ints = _NONE
        if rows.fixed is not self._fixed:
            changed = np.flatnonzero((self._fixed != rows.fixed).any(axis=1))
        stand = stands_on(snapshot, rows, policy)
        as_dear = stand == self._dear_as and not len(changed)
        if self._scores is not None and not fresh and as_dear:
            self.known = view.since + len(view.renewed)
            return self._scores
        found = self._room(len(specimens), len(rows.frame))
        if len(changed):
            found = self._rescore(found, rows, changed)
        if fresh:
            self._add(found, fresh, specimens, rows, snapshot, policy, scatter)
        if not as_dear:
            self._grade = grades(rows)
        of = self.considered(found.columns, specimens, rows, snapshot, policy)
        cost: Floats = found.cost
        if not as_dear:
            self._prices = prices(of)
            cost = np.zeros_like(found.columns.transfer)
        elif cost.shape != found.columns.transfer.shape:
            cost = np.zeros_like(found.columns.transfer)
            cost[: len(found.cost)] = found.cost
        priced = fresh if as_dear else range(len(specimens))
        cost[priced] = cost_of(of, self._prices, found.columns, priced)
        self._fixed, self._dear_as = rows.fixed, stand
        self._scores = Scores(
            found.columns, found.scored, found.estimate, found.wide, found.long, cost
        )
        self.known = view.since + len(view.renewed)
        return self._scores

    def considered(
        self, columns: ShapeColumns, specimens: Sequence[Job], rows: RowArrays,
        snapshot: Snapshot, policy: Policy,
    ) -> Considered:  # fmt: skip
        """Return what terms look at, of the classes that are known."""
        assert self._tables is not None, "rows are known"
        count = len(specimens)
        return Considered(
            rows, self._grade, columns.numbers[:count], columns.tables[:count],
            self._tables.array(), columns.transfer[:count], columns.reference[:count], specimens,
            snapshot, policy,
        )  # fmt: skip

    def _room(self, classes: int, rows: int) -> Scores:
        """Return arrays with room for all classes; a quarter more when they must grow."""
        old = self._scores
        have = 0 if old is None else len(old.estimate)
        if old is not None and have >= classes:
            return old
        size = classes + classes // 4
        grown: list[Any] = [
            np.zeros((size, *shape), kind)
            for shape, kind in (
                ((16,), np.int64), ((6,), np.int64), ((rows,), np.float64), ((), np.float64),
                ((), np.int64), ((rows, 3), np.int32), ((), np.int64), ((), np.float64),
                ((), np.float64),
            )
        ]  # fmt: skip
        if old is not None:
            before = (
                old.columns.numbers, old.columns.tables, old.columns.transfer,
                old.columns.reference, old.columns.throttle, old.scored, old.estimate,
                old.wide, old.long,
            )  # fmt: skip
            for new, past in zip(grown, before, strict=True):
                new[:have] = past
        numbers, tables, transfer, reference, throttle, scored, estimate, wide, long = grown
        columns = ShapeColumns(numbers, tables, transfer, reference, throttle)
        cost = np.zeros((0, 0)) if old is None else old.cost
        return Scores(columns, scored, estimate, wide, long, cost)

    def _rescore(self, found: Scores, rows: RowArrays, changed: Ints) -> Scores:
        """Score all known classes on the rows that changed, in arrays that nobody reads yet."""
        assert self._tables is not None, "classes are known"
        count = self._count
        board = Board(rows.version, rows.fixed[changed], self._tables.array()[:, changed])
        numbers, tables = found.columns.numbers[:count], found.columns.tables[:count]
        scored = found.scored.copy()
        scored[:count, changed] = score_shard(board, Shard(0, numbers, tables)).verdicts
        return replace(found, scored=scored)

    def _add(
        self, found: Scores, fresh: Sequence[int], specimens: Sequence[Job], rows: RowArrays,
        snapshot: Snapshot, policy: Policy, scatter: Scatter,
    ) -> None:  # fmt: skip
        """Encode and score classes that are new; nobody reads their places in the arrays yet."""
        assert self._tables is not None, "rows are known"
        firsts = [specimens[number] for number in fresh]
        new = encode_shapes(firsts, self._tables, rows, snapshot.distances, policy)
        for name in ("numbers", "tables", "transfer", "reference", "throttle"):
            getattr(found.columns, name)[fresh] = getattr(new, name)
        used, which = np.unique(new.tables, return_inverse=True)  # all that workers need of them
        board = Board(rows.version, rows.fixed, self._tables.array()[used])
        shapes = Shapes(new.numbers, which.reshape(new.tables.shape), board.codes)
        found.scored[fresh] = score(board, shapes, scatter)
        found.estimate[fresh] = [run_estimate(job) for job in firsts]
        if policy.late is not None:
            weights = [weight(job, policy.late) for job in firsts]
            found.wide[fresh] = [wide for wide, _ in weights]
            found.long[fresh] = [long for _, long in weights]
        self.scored_shapes += len(fresh)
        self._count = len(specimens)
        self.asleep.forget(fresh)

    def _fresh(
        self, view: Renewed, rows: RowArrays, snapshot: Snapshot, policy: Policy
    ) -> Sequence[int]:
        """Return the classes of which nothing is known: all, where what is known stands on else."""
        key = (Same(snapshot.distances), policy, Same(snapshot.residency))
        words = rows.words is self._words or rows.words == self._words
        if words and key == self._key and self._scores is not None:
            self._words = rows.words
            return sorted(set(view.renewed[max(0, self.known - view.since) :]))
        self._key, self._words = key, rows.words
        self._tables = Tables(rows.rows, snapshot.residency)
        self._scores, self._fixed, self._count, self._dear_as = None, rows.fixed, 0, ()
        self.asleep = Asleep()
        return range(len(view.specimens))
