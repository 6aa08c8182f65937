"""When jobs that wait are expected to start: the queue laid into the release profiles, in order.

Each job that has its turn before is given the first place where it fits, on whichever row that
comes first, and none before it is moved: a conservative plan.  It is exact for the first few
hundred jobs; of what lies behind them only the work is counted, spread over all that there is.  So
the cost of a forecast does not grow with the queue.

All that is free or asked for is counted in nodes' worth: of a node the scarcest of what it has.
Each loop has its plain twin: the same function, `.py_func`.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from res_federation.placement import kernels
from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Floats, Ints, Narrow

LAID = 256
"""Jobs that are laid into the profiles one by one."""
POINTS = 192
"""Releases of a row that are told apart; more are joined, each group at its last one's time."""
_ROUNDING = 1e-9
Links = npt.NDArray[np.int32]
Expectations = tuple[Floats, Ints, Floats]


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
def first_in_turn(
    head: Links, after: Links, submitted: Floats, wide: Floats, long: Floats, at: float,
    age: float, most: int,
) -> tuple[Ints, Ints, Links]:  # fmt: skip
    """Return the first jobs of a queue by class, in the order of their turns.

    Args:
        head: (classes,) slot of the oldest job of each, -1 for none.
        after: (slots,) the next one of its class, -1 for none.
        submitted: (slots,) seconds.
        wide: (classes,) how much its width counts for its turn.
        long: (classes,) how much its length counts against it.
        at: Seconds now.
        age: Seconds that every job is taken to have waited before it came.
        most: So many jobs at most.

    Returns:
        Slots, their classes, and (classes,) the oldest job of each that is not among them.

    """
    left = head.copy()
    turns = [(0.0, 0.0, 0) for _ in range(0)]
    for c in range(head.shape[0]):
        if head[c] >= 0:
            came = submitted[head[c]]
            turns.append((-(max(0.0, at - came) + age) * wide[c] / long[c], came, c))
    heapify(turns)
    slots, kinds = np.empty(most, np.int64), np.empty(most, np.int64)
    count = 0
    while count < most and len(turns) > 0:
        _, _, c = heappop(turns)
        slots[count], kinds[count] = left[c], c
        count += 1
        left[c] = after[left[c]]
        if left[c] >= 0:
            came = submitted[left[c]]
            heappush(turns, (-(max(0.0, at - came) + age) * wide[c] / long[c], came, c))
    return slots[:count], kinds[:count], left


@compiled
def spread(need: Floats, size: Floats, work: Floats, row: Floats, jobs: float) -> None:
    """Add the work of *jobs* alike to the rows where they can run, by size of those.

    Args:
        need: (rows,) nodes' worth, -1.0 where one cannot run.
        size: (rows,) nodes' worth in all.
        work: (rows,) node-seconds, changed.
        row: (rows,) node-seconds of one job on each row.
        jobs: How many.

    """
    whole = 0.0
    for r in range(size.shape[0]):
        if need[r] >= 0.0:
            whole += size[r]
    for r in range(size.shape[0]):
        if need[r] >= 0.0 and whole > 0.0:
            work[r] += jobs * row[r] * size[r] / whole


@compiled
def before(  # noqa: PLR0913
    need: Floats, tasks: Ints, length: Floats, left: Links, count: Ints, submitted: Floats,
    wide: Floats, long: Floats, at: float, age: float, turns: Floats, size: Floats,
) -> Floats:  # fmt: skip
    """Return how much work of a queue by class has its turn before certain turns.

    Jobs of a class are taken to have come evenly between its oldest one and now.

    Args:
        need: (classes, rows) nodes' worth of one task, -1.0 where it cannot run.
        tasks: (classes,) of an array, else 1.
        length: (classes,) seconds that one is expected to run.
        left: (classes,) slot of the oldest job, -1 for none.
        count: (classes,) jobs.
        submitted: (slots,) seconds.
        wide: (classes,) how much its width counts for its turn.
        long: (classes,) how much its length counts against it.
        at: Seconds now.
        age: Seconds that every job is taken to have waited before it came.
        turns: (turns,) in question.
        size: (rows,) nodes' worth in all.

    Returns:
        (turns, rows) node-seconds.

    """
    rows = size.shape[0]
    work, row = np.zeros((turns.shape[0], rows)), np.zeros(rows)
    for c in range(left.shape[0]):
        if left[c] < 0 or count[c] <= 0:
            continue
        for r in range(rows):
            row[r] = need[c, r] * float(tasks[c]) * length[c]
        oldest = min(submitted[left[c]], at)
        for k in range(turns.shape[0]):
            last = at + age - turns[k] * long[c] / wide[c]
            if last < oldest:
                continue
            part = 1.0 if last >= at else (last - oldest) / (at - oldest)
            spread(need[c], size, work[k], row, max(1.0, part * float(count[c])))
    return work


@compiled
def expect(  # noqa: PLR0912, PLR0913
    need: Floats, lost: Floats, tasks: Ints, throttle: Ints, length: Floats, shape: Ints,
    turns: Ints, ahead: Floats, free: Floats, after: Floats, worth: Floats, behind: Floats,
    size: Floats,
) -> Expectations:  # fmt: skip
    """Return when jobs of a queue are expected to start, and where.

    Args:
        need: (shapes, rows) nodes' worth of one task, -1.0 where it cannot run.
        lost: (shapes, rows) nodes' worth that is free now in pieces too small for it.
        tasks: (shapes,) of an array, else 1.
        throttle: (shapes,) tasks that may run at once.
        length: (shapes,) seconds that one of them is expected to run.
        shape: (jobs,) the shape of each; the first ones are laid one by one, in this order.
        turns: (1,) how many of them that are.
        ahead: (jobs - turns, rows) for the others node-seconds that have their turn before,
            beside those that are laid.
        free: (rows,) nodes' worth that is free now.
        after: (rows, releases) seconds until releases, ascending; infinite where unused.
        worth: (rows, releases) nodes' worth that comes free.
        behind: (rows,) seconds by which what waits at the site itself delays a new job.
        size: (rows,) nodes' worth in all.

    Returns:
        (jobs,) seconds, infinite where it is not foretold; (jobs,) row, -1 where there is none;
        (jobs,) seconds that the rows where it can run need for what is before it.

    """
    jobs, rows, laid = shape.shape[0], free.shape[0], turns[0]
    start, where, queue = np.full(jobs, np.inf), np.full(jobs, -1, np.int64), np.zeros(jobs)
    width = min(after.shape[1], POINTS) + laid + 2
    times, left = np.zeros((rows, width)), np.zeros((rows, width))
    steps, work, row = np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows)
    for r in range(rows):
        steps[r] = profile(after[r], worth[r], free[r], times[r], left[r])
        work[r] = behind[r] * size[r]
        for k in range(after.shape[1]):
            if np.isinf(after[r, k]):
                break
            work[r] += worth[r, k] * max(after[r, k], 0.0)
    for j in range(jobs):
        s = shape[j]
        best, best_step, least = -1, -1, float(np.inf)
        for r in range(rows):
            if need[s, r] < 0.0:
                continue
            done = work[r] if j < laid else work[r] + ahead[j - laid, r]
            least = min(least, done / max(size[r], _ROUNDING))
            wanted = need[s, r] + lost[s, r] - _ROUNDING
            step = first_fit(times[r], left[r], steps[r], wanted, length[s])
            if step < 0:
                continue
            begin = times[r, step] + behind[r]
            if j >= laid:
                begin = max(begin, done / max(size[r], _ROUNDING))
            if begin < start[j] or (begin == start[j] and size[r] < size[best]):
                best, best_step, start[j] = r, step, begin
        where[j], queue[j] = best, 0.0 if np.isinf(least) else least
        if j >= laid:
            continue
        for r in range(rows):
            row[r] = need[s, r] * float(tasks[s]) * length[s]
        spread(need[s], size, work, row, 1.0)
        if best < 0:
            continue
        room = left[best, best_step] - lost[s, best] + _ROUNDING
        fits = min(float(tasks[s]), float(throttle[s]))
        if need[s, best] > 0.0:
            fits = max(1.0, min(fits, np.floor(room / need[s, best])))
        run = length[s] * np.ceil(tasks[s] / fits)
        held = fits * need[s, best]
        steps[best] = lay(times[best], left[best], steps[best], best_step, run, held)
    return start, where, queue


@compiled
def demands(
    scored: Narrow,
    tasks: Ints,
    fixed: Ints,
    free: Ints,
    bars: Ints,
) -> tuple[Floats, Floats, Floats]:
    """Return what shapes need of rows, in nodes' worth.

    Args:
        scored: (shapes, rows, 3) as `kernels.score_shapes` gives it.
        tasks: (shapes,) of an array, else 1.
        fixed: (rows, FIXED_COLUMNS) as `rows.RowArrays.fixed`.
        free: (rows, bars, 4) histogram of what is free now.
        bars: (rows,) bars in use.

    Returns:
        `need` (shapes, rows), `lost` (shapes, rows) and `free` (rows,) of `expect`.

    """
    shapes, rows = tasks.shape[0], fixed.shape[0]
    need = np.full((shapes, rows), -1.0)
    lost = np.zeros((shapes, rows))
    idle = np.zeros(rows)
    lies = np.zeros(4, np.int64)
    for r in range(rows):
        if fixed[r, 0] > 0:
            idle[r] = kernels.idle_nodes(free[r], bars[r], fixed[r])
    for s in range(shapes):
        for r in range(rows):
            if scored[s, r, 2] & 255 != 0:
                continue
            kernels.lie(scored[s, r], lies)
            part = kernels.share_of_node(lies, fixed[r])
            ready = kernels.fitting(free[r], bars[r], lies, tasks[s])
            need[s, r] = lies[0] * part
            lost[s, r] = max(0.0, idle[r] - ready * part)
    return need, lost, idle
