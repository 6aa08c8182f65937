"""The loops of a round, compiled by numba. Each has its plain twin: the same function, `.py_func`.

Admission is here and only here: `score_shapes` says whether a shape can run on a row (with the
fit test of `fit`), `take` spends capacity.  The planner, the commit of a plan and `explain` call
these same two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from res_federation.placement.compiling import compiled

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Narrow = npt.NDArray[np.int32]
Salts = npt.NDArray[np.uint64]


@compiled
def score_shapes(  # noqa: C901, PLR0912, PLR0915
    numbers: Ints, tables: Ints, codes: Ints, fixed: Ints, laid: Ints
) -> Narrow:
    """Try every shape on every row.

    Args:
        numbers: (shapes, 16) as `shapes.Shapes.numbers`.
        tables: (shapes, 6) indices into codes.
        codes: (tables, rows, 3) verdicts about words, as `shapes.Shapes.codes`.
        fixed: (rows, 16) as `rows.RowArrays.fixed`.
        laid: (shapes, rows, 7) the fit test of each, as `fit.lay_out` gives it.

    Returns:
        (shapes, rows, 3) integers: nodes and memory per node where it FITS, needed and have where
        not; then code + cores per node << 8 + accelerators per node << 24.  Permanent problems
        come before those that waiting may heal.  Narrow, because it travels between processes.

    """
    shapes, rows = numbers.shape[0], fixed.shape[0]
    out = np.zeros((shapes, rows, 3), np.int32)
    most = 2_147_483_647
    for s in range(shapes):
        n = numbers[s]
        for r in range(rows):
            f = fixed[r]
            problem = f[5]
            code, needed, have = int(problem), -1, int(f[6])
            nodes = cores = memory = accelerators = 0
            if not 0 < problem < 40:
                t = tables[s, 0]
                code, needed, have = codes[t, r, 0], codes[t, r, 1], codes[t, r, 2]
                if code == 0 and f[0] <= 0:
                    code, needed, have = 10, -1, -1
                if code == 0 and f[3] < 0:
                    code, needed, have = 11, -1, -1
                for k in range(1, 3):
                    if code == 0:
                        t = tables[s, k]
                        code, needed, have = codes[t, r, 0], codes[t, r, 1], codes[t, r, 2]
                if code == 0:
                    lies = laid[s, r]
                    code, needed, have = lies[0], lies[1], lies[2]
                    nodes, cores, memory, accelerators = lies[3], lies[4], lies[5], lies[6]
                if code == 0 and nodes > f[3]:
                    code, needed, have = 21, nodes, f[3]
                if code == 0 and 0 <= f[8] < nodes:
                    code, needed, have = 22, nodes, f[8]
                w = tables[s, 4]
                longest = f[7]
                if codes[w, r, 0] == 0 and codes[w, r, 1] >= 0:
                    longest = codes[w, r, 1]
                if code == 0 and 0 <= longest < n[12]:
                    code, needed, have = 23, n[12], longest
                if code == 0 and 0 <= f[9] < n[13] and n[13] > 1:
                    code, needed, have = 24, n[13], f[9]
                for k in range(3, 6):
                    if code == 0:
                        t = tables[s, k]
                        if codes[t, r, 0] != 0:
                            code, needed, have = codes[t, r, 0], codes[t, r, 1], codes[t, r, 2]
                            if code == 37:  # one table stands for all times between two limits
                                needed = n[12]
                        elif k == 4 and 0 <= codes[t, r, 2] < nodes:
                            code, needed, have = 36, nodes, codes[t, r, 2]
                if code == 0 and problem != 0:
                    code, needed, have = problem, -1, f[6]
                if code == 0 and nodes > f[4]:
                    code, needed, have = 44, nodes, f[4]
            if code == 0:
                needed, have = nodes, memory
            out[s, r, 0], out[s, r, 1] = min(needed, most), min(have, most)
            out[s, r, 2] = code | cores << 8 | accelerators << 24
    return out


@compiled
def lie(scored: Narrow, lies: Ints) -> None:
    """Set *lies* to nodes, cores, memory and accelerators of a score that FITS."""
    lies[0], lies[1] = scored[0], scored[2] >> 8 & 0xFFFF
    lies[2], lies[3] = scored[1], scored[2] >> 24


@compiled
def tasks_of_node(bar: Ints, cores: int, memory: int, accelerators: int) -> int:
    """Return how many tasks of the given size fit in one node of a histogram's bar."""
    count = bar[1] // cores if cores > 0 else 1
    if memory > 0 and bar[2] >= 0:
        count = min(count, bar[2] // memory)
    if accelerators > 0:
        count = min(count, bar[3] // accelerators)
    return count


@compiled
def fitting(free: Ints, bars: int, lies: Ints, tasks: int) -> int:
    """Return how many tasks' nodes are free now: of `lies` = nodes, cores, memory, accelerators.

    A task of several nodes needs as many different nodes, so a node counts once for it; tasks of
    one node share nodes.  Divided by ``lies[0]`` it is the tasks that could begin now.
    """
    count = 0
    for b in range(bars):
        each = tasks_of_node(free[b], lies[1], lies[2], lies[3])
        if each > 0:
            count += free[b, 0] * (each if lies[0] == 1 and tasks > 1 else 1)
    return count


@compiled
def fitting_up_to(free: Ints, bars: int, lies: Ints, tasks: int, enough: int) -> int:
    """Return what `fitting` returns where that is less than *enough*; else *enough* or more."""
    count = 0
    shared = lies[0] == 1 and tasks > 1
    for b in range(bars):
        if free[b, 0] <= 0 or free[b, 1] < lies[1] or free[b, 3] < lies[3]:
            continue
        if lies[2] > 0 and 0 <= free[b, 2] < lies[2]:
            continue
        each = tasks_of_node(free[b], lies[1], lies[2], lies[3]) if shared else 1
        count += free[b, 0] * each
        if count >= enough:
            break
    return count


@compiled
def add_bar(free: Ints, bars: int, nodes: int, cores: int, memory: int, accelerators: int) -> int:
    """Add nodes to the bar of their amounts, or to a bar that is empty or new."""
    if cores <= 0:
        return bars
    empty = -1
    for b in range(bars):
        if free[b, 0] == 0:
            empty = b
        elif free[b, 1] == cores and free[b, 2] == memory and free[b, 3] == accelerators:
            free[b, 0] += nodes
            return bars
    if empty < 0:
        if bars >= free.shape[0]:
            return bars
        empty = bars
        bars += 1
    free[empty, 0], free[empty, 1] = nodes, cores
    free[empty, 2], free[empty, 3] = memory, accelerators
    return bars


@compiled
def take(free: Ints, bars: int, lies: Ints, tasks: int) -> int:
    """Take *tasks* tasks off a histogram, tightest bars first; return the bars then in use.

    The caller has asked `fitting`.  Leftovers of nodes become bars of their own, and only when
    all is taken: a task of several nodes never gets one node twice.  When there is no room for
    one more bar, that leftover is not used: too little is taken for free, never too much.
    """
    left = tasks * lies[0]  # node-tasks still to be put somewhere
    rests = np.zeros((bars + 2, 4), np.int64)  # each turn empties a bar, but for the last two
    turns = 0
    while left > 0:
        best, spare = -1, 0
        for b in range(bars):
            if free[b, 0] > 0 and tasks_of_node(free[b], lies[1], lies[2], lies[3]) > 0:
                rest = (free[b, 3] - lies[3]) * 1_000_000 + free[b, 1] - lies[1]
                if best < 0 or rest < spare:
                    best, spare = b, rest
        if best < 0:
            break
        each = 1
        if lies[0] == 1 and tasks > 1:
            each = tasks_of_node(free[best], lies[1], lies[2], lies[3])
        each = min(each, left)
        used = min(free[best, 0], left // each)
        rests[turns, 0], rests[turns, 1] = used, free[best, 1] - each * lies[1]
        rests[turns, 2] = free[best, 2]
        if free[best, 2] >= 0:
            rests[turns, 2] -= each * lies[2]
        rests[turns, 3] = free[best, 3] - each * lies[3]
        turns += 1
        free[best, 0] -= used
        left -= used * each
    for t in range(turns):
        bars = add_bar(free, bars, rests[t, 0], rests[t, 1], rests[t, 2], rests[t, 3])
    return bars


@compiled
def wait_for(
    ready: int, needed: int, after: Floats, worth: Floats, per_node: int
) -> tuple[float, bool, float]:
    """Return when *needed* nodes of a task are ready, from the release profile.

    Returns:
        Seconds, whether the profile foretells it, and the nodes' worth released until then.
        Where it is not foretold the seconds are those of the last known release.

    """
    have, gone, last = float(ready), 0.0, 0.0
    for k in range(after.shape[0]):
        if have >= needed or np.isinf(after[k]):
            break
        last = after[k]
        have += worth[k] * per_node
        gone += worth[k]
    return last, have >= needed, gone


@compiled
def idle_nodes(free: Ints, bars: int, f: Ints) -> float:
    """Return the nodes' worth that is free: of each node the scarcer of cores and accelerators."""
    total = 0.0
    for b in range(bars):
        part = free[b, 1] / f[0]
        if f[2] > 0:
            part = min(part, free[b, 3] / f[2])
        total += free[b, 0] * part
    return total


@compiled
def add_release(after: Floats, worth: Floats, at: float, nodes: float) -> None:
    """Add a release in its place by time.

    In a full profile it joins the next one, or moves the last one to its own time: what is
    released is then expected too late, never too early.
    """
    size = after.shape[0]
    place = 0
    while place < size and after[place] < at:
        place += 1
    if place == size:
        after[size - 1] = at
        worth[size - 1] += nodes
    elif after[place] == at or not np.isinf(after[size - 1]):
        worth[place] += nodes
    else:
        for k in range(size - 1, place, -1):
            after[k], worth[k] = after[k - 1], worth[k - 1]
        after[place], worth[place] = at, nodes


@compiled
def share_of_node(lies: Ints, f: Ints) -> float:
    """Return which part of a node one node of the layout takes: the scarcest of the three."""
    part = lies[1] / f[0]
    if f[1] > 0:
        part = max(part, lies[2] / f[1])
    if f[2] > 0:
        part = max(part, lies[3] / f[2])
    return part


@compiled
def mix(job: np.uint64, row: np.uint64) -> np.uint64:
    """Return the number that breaks a tie (xorshift64 of the two draws)."""
    x = job ^ row
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    return x


@compiled
def decide(  # noqa: PLR0912, PLR0913, PLR0915
    scored: Narrow,
    shape: Ints,
    numbers: Ints,
    transfer: Floats,
    reference: Floats,
    throttle: Ints,
    job_salt: Salts,
    fixed: Ints,
    free: Ints,
    bars: Ints,
    after: Floats,
    worth: Floats,
    backlog: Floats,
    waiting: Ints,
    factor: Floats,
    other: Floats,
    row_salt: Salts,
    idle_accelerator: float,
    unknown_release: float,
    only: Ints,
) -> tuple[Narrow, npt.NDArray[np.float32], Ints, npt.NDArray[np.bool_]]:
    """Decide the jobs one after the other, spending capacity as they are decided.

    `free`, `bars`, `after`, `worth`, `backlog` and `waiting` are changed.  With ``only[j] >= 0``
    job j is held against that row alone (the commit's check); otherwise every row is considered.
    `factor` (shapes, rows) is how many times longer a job runs there than its limit says, `other`
    (shapes or 1, rows) the seconds of all the terms that have no column of their own.

    Returns:
        verdicts (jobs, rows, 3) code, needed, have; terms (jobs, rows, 4) start, transfer, idle
        accelerator and run in seconds; chosen (jobs,) row or -1; starts (jobs,) whether it was
        taken off the free nodes.

    """
    jobs, rows = shape.shape[0], fixed.shape[0]
    verdicts = np.zeros((jobs, rows, 3), np.int32)
    terms = np.zeros((jobs, rows, 4), np.float32)
    chosen = np.full(jobs, -1, np.int64)
    starts = np.zeros(jobs, np.bool_)
    empty = np.ones(4, np.int64)
    lies = np.zeros(4, np.int64)
    for j in range(jobs):
        s = shape[j]
        tasks, limit = numbers[s, 13], numbers[s, 12]
        best, best_score, best_tie, best_fits = -1, 0.0, np.uint64(0), 0
        for r in range(rows):
            if only[j] >= 0 and only[j] != r:
                continue
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
            lie(scored[s, r], lies)
            ready = fitting(free[r], bars[r], lies, tasks)
            fits = min(ready // max(lies[0], 1), tasks, throttle[s])
            each = 1
            if lies[0] == 1 and tasks > 1:
                empty[1:] = fixed[r, 0:3]
                each = max(tasks_of_node(empty, lies[1], lies[2], lies[3]), 1)
            nodes = max(float(fixed[r, 4]), 1.0)
            start, foretold, gone = wait_for(ready, lies[0], after[r], worth[r], each)
            if not foretold and idle_nodes(free[r], bars[r], fixed[r]) + gone < nodes - 1e-6:
                start = max(start, unknown_release)  # somebody holds nodes, until nobody knows when
            start += backlog[r] / nodes
            at_once = max(1.0, nodes * each / lies[0])
            waves = np.ceil(tasks / min(at_once, float(throttle[s])))
            run = float(limit) * waves
            idle = 0.0
            if reference[s] > 0.0:
                run *= factor[s, r]
            elif fixed[r, 2] > 0:
                idle = idle_accelerator
            more = other[min(s, other.shape[0] - 1), r]
            score = np.round((start + transfer[s, r] + idle + run + more) * 1e6)
            terms[j, r, 0], terms[j, r, 1] = start, transfer[s, r]
            terms[j, r, 2], terms[j, r, 3] = idle, run
            tie = mix(job_salt[j], row_salt[r])
            if best < 0 or score < best_score or (score == best_score and tie < best_tie):
                best, best_score, best_tie, best_fits = r, score, tie, fits
        if best < 0:
            continue
        lie(scored[s, best], lies)
        part = share_of_node(lies, fixed[best])
        if best_fits > 0:
            starts[j] = True
            bars[best] = take(free[best], bars[best], lies, best_fits)
            held = float(best_fits * lies[0]) * part
            add_release(after[best], worth[best], float(limit), held)
        else:
            waiting[best] += 1
        backlog[best] += float(tasks - best_fits) * lies[0] * part * float(limit)
        chosen[j] = best
    return verdicts, terms, chosen, starts
