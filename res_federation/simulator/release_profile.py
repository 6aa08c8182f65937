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
        self._told: dict[int, Release] = {}
        self._order: list[int] = []

    def add(self, end: int, amounts: Amounts) -> None:
        """Give away *amounts* until *end*."""
        old = self._exact.get(end)
        self._exact[end] = amounts if old is None else _sum(old, amounts, 1)
        self._note(end, amounts, 1, new=old is None)
        if len(self._order) > MOST_RELEASES and self._level + 1 < len(GRIDS_S):
            self._tell_by(self._level + 1)

    def remove(self, end: int, amounts: Amounts) -> None:
        """Take back what was given away until *end*."""
        left = _sum(self._exact[end], amounts, -1)
        gone = not any(left)
        if gone:
            del self._exact[end]
        else:
            self._exact[end] = left
        self._note(end, amounts, -1, new=gone)
        if self._level and len(self._finer) <= MOST_RELEASES:
            self._tell_by(self._level - 1)

    def told(self) -> tuple[Release, ...]:
        """Return the profile by time."""
        return tuple(map(self._told.__getitem__, self._order))

    def _note(self, end: int, amounts: Amounts, sign: int, *, new: bool) -> None:
        """Change the finer grid's count of ends, and the release on the present grid."""
        if self._level:
            if new:
                finer = GRIDS_S[self._level - 1]
                place = -(-end // finer)
                left = self._finer.get(place, 0) + sign
                if left:
                    self._finer[place] = left
                else:
                    del self._finer[place]
            grid = GRIDS_S[self._level]
            end = -(-end // grid) * grid
        old = self._told.get(end)
        if old is None:
            self._told[end] = Release(float(end), *amounts)
            insort(self._order, end)
            return
        now = _sum((old.nodes, old.cores, old.accelerators), amounts, sign)
        if any(now):
            self._told[end] = Release(old.at, *now)
        else:
            del self._told[end]
            del self._order[bisect_left(self._order, end)]

    def _tell_by(self, level: int) -> None:
        """Put everything on another grid, and on a coarser one still if it is too fine."""
        self._level = level
        self._finer, self._told, self._order = {}, {}, []
        for end, amounts in self._exact.items():
            self._note(end, amounts, 1, new=True)
        if len(self._order) > MOST_RELEASES and level + 1 < len(GRIDS_S):
            self._tell_by(level + 1)
        elif level and len(self._finer) <= MOST_RELEASES:
            self._tell_by(level - 1)


def _sum(one: Amounts, other: Amounts, sign: int) -> Amounts:
    return one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2]
