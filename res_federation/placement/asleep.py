"""Which classes of jobs need not be looked at: nothing that they could use has changed.

A class that found no free nodes anywhere would find none again while every row on which it can run
is as it was.  So a change of capacity wakes the classes that could use it, and no others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Ints, Narrow
from res_federation.placement.rows import RowArrays

Flags = npt.NDArray[np.bool_]
Prints = npt.NDArray[np.uint64]
Ints16 = npt.NDArray[np.int16]


class Asleep:
    """Classes that could start nowhere for want of free nodes, and the rows that they looked at."""

    def __init__(self) -> None:
        """Begin with everybody awake."""
        self._classes: Flags = np.zeros(0, np.bool_)
        self._prints: Prints = np.zeros(0, np.uint64)
        self._of: object = None
        self._able: Ints16 = np.zeros((0, 0), np.int16)

    def able(self, of: object, scored: Narrow) -> Ints16:
        """Return `able_rows` of *scored*; made anew only when *of* is another object."""
        if of is not self._of:
            self._of, self._able = of, able_rows(scored)
        return self._able

    def forget(self, classes: Sequence[int]) -> None:
        """Wake classes whose numbers mean something else now."""
        known = [number for number in classes if number < len(self._classes)]
        self._classes[known] = False

    def of(self, count: int, rows: RowArrays) -> tuple[Flags, Ints]:
        """Return (classes,) who slept when a round last ended, and the rows that changed since."""
        found = np.zeros(count, np.bool_)
        known = min(count, len(self._classes))
        if not known or len(self._prints) != len(rows.frame):
            return found, np.zeros(0, np.int64)
        found[:known] = self._classes[:known]
        return found, np.flatnonzero(self._prints != prints_of(rows))

    def keep(self, classes: Flags, rows: RowArrays) -> None:
        """Note who sleeps, the rows being as a round leaves them."""
        self._classes, self._prints = classes, prints_of(rows)


def prints_of(rows: RowArrays) -> Prints:
    """Return (rows,) what tells apart rows on which a job could start and could not."""
    return prints(rows.fixed, rows.free, rows.bars, rows.waiting)


@compiled
def able_rows(scored: Narrow) -> Ints16:
    """Return (classes, rows + 1) the rows on which a class can run, ended by -1."""
    found = np.full((scored.shape[0], scored.shape[1] + 1), -1, np.int16)
    for c in range(scored.shape[0]):
        count = 0
        for r in range(scored.shape[1]):
            if scored[c, r, 2] & 255 == 0:
                found[c, count] = r
                count += 1
    return found


@compiled
def wake(sleeps: Flags, scored: Narrow, changed: Ints) -> None:
    """Wake the classes that can run on a row that changed."""
    for c in range(sleeps.shape[0]):
        for k in range(changed.shape[0]):
            if sleeps[c] and scored[c, changed[k], 2] & 255 == 0:
                sleeps[c] = False


@compiled
def stir(number: np.uint64) -> np.uint64:
    """Return 64 bits drawn from a number (splitmix64)."""
    z = number + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def prints(fixed: Ints, free: Ints, bars: Ints, waiting: Ints) -> Prints:
    """Return a row's figures in 64 bits; free nodes count by their sum, however they are told."""
    found = np.zeros(fixed.shape[0], np.uint64)
    for r in range(fixed.shape[0]):
        told = np.uint64(waiting[r] >= fixed[r, 10])
        for k in range(fixed.shape[1]):
            told = stir(told ^ np.uint64(fixed[r, k]))
        for b in range(bars[r]):
            if free[r, b, 0] > 0:
                kind = np.uint64(0)
                for k in range(1, 4):
                    kind = stir(kind ^ np.uint64(free[r, b, k]))
                told += np.uint64(free[r, b, 0]) * kind
        found[r] = told
    return found
