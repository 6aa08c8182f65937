"""The loops of late binding over classes: a job is sent only where it can start.

Of a class its oldest job is asked.  When it cannot start, no other one of the class is asked to in
this round: capacity only shrinks, and places that are kept only become more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from res_federation.placement import kept_places as kept
from res_federation.placement import kernels
from res_federation.placement.ground import (
    AS_SCORED,
    GONE,
    LEFT_FOR_OTHERS,
    NODES_BUSY,
    NODES_KEPT_FOR_IT,
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
from res_federation.placement.kernels import Floats, Ints, compiled
from res_federation.placement.turns import line_up, sink


@compiled
def taller(old: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of twice as many rows that begins with the old one."""
    new = np.empty((old.shape[0] * 2, old.shape[1]), old.dtype)
    new[: old.shape[0]] = old
    return new


@compiled
def holds(bar: Ints, lies: Ints) -> int:
    """Return how many nodes of a bar can take a node's part of a job."""
    if bar[1] < lies[1] or bar[3] < lies[3] or (lies[2] > 0 and 0 <= bar[2] < lies[2]):
        return 0
    return int(bar[0])


def _looks(stands_on: int) -> Callable[..., int]:
    """Return the look of a class at all rows, compiled anew when what it stands on changes."""

    def look(
        c: int, ground: Ground, classes: Classes, places: Places, lies: Ints, codes: Codes,
        ready: Ints,
    ) -> int:  # fmt: skip
        """Say of every row whether a job of a class can start there; return how many it could.

        *codes* (rows,) gets the answers, *ready* (rows,) the tasks that could start.
        """
        could = 0 if stands_on >= 0 else -1
        tasks = classes.numbers[c, 13]
        most = min(tasks, classes.throttle[c])
        estimate = float(classes.estimate[c])
        codes[:] = AS_SCORED
        able = classes.able[c]
        for n in range(able.shape[0]):
            r = able[n]
            if r < 0:
                break
            if ground.full[r]:
                codes[r] = QUEUE_FULL
                continue
            kernels.lie(classes.scored[c, r], lies)
            if ground.idle[r] < lies[0] * lies[1]:
                codes[r] = NODES_BUSY
                continue
            fits, enough = most, most * lies[0]
            if holds(ground.top[r], lies) < enough:
                there = kernels.fitting_up_to(ground.free[r], ground.bars[r], lies, tasks, enough)
                if there < enough:
                    fits = there // max(lies[0], 1)
                if fits <= 0:
                    codes[r] = NODES_BUSY
                    continue
            codes[r], ready[r] = LEFT_FOR_OTHERS, fits
            could += 1
            for k in range(places.used[0]):
                if places.columns[k, kept.ROW] != r:
                    continue
                if estimate * np.ceil(tasks / fits) > places.columns[k, kept.BEGIN]:
                    bars = kept.breaks(
                        places.columns, k, places.lies, places.later[k], places.bars[k], lies,
                        tasks, fits, False,
                    )  # fmt: skip
                    if bars < 0:
                        codes[r] = WAITS_FOR_TURN
                        could -= 1
                        break
        return could

    return look


@compiled
def choose(
    c: int, salt: np.uint64, ground: Ground, classes: Classes, codes: Codes, emptiest: bool
) -> int:
    """Return the row of least cost among those where a job can start.

    Of equal ones that with the fewest free cores (or the most), then by the draw.
    """
    best, best_key = -1, (0.0, 0.0)
    able, cost = classes.able[c], classes.cost[c]
    for n in range(able.shape[0]):
        r = able[n]
        if r < 0:
            break
        if codes[r] != LEFT_FOR_OTHERS:
            continue
        key = (cost[r], -ground.idle[r] if emptiest else ground.idle[r])
        if best < 0 or key < best_key:
            best, best_key = r, key
        elif key == best_key:  # noqa: SIM102 - the second test is dear
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


def _sends(stands_on: int) -> Callable[..., None]:
    """Return what spends a row, compiled anew when what it stands on changes."""

    def send(
        c: int, r: int, fits: int, ground: Ground, classes: Classes, places: Places, lies: Ints
    ) -> None:
        """Take what a job of a class takes off a row, and off what kept places count on."""
        kernels.lie(classes.scored[c, r], lies)
        tasks, limit = classes.numbers[c, 13], float(classes.numbers[c, 12])
        run = float(classes.estimate[c]) * np.ceil(tasks / fits)
        for k in range(places.used[0]):
            if places.columns[k, kept.ROW] == r and run > places.columns[k, kept.BEGIN]:
                places.bars[k] = kept.breaks(
                    places.columns, k, places.lies, places.later[k], places.bars[k], lies, tasks,
                    fits, stands_on >= 0,
                )  # fmt: skip
        part = kernels.share_of_node(lies, ground.fixed[r])
        ground.bars[r] = kernels.take(ground.free[r], ground.bars[r], lies, fits)
        held = float(fits * lies[0]) * part
        kernels.add_release(ground.after[r], ground.worth[r], limit, held)
        ground.backlog[r] += float(tasks - fits) * lies[0] * part * limit
        ground.idle[r] = idle_cores(ground.free[r], ground.bars[r])
        ground.top[r] = ground.free[r, 0]

    return send


@compiled
def begin_unforetold(places: Places, r: int, after: Floats, unknown_release: float) -> float:
    """Return when to expect nodes that somebody holds until nobody knows when."""
    begin = unknown_release
    for k in range(places.used[0]):
        if places.columns[k, kept.ROW] == r:
            begin = max(begin, places.columns[k, kept.END])
    for k in range(after.shape[0]):
        if not np.isinf(after[k]):
            begin = max(begin, after[k])
    return begin


def _keeps(stands_on: int) -> Callable[..., int]:
    """Return what keeps a place, compiled anew when what it stands on changes."""

    def keep_place(
        c: int, job: int, ground: Ground, classes: Classes, places: Places, lies: Ints,
        codes: Codes, unknown_release: float,
    ) -> int:  # fmt: skip
        """Keep nodes for a job where they come free first; return the row, or -1."""
        soonest, soonest_key = -1 if stands_on >= 0 else -2, (0, 0.0, 0.0)
        place = np.zeros(kept.KEPT_COLUMNS)
        tasks, length = classes.numbers[c, 13], float(classes.estimate[c])
        held, count = places.columns, places.used[0]
        for r in range(codes.shape[0]):
            if codes[r] != NODES_BUSY and codes[r] != WAITS_FOR_TURN:
                continue
            kernels.lie(classes.scored[c, r], lies)
            each = kept.nodes_of_tasks(lies, ground.fixed[r], tasks)
            there = float(kernels.fitting(ground.free[r], ground.bars[r], lies, tasks))
            after, worth = ground.after[r], ground.worth[r]
            need = float(lies[0])
            begin = kept.first_room(held, count, r, after, worth, there, need, float(each), length)
            unknown = 0
            if np.isinf(begin):
                unknown, begin = 1, begin_unforetold(places, r, after, unknown_release)
            nodes = float(ground.fixed[r, 4])
            size = float(ground.fixed[r, 4] * ground.fixed[r, 0])
            key = (unknown, begin + ground.backlog[r] / max(nodes, 1.0), size)
            if soonest < 0 or key < soonest_key:
                soonest, soonest_key = r, key
                part = kernels.share_of_node(lies, ground.fixed[r])
                gain = kept.released(after, worth, begin) * each
                if unknown:
                    gain = max(gain, need - there)
                place[kept.ROW], place[kept.BEGIN] = r, begin
                place[kept.END] = begin + length
                place[kept.NEED], place[kept.GAIN], place[kept.EACH] = need, gain, each
                place[kept.WORTH], place[kept.TASKS] = need * part, tasks
                place[kept.JOB] = job
                places.lies[count] = lies
        if soonest >= 0:
            places.later[count] = ground.free[soonest]
            places.bars[count] = ground.bars[soonest]
            kept.keep(held, count, place)
            places.used[0] += 1
        return soonest

    return keep_place


def _crc() -> int:
    """Return what the loops here stand on: compiled code outlives a change of another file."""
    loops: tuple[Any, ...] = (
        kept.breaks, kept.held_at, kept.released, kept.room, kept.first_room, kept.keep,
        kept.nodes_of_tasks,
    )  # fmt: skip
    codes = [loop.py_func.__code__ for loop in loops]
    text = b"".join(c.co_code + repr((c.co_consts, c.co_names)).encode() for c in codes)
    return crc32(text, kept.stands_on())


look = compiled(_looks(_crc()))
send = compiled(_sends(_crc()))
keep_place = compiled(_keeps(_crc()))


WalkFound = tuple[Ints, Ints, Ints, Floats, Codes, Ints, Links, Flags, int]
"""The fields of `ground.Found`, in order."""


@compiled
def walk(  # noqa: PLR0912, PLR0915
    ground: Ground, classes: Classes, jobs: Jobs, places: Places, at: float, age: float,
    unknown_release: float, emptiest: bool,
) -> WalkFound:  # fmt: skip
    """Ask the classes in the order of their oldest jobs; what is sent is spent.

    `ground`, `places` and ``classes.head`` are changed.
    """
    count, rows = classes.head.shape[0], ground.fixed.shape[0]
    turn, lies, ready = np.zeros(count), np.zeros(4, np.int64), np.zeros(rows, np.int64)
    failed = np.full(count, GONE, np.int64)
    sleeps = np.zeros(count, np.bool_)
    events, looked, could = 0, 0, 0
    told: npt.NDArray[Any] = np.empty((256, 3), np.int64)  # slot, class, row
    waves: npt.NDArray[Any] = np.empty((256, 1))
    codes: npt.NDArray[Any] = np.empty((256, rows), np.uint8)
    heap = line_up(classes, jobs, turn, at, age)
    size = heap.shape[0]
    while size > 0:
        if events + 2 > told.shape[0]:
            told, waves, codes = taller(told), taller(waves), taller(codes)
        c, slot = heap[0], classes.head[heap[0]]
        goes_on = False
        if classes.sleeps[c] and failed[c] == GONE and places.used[0] >= places.columns.shape[0]:
            failed[c], sleeps[c] = SLEPT, True
        else:
            mine = codes[events]
            looked += 1
            could = look(c, ground, classes, places, lies, mine, ready)
            told[events, 0], told[events, 1], told[events, 2] = slot, c, -1
            if could > 0 and failed[c] == GONE:
                best = choose(c, jobs.salt[slot], ground, classes, mine, emptiest)
                fits = ready[best]
                send(c, best, fits, ground, classes, places, lies)
                told[events, 2], mine[best] = best, 0
                waves[events, 0] = np.ceil(classes.numbers[c, 13] / fits)
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
                if places.used[0] < places.columns.shape[0]:
                    r = keep_place(
                        c, slot, ground, classes, places, lies, mine, unknown_release
                    )  # fmt: skip
                    if r >= 0:
                        told[events, 0], told[events, 1], told[events, 2] = slot, c, -1
                        codes[events, r] = NODES_KEPT_FOR_IT
                        events += 1
                        goes_on = True
        if goes_on:
            classes.head[c] = jobs.after[slot]
        if goes_on and classes.head[c] >= 0:
            wait = max(0.0, at - jobs.submitted[classes.head[c]])
            turn[c] = (wait + age) * classes.wide[c] / classes.long[c]
        else:
            size -= 1
            heap[0] = heap[size]
        sink(heap, size, 0, turn, classes.head, jobs.submitted, jobs.name)
    return (
        told[:events, 0], told[:events, 1], told[:events, 2], waves[:events, 0], codes[:events],
        failed, classes.head, sleeps, looked,
    )  # fmt: skip
