"""When jobs that wait are expected to start: the queue laid into the release profiles, in order.

Each job that has its turn before is given the first place where it fits, on whichever row that
comes first, and none before it is moved: a conservative plan.  It is exact for the first few
hundred jobs; of what lies behind them only the work is counted, spread over all that there is.  So
the cost of a forecast does not grow with the queue.

All that is free or asked for is counted in nodes' worth: of a node the scarcest of what it has.
Each loop has its plain twin: the same function, `.py_func`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from res_federation.placement import kernels
from res_federation.placement.kernels import Floats, Ints, Narrow, compiled

LAID = 256
"""Jobs that are laid into the profiles one by one."""
POINTS = 192
"""Releases of a row that are told apart; more are joined, each group at its last one's time."""
_ROUNDING = 1e-9
Expected = tuple[Floats, Ints]


@compiled
def profile(
    after: Floats, worth: Floats, free: float, times: Floats, left: Floats
) -> int:  # fmt: skip
    """Write what is free from which second on into *times* and *left*; return how many steps."""
    known = 0
    while known < after.shape[0] and not np.isinf(after[known]):
        known += 1
    group = max(1, -(-known // POINTS))
    times[0], left[0] = 0.0, free
    steps, have = 1, free
    for k in range(known):
        have += worth[k]
        if (k + 1) % group and k + 1 < known:
            continue
        at = max(after[k], 0.0)
        if at > times[steps - 1]:
            times[steps] = at
            steps += 1
        left[steps - 1] = have
    return steps


@compiled
def first_fit(times: Floats, left: Floats, steps: int, need: float, length: float) -> int:
    """Return the first step from which *need* is free for *length* seconds, -1 for none."""
    at = 0
    while at < steps:
        if left[at] < need:
            at += 1
            continue
        blocked, end = at + 1, times[at] + length
        while blocked < steps and times[blocked] < end and left[blocked] >= need:
            blocked += 1
        if blocked >= steps or times[blocked] >= end:
            return at
        at = blocked + 1
    return -1


@compiled
def lay(times: Floats, left: Floats, steps: int, first: int, length: float, held: float) -> int:
    """Take *held* off from step *first* on for *length* seconds; return how many steps there are.

    The last step lasts for ever, so one is always free to be split as long as there is room; where
    there is none the place is held until the next step: too long, never too short.
    """
    end, last = times[first] + length, first
    while last < steps and times[last] < end:
        last += 1
    if (last == steps or times[last] > end) and steps < times.shape[0]:
        for k in range(steps, last, -1):
            times[k], left[k] = times[k - 1], left[k - 1]
        times[last], left[last] = end, left[last - 1]
        steps += 1
    for k in range(first, last):
        left[k] -= held
    return steps


@compiled
def expect(  # noqa: C901, PLR0912, PLR0913
    need: Floats, lost: Floats, tasks: Ints, throttle: Ints, shape: Ints, count: Ints,
    length: Floats, asked: npt.NDArray[np.bool_], free: Floats, after: Floats, worth: Floats,
    behind: Floats, size: Floats, most: int,
) -> Expected:  # fmt: skip
    """Return when jobs of a queue are expected to start, and where.

    Args:
        need: (shapes, rows) nodes' worth of one task, -1.0 where it cannot run.
        lost: (shapes, rows) nodes' worth that is free now in pieces too small for it.
        tasks: (shapes,) of an array, else 1.
        throttle: (shapes,) tasks that may run at once.
        shape: (entries,) shape of each entry of the queue, in the order of their turns.
        count: (entries,) jobs that are alike in it.
        length: (entries,) seconds that one of them is expected to run.
        asked: (entries,) whether the start of its last job is wanted.
        free: (rows,) nodes' worth that is free now.
        after: (rows, releases) seconds until releases, ascending; infinite where unused.
        worth: (rows, releases) nodes' worth that comes free.
        behind: (rows,) seconds by which what waits at the site itself delays a new job.
        size: (rows,) nodes' worth in all.
        most: So many jobs are laid one by one.

    Returns:
        (entries,) seconds, infinite where it is not foretold, -1 where not wanted; (entries,) row,
        -1 where there is none.

    """
    entries, rows = shape.shape[0], free.shape[0]
    start, where = np.full(entries, -1.0), np.full(entries, -1, np.int64)
    width = min(after.shape[1], POINTS) + most + 2
    times, left = np.zeros((rows, width)), np.zeros((rows, width))
    steps = np.zeros(rows, np.int64)
    work = whole = 0.0
    for r in range(rows):
        steps[r] = profile(after[r], worth[r], free[r], times[r], left[r])
        whole += size[r]
        work += max(size[r] - free[r], 0.0) * behind[r]
        for k in range(after.shape[1]):
            if np.isinf(after[r, k]):
                break
            work += worth[r, k] * max(after[r, k], 0.0)
    last = -1
    for e in range(entries):
        if asked[e]:
            last = e
    laid = 0
    for e in range(last + 1):
        s = shape[e]
        alike = count[e]
        singly = min(alike, most - laid)
        at_least = float(np.inf)
        for _ in range(max(singly, 1 if asked[e] else 0)):
            best, best_step, best_begin = -1, -1, float(np.inf)
            for r in range(rows):
                if need[s, r] < 0.0:
                    continue
                wanted = need[s, r] + lost[s, r] - _ROUNDING
                step = first_fit(times[r], left[r], steps[r], wanted, length[e])
                if step < 0:
                    continue
                begin = times[r, step] + behind[r]
                if begin < best_begin or (begin == best_begin and size[r] < size[best]):
                    best, best_step, best_begin = r, step, begin
            at_least, where[e] = best_begin, best
            if best < 0 or laid >= most:
                break
            room = left[best, best_step] - lost[s, best] + _ROUNDING
            fits = min(float(tasks[s]), float(throttle[s]))
            if need[s, best] > 0.0:
                fits = max(1.0, min(fits, np.floor(room / need[s, best])))
            run = length[e] * np.ceil(tasks[s] / fits)
            steps[best] = lay(
                times[best], left[best], steps[best], best_step, run, fits * need[s, best]
            )
            laid += 1
        if asked[e]:
            start[e] = at_least
            if alike > singly and whole > 0.0 and not np.isinf(at_least):
                start[e] = max(at_least, work / whole)
        least = float(np.inf)
        for r in range(rows):
            if need[s, r] >= 0.0:
                least = min(least, need[s, r])
        if not np.isinf(least):
            work += least * tasks[s] * length[e] * alike
    return start, where


def _crc() -> int:
    """Return what `demands` stands on: compiled code outlives a change of another file."""
    loops: tuple[Any, ...] = (
        kernels.fitting, kernels.idle_nodes, kernels.lie, kernels.share_of_node,
        kernels.tasks_of_node,
    )  # fmt: skip
    codes = [loop.py_func.__code__ for loop in loops]
    return crc32(b"".join(c.co_code + repr((c.co_consts, c.co_names)).encode() for c in codes))


def _demands(stands_on: int) -> Callable[..., tuple[Floats, Floats, Floats]]:
    """Return the loop over shapes, compiled anew when what it stands on changes."""

    def demands(
        scored: Narrow,
        tasks: Ints,
        used: npt.NDArray[np.bool_],
        fixed: Ints,
        free: Ints,
        bars: Ints,
    ) -> tuple[Floats, Floats, Floats]:
        """Return what shapes need of rows, in nodes' worth.

        Args:
            scored: (shapes, rows, 3) as `kernels.score_shapes` gives it.
            tasks: (shapes,) of an array, else 1.
            used: (shapes,) whether anybody asks; the others are left at -1.
            fixed: (rows, FIXED_COLUMNS) as `rows.RowArrays.fixed`.
            free: (rows, bars, 4) histogram of what is free now.
            bars: (rows,) bars in use.

        Returns:
            `need` (shapes, rows), `lost` (shapes, rows) and `free` (rows,) of `expect`.

        """
        shapes, rows = tasks.shape[0], fixed.shape[0]
        need = np.full((shapes, rows), -1.0 if stands_on >= 0 else 0.0)
        lost = np.zeros((shapes, rows))
        idle = np.zeros(rows)
        lies = np.zeros(4, np.int64)
        for r in range(rows):
            if fixed[r, 0] > 0:
                idle[r] = kernels.idle_nodes(free[r], bars[r], fixed[r])
        for s in range(shapes):
            for r in range(rows):
                if not used[s] or scored[s, r, 2] & 255 != 0:
                    continue
                kernels.lie(scored[s, r], lies)
                part = kernels.share_of_node(lies, fixed[r])
                ready = kernels.fitting(free[r], bars[r], lies, tasks[s])
                need[s, r] = lies[0] * part
                lost[s, r] = max(0.0, idle[r] - ready * part)
        return need, lost, idle

    return demands


demands = compiled(_demands(_crc()))
