"""The loops of late binding: a job is sent only where it can start without taking from another.

The first jobs that cannot start have nodes kept for them.  A kept place remembers which nodes
would be free when it begins: what is free now, less what was sent in this round and lasts longer,
plus what comes free until then.  Whoever is sent later must leave enough of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from res_federation.placement import kernels
from res_federation.placement.kernels import Floats, Ints, Narrow, Salts, compiled

# Columns of a kept place: row, seconds of its begin and end, nodes that its job needs, nodes that
# come free until its begin, nodes that other kept places hold then (all three counted as nodes of
# its job), job's nodes in a whole node, whole nodes' worth that it holds, tasks of its job.
ROW, BEGIN, END, NEED, GAIN, OWED, EACH, WORTH, TASKS, JOB = range(10)
KEPT_COLUMNS = 10
NODES_BUSY, WAITS_FOR_TURN, NODES_KEPT_FOR_IT, LEFT_FOR_OTHERS = 48, 49, 50, 51
"""Codes of `model.reason.Code`; loops know numbers only."""
LateFound = tuple[Narrow, npt.NDArray[np.float32], Ints, npt.NDArray[np.bool_], Floats]
GRADES = 1 << 20
"""More than there are grades of accelerators."""


@compiled
def held_at(kept: Floats, count: int, row: int, at: float) -> float:
    """Return the nodes' worth that kept places of a row hold at a second."""
    held = 0.0
    for k in range(count):
        if kept[k, ROW] == row and kept[k, BEGIN] <= at < kept[k, END]:
            held += kept[k, WORTH]
    return held


@compiled
def released(after: Floats, worth: Floats, at: float) -> float:
    """Return the nodes' worth that comes free until a second."""
    gone = 0.0
    for k in range(after.shape[0]):
        if after[k] > at:
            break
        gone += worth[k]
    return gone


@compiled
def room(  # noqa: PLR0913
    kept: Floats, count: int, row: int, after: Floats, worth: Floats,
    ready: float, need: float, each: float, at: float, length: float,
) -> bool:  # fmt: skip
    """Tell whether *need* nodes are there from a second on for *length* seconds.

    What is there only grows but where a kept place begins: these seconds are looked at.
    """
    left = ready + (released(after, worth, at) - held_at(kept, count, row, at)) * each
    if left < need:
        return False
    for k in range(count):
        begin = kept[k, BEGIN]
        if kept[k, ROW] == row and at < begin < at + length:
            left = ready + (released(after, worth, begin) - held_at(kept, count, row, begin)) * each
            if left < need:
                return False
    return True


@compiled
def first_room(  # noqa: PLR0913
    kept: Floats, count: int, row: int, after: Floats, worth: Floats,
    ready: float, need: float, each: float, length: float,
) -> float:  # fmt: skip
    """Return the first second from which `room` is there, infinite where none is foretold."""
    if room(kept, count, row, after, worth, ready, need, each, 0.0, length):
        return 0.0
    found = float(np.inf)
    for k in range(count):
        end = kept[k, END]
        if kept[k, ROW] == row and end < found:  # noqa: SIM102 - two tests, the second is dear
            if room(kept, count, row, after, worth, ready, need, each, end, length):
                found = end
    have = ready
    for k in range(after.shape[0]):
        if np.isinf(after[k]) or after[k] >= found:
            break
        have += worth[k] * each
        last = k + 1 == after.shape[0] or after[k + 1] > after[k]
        if last and have >= need:  # noqa: SIM102
            if room(kept, count, row, after, worth, ready, need, each, after[k], length):
                return float(after[k])
    return found


@compiled
def keep(kept: Floats, count: int, place: Floats) -> None:
    """Note one more kept place, and what it and those of its row hold of one another."""
    row, begin, end = place[ROW], place[BEGIN], place[END]
    place[OWED] = held_at(kept, count, int(row), begin) * place[EACH]
    for k in range(count):
        if kept[k, ROW] == row and begin <= kept[k, BEGIN] < end:
            kept[k, OWED] += place[WORTH] * kept[k, EACH]
    kept[count] = place


@compiled
def nodes_of_tasks(lies: Ints, f: Ints, tasks: int) -> int:
    """Return how many tasks of one node fit in an empty node of a row; one of any others."""
    if lies[0] != 1 or tasks == 1:
        return 1
    empty = np.ones(4, np.int64)
    empty[1:] = f[0:3]
    return max(kernels.tasks_of_node(empty, lies[1], lies[2], lies[3]), 1)


def _crc() -> int:
    """Return what the loops below stand on: compiled code outlives a change of another file."""
    loops: tuple[Any, ...] = (
        kernels.fitting, kernels.take, kernels.add_bar, kernels.add_release, kernels.lie,
        kernels.tasks_of_node, kernels.share_of_node, kernels.mix,
    )  # fmt: skip
    codes = [loop.py_func.__code__ for loop in loops]
    return crc32(b"".join(c.co_code + repr((c.co_consts, c.co_names)).encode() for c in codes))


def _breaks(stands_on: int) -> Callable[..., int]:
    """Return the test of a place that is kept, compiled anew when what it stands on changes."""

    def breaks(  # noqa: PLR0913
        kept: Floats, k: int, kept_lies: Ints, later: Ints, bars: int,
        lies: Ints, tasks: int, fits: int, spend: bool,
    ) -> int:  # fmt: skip
        """Tell what becomes of a kept place when *fits* tasks are sent that last into it.

        Returns:
            -1 where too little is left of it; else the bars of *later*, from which they are
            taken only if *spend*.

        """
        if stands_on < 0 or kernels.fitting(later, bars, lies, tasks) < fits * lies[0]:
            return -1
        mine = later if spend else later.copy()
        bars = kernels.take(mine, bars, lies, fits)
        left = kernels.fitting(mine, bars, kept_lies[k], int(kept[k, TASKS]))
        if not spend and left + kept[k, GAIN] - kept[k, OWED] < kept[k, NEED]:
            return -1
        return bars

    return breaks


breaks = compiled(_breaks(_crc()))


def _decide_late(stands_on: int) -> Callable[..., LateFound]:  # noqa: C901, PLR0915
    """Return the loop over jobs, compiled anew when what it stands on changes."""

    def decide_late(  # noqa: C901, PLR0912, PLR0913, PLR0915
        scored: Narrow, shape: Ints, numbers: Ints, transfer: Floats, reference: Floats,
        throttle: Ints, job_salt: Salts, estimate: Ints, fixed: Ints, free: Ints, bars: Ints,
        after: Floats, worth: Floats, backlog: Floats, waiting: Ints, speed: Floats,
        row_salt: Salts, grade: Ints, unknown_release: float, slowest: float, emptiest: bool,
        reservations: int,
    ) -> LateFound:  # fmt: skip
        """Decide the jobs in their order; what is sent is spent, as `kernels.decide` does.

        Of the rows where a job can start it goes to that of the least accelerator that will do,
        then of the quickest transfer (by the minute), then to the smallest, or the emptiest; then
        to that with the fewest free processors; then by the draw.

        Returns:
            The four arrays of `kernels.decide`, and the kept places (places, 10).

        """
        jobs, rows = shape.shape[0], fixed.shape[0]
        verdicts = np.zeros((jobs, rows, 3), np.int32)
        terms = np.zeros((jobs, rows, 4), np.float32)
        chosen = np.full(jobs, -1, np.int64)
        starts = np.zeros(jobs, np.bool_)
        kept = np.zeros((reservations, KEPT_COLUMNS))
        kept_lies = np.zeros((reservations, 4), np.int64)
        later = np.zeros((reservations, free.shape[1], 4), np.int64)
        later_bars = np.zeros(reservations, np.int64)
        place, lies = np.zeros(KEPT_COLUMNS), np.zeros(4, np.int64)
        count = 0 if stands_on >= 0 else reservations
        for j in range(jobs):
            s = shape[j]
            tasks = numbers[s, 13]
            best, best_fits, best_tie = -1, 0, np.uint64(0)
            best_key = (0, 0.0, 0.0, 0.0)
            for r in range(rows):
                code = scored[s, r, 2] & 255
                verdicts[j, r, 0] = code
                if code != 0:
                    verdicts[j, r, 1], verdicts[j, r, 2] = scored[s, r, 0], scored[s, r, 1]
                    continue
                verdicts[j, r, 1] = verdicts[j, r, 2] = -1
                if waiting[r] >= fixed[r, 10]:
                    verdicts[j, r, 0] = 45
                    verdicts[j, r, 1], verdicts[j, r, 2] = waiting[r], fixed[r, 10]
                    continue
                kernels.lie(scored[s, r], lies)
                ready = kernels.fitting(free[r], bars[r], lies, tasks)
                fits = min(ready // max(lies[0], 1), tasks, throttle[s])
                if fits <= 0:
                    verdicts[j, r, 0], verdicts[j, r, 1] = NODES_BUSY, lies[0]
                    continue
                run = float(estimate[j]) * np.ceil(tasks / fits)
                taken = False
                for k in range(count):
                    if kept[k, ROW] == r and run > kept[k, BEGIN] and not taken:
                        taken = (
                            breaks(
                                kept, k, kept_lies, later[k], later_bars[k], lies, tasks, fits,
                                False,
                            )
                            < 0
                        )  # fmt: skip
                if taken:
                    verdicts[j, r, 0] = WAITS_FOR_TURN
                    continue
                verdicts[j, r, 0] = LEFT_FOR_OTHERS
                idle = 0.0
                for b in range(bars[r]):
                    idle += free[r, b, 0] * free[r, b, 1]
                size = float(fixed[r, 4] * fixed[r, 0])
                least = grade[r]
                if reference[s] > slowest * speed[r]:
                    least += GRADES
                key = (least, np.floor(transfer[s, r] / 60.0), -idle if emptiest else size, idle)
                tie = kernels.mix(job_salt[j], row_salt[r])
                if best < 0 or key < best_key or (key == best_key and tie < best_tie):
                    best, best_key, best_tie, best_fits = r, key, tie, fits
            if best >= 0:
                kernels.lie(scored[s, best], lies)
                part = kernels.share_of_node(lies, fixed[best])
                limit = float(numbers[s, 12])
                run = float(estimate[j]) * np.ceil(tasks / best_fits)
                for k in range(count):
                    if kept[k, ROW] == best and run > kept[k, BEGIN]:
                        later_bars[k] = breaks(
                            kept, k, kept_lies, later[k], later_bars[k], lies, tasks, best_fits,
                            True,
                        )  # fmt: skip
                bars[best] = kernels.take(free[best], bars[best], lies, best_fits)
                held = float(best_fits * lies[0]) * part
                kernels.add_release(after[best], worth[best], limit, held)
                backlog[best] += float(tasks - best_fits) * lies[0] * part * limit
                chosen[j], starts[j], verdicts[j, best, 0] = best, True, 0
                waves = np.ceil(tasks / best_fits)
                terms[j, best, 1] = transfer[s, best]
                terms[j, best, 3] = limit * waves
                if reference[s] > 0.0:
                    terms[j, best, 3] = limit * waves * reference[s] / speed[best]
                continue
            if count >= reservations:
                continue
            soonest, soonest_key = -1, (0, 0.0, 0.0)
            for r in range(rows):
                if verdicts[j, r, 0] != NODES_BUSY and verdicts[j, r, 0] != WAITS_FOR_TURN:
                    continue
                kernels.lie(scored[s, r], lies)
                each = nodes_of_tasks(lies, fixed[r], tasks)
                there = float(kernels.fitting(free[r], bars[r], lies, tasks))
                length = float(estimate[j])
                begin = first_room(
                    kept, count, r, after[r], worth[r], there, float(lies[0]), float(each), length
                )
                unknown = 0
                if np.isinf(begin):  # somebody holds nodes, until nobody knows when
                    unknown, begin = 1, float(unknown_release)
                    for k in range(count):
                        if kept[k, ROW] == r:
                            begin = max(begin, float(kept[k, END]))
                    for k in range(after.shape[1]):
                        if not np.isinf(after[r, k]):
                            begin = max(begin, float(after[r, k]))
                size = float(fixed[r, 4] * fixed[r, 0])
                key3 = (unknown, begin + backlog[r] / max(float(fixed[r, 4]), 1.0), size)
                if soonest < 0 or key3 < soonest_key:
                    soonest, soonest_key = r, key3
                    part = kernels.share_of_node(lies, fixed[r])
                    gain = released(after[r], worth[r], begin) * each
                    if unknown:
                        gain = max(gain, float(lies[0]) - there)
                    place[ROW], place[BEGIN], place[END] = r, begin, begin + length
                    place[NEED], place[GAIN], place[EACH] = lies[0], gain, each
                    place[WORTH], place[TASKS], place[JOB] = lies[0] * part, tasks, j
                    kept_lies[count] = lies
            if soonest >= 0:
                verdicts[j, soonest, 0] = NODES_KEPT_FOR_IT
                verdicts[j, soonest, 1] = -1
                later[count], later_bars[count] = free[soonest], bars[soonest]
                keep(kept, count, place)
                count += 1
        return verdicts, terms, chosen, starts, kept[:count]

    return decide_late


decide_late = compiled(_decide_late(_crc()))
