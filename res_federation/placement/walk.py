"""The loops of late binding over classes: a job is sent only where it can start.

Of a class its oldest job is asked.  When it cannot start, no other one of the class is asked to in
this round: capacity only shrinks, and places that are kept only become more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.placement import kept_places as kept
from res_federation.placement import kernels
from res_federation.placement.compiling import compiled, merged
from res_federation.placement.ground import (
    AS_SCORED,
    GONE,
    LEFT_FOR_OTHERS,
    NODES_BUSY,
    NODES_KEPT_FOR_IT,
    PLACE_AT_SITE,
    QUEUE_FULL,
    SLEPT,
    WAITS_FOR_TURN,
    Classes,
    Codes,
    Flags,
    Ground,
    Jobs,
    Links,
    Places,
)
from res_federation.placement.held_places import (
    keep_for_others,
    keep_place,
    length,
    may_hold,
)
from res_federation.placement.kernels import Floats, Ints, Narrow
from res_federation.placement.turns import line_up, sink, turn_of

LEFT_ASLEEP = 32
"""Classes that were left asleep in their turn, at least, before all others like them are."""


@compiled
def taller(old: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of twice as many rows that begins with the old one."""
    new = np.empty((old.shape[0] * 2, old.shape[1]), old.dtype)
    new[: old.shape[0]] = old
    return new


@merged
def spared(
    c: int, ground: Ground, classes: Classes, places: Places, lies: Ints, codes: Codes, ready: Ints
) -> int:
    """Take back what `look` said of rows where nodes are kept; return of how many."""
    tasks, gone = classes.numbers[c, 13], 0
    limit, estimate = float(classes.numbers[c, 12]), float(classes.estimate[c])
    columns, spare, later = places.columns, places.spare, places.later
    scored, shared = classes.scored[c], ground.shared
    for k in range(places.used[0]):
        r = int(columns[k, kept.ROW])
        if codes[r] != LEFT_FOR_OTHERS:
            continue
        run = (limit if shared[r] else estimate) * np.ceil(tasks / ready[r])
        if run <= columns[k, kept.BEGIN]:
            continue
        kernels.lie(scored[r], lies)
        nodes, memory = ready[r] * lies[0], lies[2]
        first = later[k, 0]
        whole = nodes <= spare[k] and first[0] >= nodes and first[1] >= lies[1]
        counted = memory > 0 and 0 <= first[2] < memory
        if whole and first[3] >= lies[3] and not counted:
            continue  # nearly always: enough whole nodes are left
        mine = places.lies[k]
        if kept.breaks(columns[k], mine, later[k], places.bars[k], lies, tasks, ready[r]):
            codes[r] = WAITS_FOR_TURN
            gone += 1
    return gone


@merged
def look(
    c: int, ground: Ground, classes: Classes, places: Places, lies: Ints, codes: Codes, ready: Ints
) -> int:
    """Say of every row whether a job of a class can start there; return how many it could.

    *codes* (rows,) gets the answers, *ready* (rows,) the tasks that could start.
    """
    could, tasks = 0, classes.numbers[c, 13]
    most = min(tasks, classes.throttle[c])
    codes[:] = AS_SCORED
    able, scored, full, top = classes.able[c], classes.scored[c], ground.full, ground.top
    idle, free, bars = ground.idle, ground.free, ground.bars  # to take them out takes long
    for n in range(able.shape[0]):
        r = able[n]
        if r < 0:
            break
        if full[r]:
            codes[r] = QUEUE_FULL
            continue
        nodes, memory, packed = scored[r, 0], scored[r, 1], scored[r, 2]
        cores, accelerators = packed >> 8 & 0xFFFF, packed >> 24
        enough = most * nodes
        whole = top[r, 0] >= enough and top[r, 1] >= cores and top[r, 3] >= accelerators
        if whole and (memory <= 0 or top[r, 2] < 0 or top[r, 2] >= memory):
            codes[r], ready[r] = LEFT_FOR_OTHERS, most
            could += 1
            continue
        codes[r] = NODES_BUSY
        if idle[r] < nodes * cores:
            continue
        kernels.lie(scored[r], lies)
        there = kernels.fitting_up_to(free[r], bars[r], lies, tasks, enough)
        fits = most if there >= enough else there // max(nodes, 1)
        if fits > 0:
            codes[r], ready[r] = LEFT_FOR_OTHERS, fits
            could += 1
    return could - spared(c, ground, classes, places, lies, codes, ready)


@compiled
def stirs(  # noqa: PLR0913 - whole bundles are slow to hand over
    c: int, changed: Ints, scored: Narrow, numbers: Ints, full: Flags, idle: Floats, free: Ints,
    bars: Ints, lies: Ints,
) -> bool:  # fmt: skip
    """Tell whether a class that sleeps could start on a row that changed; on no other one it can.

    What is free only becomes less in a round, so who does not stir once does not in this round.
    """
    for k in range(changed.shape[0]):
        r = changed[k]
        if scored[c, r, 2] & 255 != 0 or full[r]:
            continue
        kernels.lie(scored[c, r], lies)
        if idle[r] < lies[0] * lies[1]:
            continue
        one = max(lies[0], 1)
        if kernels.fitting_up_to(free[r], bars[r], lies, numbers[c, 13], one) >= one:
            return True
    return False


@compiled
def left_asleep(c: int, ground: Ground, classes: Classes, lies: Ints) -> bool:
    """Tell whether a class that sleeps still does: nothing is free for it, no place is left."""
    return not may_hold(classes.able[c], ground.held, ground.depth) and not stirs(
        c, classes.changed, classes.scored, classes.numbers, ground.full, ground.idle, ground.free,
        ground.bars, lies,
    )  # fmt: skip


@compiled
def let_sleep(
    heap: Ints, failed: Ints, sleeps: Flags, ground: Ground, classes: Classes, lies: Ints
) -> int:
    """Take all off a heap at once that would be left asleep in their turn; return who remains."""
    awake = 0
    for k in range(heap.shape[0]):
        c = heap[k]
        dozes = classes.sleeps[c] and failed[c] == GONE
        if dozes and left_asleep(c, ground, classes, lies):
            failed[c], sleeps[c] = SLEPT, True
        else:
            heap[awake] = c
            awake += 1
    return awake


@compiled
def choose(
    c: int,
    salt: np.uint64,
    ground: Ground,
    classes: Classes,
    codes: Codes,
    emptiest: bool,
    at: int,
) -> int:
    """Return the row of least cost among those where a job can start.

    Where it has a place already (row *at*) it needs no other. Of equal ones that with the fewest
    free cores (or the most), then by the draw.
    """
    if at >= 0 and codes[at] == LEFT_FOR_OTHERS:
        return at
    best, least, second = -1, 0.0, 0.0
    able, cost, free = classes.able[c], classes.cost[c], ground.idle
    for n in range(able.shape[0]):
        r = able[n]
        if r < 0:
            break
        if codes[r] != LEFT_FOR_OTHERS:
            continue
        if best >= 0 and cost[r] > least:
            continue
        idle = -free[r] if emptiest else free[r]
        if best < 0 or cost[r] < least or idle < second:
            best, least, second = r, cost[r], idle
        elif idle == second:  # noqa: SIM102 - the second test is dear
            if kernels.mix(salt, ground.salt[r]) < kernels.mix(salt, ground.salt[best]):
                best = r
    return best


@compiled
def idle_cores(free: Ints, bars: int) -> float:
    """Return the free cores of a row."""
    idle = 0.0
    for b in range(bars):
        idle += free[b, 0] * free[b, 1]
    return idle


@compiled
def send(
    c: int, r: int, fits: int, ground: Ground, classes: Classes, places: Places, lies: Ints
) -> None:
    """Take what a job of a class takes off a row, and off what kept places count on."""
    kernels.lie(classes.scored[c, r], lies)
    tasks, limit = classes.numbers[c, 13], float(classes.numbers[c, 12])
    run = length(c, r, ground, classes) * np.ceil(tasks / fits)
    k = ground.reserved[r]
    if k >= 0 and run > places.columns[k, kept.BEGIN]:
        later = places.later[k]
        bars = places.bars[k] = kept.spend(later, places.bars[k], lies, tasks, fits)
        places.spare[k] = kept.spare_nodes(places.columns[k], places.lies[k], later, bars)
    part = kernels.share_of_node(lies, ground.fixed[r])
    ground.bars[r] = kernels.take(ground.free[r], ground.bars[r], lies, fits)
    held = float(fits * lies[0]) * part
    kernels.add_release(ground.after[r], ground.worth[r], limit, held)
    ground.backlog[r] += float(tasks - fits) * lies[0] * part * limit
    ground.idle[r] = idle_cores(ground.free[r], ground.bars[r])
    ground.top[r] = ground.free[r, 0]


WalkFound = tuple[Ints, Ints, Ints, Ints, Floats, Floats, Codes, Ints, Links, Flags, int]
"""The fields of `ground.Found`, in order."""


@compiled
def walk(  # noqa: PLR0912, PLR0913, PLR0915
    ground: Ground, classes: Classes, jobs: Jobs, places: Places, at: float, age: float,
    patience: float, unknown_release: float, emptiest: bool, stay: float,
) -> WalkFound:  # fmt: skip
    """Ask the classes in the order of their oldest jobs; what is sent is spent.

    `ground`, `places` and ``classes.head`` are changed.
    """
    count, rows = classes.head.shape[0], ground.fixed.shape[0]
    turn, lies, ready = np.zeros(count), np.zeros(4, np.int64), np.zeros(rows, np.int64)
    failed = np.full(count, GONE, np.int64)
    sleeps = np.zeros(count, np.bool_)
    events, looked, could, left = 0, 0, 0, 0
    room = count + rows + 2  # of the events that mostly come; what is not touched costs nothing
    told: npt.NDArray[Any] = np.empty((room, 4), np.int64)  # slot, class, row, row of its place
    waves: npt.NDArray[Any] = np.empty((room, 2))  # and seconds to its expected start
    codes: npt.NDArray[Any] = np.empty((room, rows), np.uint8)
    keep_for_others(ground, places, lies, unknown_release)
    heap = line_up(classes, jobs, turn, at, age, patience)
    size = heap.shape[0]
    while size > 0:
        if events + 2 > told.shape[0]:
            told, waves, codes = taller(told), taller(waves), taller(codes)
        c, slot = heap[0], classes.head[heap[0]]
        goes_on = False
        dozes = classes.sleeps[c] and failed[c] == GONE
        if dozes and left_asleep(c, ground, classes, lies):
            failed[c], sleeps[c] = SLEPT, True
            left += 1
        else:
            mine = codes[events]
            looked += 1
            could = look(c, ground, classes, places, lies, mine, ready)
            told[events, 0], told[events, 1], told[events, 2], told[events, 3] = slot, c, -1, -1
            if could > 0 and failed[c] == GONE:
                best = choose(c, jobs.salt[slot], ground, classes, mine, emptiest, jobs.at[slot])
                fits = ready[best]
                send(c, best, fits, ground, classes, places, lies)
                told[events, 2], mine[best] = best, 0
                waves[events, 0], waves[events, 1] = np.ceil(classes.numbers[c, 13] / fits), 0.0
                events += 1
                goes_on = True
            else:
                if failed[c] == GONE:
                    failed[c] = events
                    sleeps[c] = True
                    for r in range(rows):
                        if mine[r] == WAITS_FOR_TURN:
                            sleeps[c] = False
                    events += 1
                    codes[events] = mine
                r, begin = -1, 0.0
                if may_hold(classes.able[c], ground.held, ground.depth):
                    r, begin = keep_place(
                        c, slot, jobs.at[slot], ground, classes, places, lies, mine,
                        unknown_release, stay,
                    )  # fmt: skip
                if r >= 0:
                    told[events, 0], told[events, 1], told[events, 2] = slot, c, -1
                    told[events, 3], waves[events, 0], waves[events, 1] = r, 0.0, begin
                    codes[events, r] = PLACE_AT_SITE if ground.shared[r] else NODES_KEPT_FOR_IT
                    events += 1
                    goes_on = True
        if goes_on:
            classes.head[c] = jobs.after[slot]
        if goes_on and classes.head[c] >= 0:
            wait = max(0.0, at - jobs.submitted[classes.head[c]])
            turn[c] = turn_of(wait, age, patience, classes.wide[c], classes.long[c])
        else:
            size -= 1
            heap[0] = heap[size]
        if left > max(LEFT_ASLEEP, size // 4):
            left, size = 0, let_sleep(heap[:size], failed, sleeps, ground, classes, lies)
            for k in range(size // 2 - 1, 0, -1):
                sink(heap, size, k, turn, classes.head, jobs.submitted, jobs.name)
        sink(heap, size, 0, turn, classes.head, jobs.submitted, jobs.name)
    return (
        told[:events, 0], told[:events, 1], told[:events, 2], told[:events, 3], waves[:events, 0],
        waves[:events, 1], codes[:events], failed, classes.head, sleeps, looked,
    )  # fmt: skip
