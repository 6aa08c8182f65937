"""Rows as arrays, kept from one snapshot to the next: only what changed is read anew.

Only a cache: what it answers is what would be computed anew, and `encode_rows` asks a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from res_federation.model.identifiers import site_of
from res_federation.model.resources import NodeShape, shape_numbers
from res_federation.placement.policy import LateStart, Policy
from res_federation.placement.rows import (
    FIXED_COLUMNS,
    MOST_ACCELERATORS,
    MOST_CORES,
    SITE,
    SPARE_BARS,
    SPARE_RELEASES,
    Flags,
    Floats,
    Ints,
    RowArrays,
    draw,
)
from res_federation.placement.snapshot import Profile, ReleaseIn, Row, Snapshot
from res_federation.slurm.site_rules import NO_RULES, rule_numbers


class Same:
    """Stands for an object among what something was made of: equal where it is the very same."""

    __slots__ = ("of",)

    def __init__(self, of: object) -> None:
        """Keep *of*, so that no other object takes its address."""
        self.of = of

    def __eq__(self, other: object) -> bool:
        """Tell whether *other* stands for the same object."""
        return isinstance(other, Same) and self.of is other.of

    __hash__ = object.__hash__


@dataclass(slots=True)
class _Lasting:
    """What does not change while only time passes; those that were handed out stay as they are."""

    fixed: Ints
    speed: Floats
    shared: Flags
    depth: Ints
    ahead: Floats
    first: Ints
    words: tuple[Any, ...]

    def copy(self) -> _Lasting:
        return _Lasting(
            self.fixed.copy(), self.speed.copy(), self.shared.copy(), self.depth.copy(),
            self.ahead.copy(), self.first.copy(), self.words,
        )  # fmt: skip


class RowMemo:
    """The newest rows. Used by one round at a time."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._policy: Policy | None = None
        self._still: list[object] = []
        self._alike = True
        self._order: list[int] = []
        self._keys: list[tuple[object, NodeShape]] = []
        self._frame: tuple[Any, ...] = ()
        self._frame_id, self._salt = b"", np.zeros(0, np.uint64)
        self._lasting = _lasting(0, 1)
        self._free: Ints = np.zeros((0, 0, 4), np.int64)
        self._bars: Ints = np.zeros(0, np.int64)
        self._backlog, self._waiting = np.zeros(0), np.zeros(0, np.int64)
        self._ends, self._worth = np.zeros((0, 0)), np.zeros((0, 0))
        self._profiles: list[tuple[object, int]] = []

    def encode(self, snapshot: Snapshot, policy: Policy) -> RowArrays:
        """Return the rows of *snapshot* as arrays, sorted; what a round spends is its own."""
        rows = snapshot.rows
        still: list[object] = [row if row.still is None else row.still for row in rows]
        if policy is not self._policy or self._alike or len(still) != len(self._still):
            rows = self._begin(rows, policy)
        else:
            before = self._still
            changed = [n for n, one in enumerate(still) if one is not before[n]]
            if any((rows[n].partition, rows[n].shape) != self._keys[n] for n in changed):
                rows = self._begin(rows, policy)
            else:
                rows = tuple([rows[n] for n in self._order])
                if changed:
                    self._change(rows, [self._order.index(n) for n in changed], policy)
        self._still = still
        return self._now(rows, snapshot.version)

    def _begin(self, given: Sequence[Row], policy: Policy) -> tuple[Row, ...]:
        """Sort the rows and read them all."""
        alike = Counter((row.partition, row.shape) for row in given)
        self._alike = len(alike) < len(given)
        self._keys = [(row.partition, row.shape) for row in given]

        def key(number: int) -> tuple[str, str, str]:
            row = given[number]
            only = alike[row.partition, row.shape] == 1
            return row.partition, _written(row.shape), "" if only else repr(row)

        self._order = sorted(range(len(given)), key=key)
        rows = tuple([given[number] for number in self._order])
        self._policy = policy
        self._frame = tuple(row.partition for row in rows)
        self._frame_id = blake2b("\n".join(self._frame).encode(), digest_size=8).digest()
        self._salt = np.array([draw(row.partition) for row in rows], np.uint64)
        count = len(rows)
        self._lasting = _lasting(count, _most_places(policy.late))
        self._lasting.words = ((),) * count
        self._free, self._bars = np.zeros((count, 0, 4), np.int64), np.zeros(count, np.int64)
        self._backlog, self._waiting = np.zeros(count), np.zeros(count, np.int64)
        self._ends, self._worth = np.full((count, 0), np.inf), np.zeros((count, 0))
        self._profiles = [(None, 0)] * count
        sites: dict[str, int] = {}
        for number, row in enumerate(rows):
            site = sites.setdefault(site_of(row.partition), len(sites))
            self._lasting.fixed[number, SITE] = site
        self._change(rows, range(count), policy)
        return rows

    def _change(self, rows: Sequence[Row], places: Sequence[int], policy: Policy) -> None:
        """Read the rows at some places, in arrays that nobody else has yet."""
        lasting = self._lasting = self._lasting.copy()
        words = list(lasting.words)
        for place in places:
            row = rows[place]
            lasting.fixed[place, :SITE] = _fixed(row, policy)
            lasting.speed[place] = (
                policy.accelerator_speed.get(row.family, 1.0) if row.family else 1
            )
            _read_places(lasting, place, row, policy.late)
            words[place] = _words(row)
            self._read_free(place, row)
            self._backlog[place], self._waiting[place] = row.backlog_node_s, row.waiting
        if lasting.words != tuple(words):
            lasting.words = tuple(words)

    def _read_free(self, place: int, row: Row) -> None:
        count = len(row.free)
        if count > self._free.shape[1]:
            self._free = _wider(self._free, count, 0)
        self._bars[place] = count
        self._free[place] = 0
        for number, bar in enumerate(row.free):
            self._free[place, number] = (bar.nodes, bar.cores, bar.memory_mib, bar.accelerators)

    def _now(self, rows: tuple[Row, ...], version: int) -> RowArrays:
        """Return arrays with releases from now on."""
        now = np.zeros((len(rows), 1))
        most = 0
        for place, row in enumerate(rows):
            releases = row.releases
            if isinstance(releases, Profile):
                now[place, 0] = releases.now
                source: object = releases.ends
            else:
                source = releases
            if self._profiles[place][0] is not source:
                self._read_releases(place, source, releases)
            most = max(most, self._profiles[place][1])
        width = most + SPARE_RELEASES
        if width > self._ends.shape[1]:
            self._ends = _wider(self._ends, width, np.inf)
            self._worth = _wider(self._worth, width, 0)
        after = self._ends[:, :width] - now
        bars = int(self._bars.max(initial=0)) + SPARE_BARS
        if bars > self._free.shape[1]:
            self._free = _wider(self._free, bars, 0)
        of = self._lasting
        return RowArrays(
            version=version, rows=rows, frame=self._frame, frame_id=self._frame_id, fixed=of.fixed,
            free=self._free[:, :bars].copy(), bars=self._bars.copy(),
            release_after=np.maximum(after, 0.0, out=after),
            release_nodes=self._worth[:, :width].copy(), backlog=self._backlog.copy(),
            waiting=self._waiting.copy(), speed=of.speed, salt=self._salt, shared=of.shared,
            depth=of.depth, ahead=of.ahead, first=of.first, words=of.words,
        )  # fmt: skip

    def _read_releases(self, place: int, source: object, releases: Sequence[ReleaseIn]) -> None:
        count = len(releases)
        if count > self._ends.shape[1]:
            self._ends = _wider(self._ends, count, np.inf)
            self._worth = _wider(self._worth, count, 0)
        self._ends[place], self._worth[place] = np.inf, 0
        if isinstance(releases, Profile):
            self._ends[place, :count], self._worth[place, :count] = releases.ends, releases.nodes
        else:
            ordered = np.array(sorted(releases, key=lambda one: one.after_s)).reshape(count, 2)
            self._ends[place, :count], self._worth[place, :count] = ordered.T
        self._profiles[place] = (source, count)


def encode_rows(snapshot: Snapshot, policy: Policy) -> RowArrays:
    """Return the rows of *snapshot* as arrays, sorted."""
    return RowMemo().encode(snapshot, policy)


def _lasting(count: int, places: int) -> _Lasting:
    return _Lasting(
        np.zeros((count, FIXED_COLUMNS), np.int64), np.zeros(count), np.zeros(count, np.bool_),
        np.zeros(count, np.int64), np.zeros((count, places)), np.zeros((count, 4), np.int64), (),
    )  # fmt: skip


def _wider(old: Any, width: int, filled: float) -> Any:
    """Return an array of more columns that begins with the old one."""
    new = np.full((old.shape[0], max(width, 2 * old.shape[1]), *old.shape[2:]), filled, old.dtype)
    new[:, : old.shape[1]] = old
    return new


@lru_cache(maxsize=4096)
def _written(shape: NodeShape) -> str:
    return repr(shape)


def _fixed(row: Row, policy: Policy) -> tuple[int, ...]:
    cores, memory, accelerators = shape_numbers(row.shape)
    rule = NO_RULES if row.dialect is None else rule_numbers(row.dialect.rule(row.names[0]))
    return (
        min(cores, MOST_CORES),
        memory,
        min(accelerators, MOST_ACCELERATORS),
        row.nodes,
        row.available,
        int(row.problem),
        row.problem_have,
        -1 if row.max_time_s is None else row.max_time_s,
        -1 if row.max_nodes is None else row.max_nodes,
        -1 if row.max_array is None else row.max_array,
        policy.max_waiting_per_partition,
        *rule,
    )


def _words(row: Row) -> tuple[Any, ...]:
    """Return all of a row that verdicts about words depend on."""
    return (
        row.partition, row.names, row.site_names, row.shape, row.family, row.features,
        Same(row.dialect), row.needs_account, row.governance,
    )  # fmt: skip


def _most_places(late: LateStart | None) -> int:
    if late is None:
        return 1
    return max(1, late.reservations, late.places, late.fixed_places)


def _read_places(lasting: _Lasting, place: int, row: Row, late: LateStart | None) -> None:
    """Note how many of ours may hold a place there, and who is before each of them."""
    lasting.shared[place] = row.shared
    lasting.depth[place] = 0 if late is None else _depth(row, late)
    lasting.ahead[place], lasting.first[place] = row.others_node_s, 0
    if row.shared:
        known = min(len(row.ahead), lasting.ahead.shape[1])
        lasting.ahead[place, :known] = row.ahead[:known]
        lasting.first[place] = row.first or 0


def _depth(row: Row, late: LateStart) -> int:
    if not row.shared:
        return late.reservations
    if not row.places:
        return 0
    return late.places if row.arranges else late.fixed_places
