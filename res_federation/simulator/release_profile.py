"""When what runs comes free, kept up to date job by job, as an agent would tell it.

A profile longer than `MOST_RELEASES` is told by the minute, the hour…: by the finest grid on which
it is short enough.  The grids divide one another, so only the next finer one need be counted.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from res_federation.model.capacity import Release

MOST_RELEASES = 256
GRIDS_S = (1, 60, 600, 3600, 6 * 3600, 24 * 3600, 30 * 24 * 3600)

Amounts = tuple[int, int, int]
"""Nodes, cores, accelerators."""


class ReleaseProfile:
    """Amounts by the second at which they come free, at the latest."""

    def __init__(self) -> None:
        """Begin with nothing given away."""
        self._exact: dict[int, Amounts] = {}
        self._level = 0
        self._finer: dict[int, int] = {}
        self._told: dict[int, Amounts] = {}
        self._order: list[int] = []
        self._made: dict[int, Release] = {}
        self._stale: set[int] = set()

    def add(self, end: int, amounts: Amounts) -> None:
        """Give away *amounts* until *end*."""
        new = _change(self._exact, end, amounts, 1)
        self._note(end, amounts, 1, ends=new)
        if len(self._order) > MOST_RELEASES and self._level + 1 < len(GRIDS_S):
            self._tell_by(self._level + 1)

    def remove(self, end: int, amounts: Amounts) -> None:
        """Take back what was given away until *end*."""
        gone = _change(self._exact, end, amounts, -1)
        self._note(end, amounts, -1, ends=gone)
        if self._level and len(self._finer) <= MOST_RELEASES:
            self._tell_by(self._level - 1)

    def told(self) -> tuple[Release, ...]:
        """Return the profile by time."""
        made = self._made
        for end in self._stale:
            amounts = self._told.get(end)
            if amounts is not None:
                made[end] = Release(float(end), *amounts)
            elif end in made:
                del made[end]
        self._stale.clear()
        return tuple(map(made.__getitem__, self._order))

    def _note(self, end: int, amounts: Amounts, sign: int, *, ends: bool) -> None:
        """Change what is told, and if an end came or went, how many the finer grid has."""
        if self._level:
            if ends:
                finer = GRIDS_S[self._level - 1]
                place = -(-end // finer)
                left = self._finer.get(place, 0) + sign
                if left:
                    self._finer[place] = left
                else:
                    del self._finer[place]
            grid = GRIDS_S[self._level]
            end = -(-end // grid) * grid
        self._stale.add(end)
        if _change(self._told, end, amounts, sign):
            if sign > 0:
                insort(self._order, end)
            else:
                del self._order[bisect_left(self._order, end)]

    def _tell_by(self, level: int) -> None:
        """Put everything on another grid, and on a coarser one still if it is too fine."""
        self._level = level
        self._finer, self._told, self._order, self._made = {}, {}, [], {}
        self._stale.clear()
        for end, amounts in self._exact.items():
            self._note(end, amounts, 1, ends=True)
        if len(self._order) > MOST_RELEASES and level + 1 < len(GRIDS_S):
            self._tell_by(level + 1)
        elif level and len(self._finer) <= MOST_RELEASES:
            self._tell_by(level - 1)


def _change(amounts: dict[int, Amounts], at: int, by: Amounts, sign: int) -> bool:
    """Add to what stands at a place, or take away; tell whether the place came or went."""
    old = amounts.get(at)
    if old is None:
        amounts[at] = by
        return True
    if sign > 0:
        amounts[at] = (old[0] + by[0], old[1] + by[1], old[2] + by[2])
        return False
    if old == by:
        del amounts[at]
        return True
    amounts[at] = (old[0] - by[0], old[1] - by[1], old[2] - by[2])
    return False
