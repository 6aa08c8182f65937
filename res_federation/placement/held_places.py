"""Places that jobs hold until they can start: at the federation, or in a site's own queue.

A job that cannot start holds a place where it is expected to start first.  Where nobody else waits
that is a place in our order alone, and nodes are kept for whoever is first; where others wait it is
a run in the site's queue, and the site keeps nodes for whoever is first there.
"""

from __future__ import annotations

import numpy as np

from res_federation.placement import kept_places as kept
from res_federation.placement import kernels
from res_federation.placement.compiling import compiled
from res_federation.placement.ground import (
    NODES_BUSY,
    WAITS_FOR_TURN,
    Able,
    Classes,
    Codes,
    Ground,
    Places,
)
from res_federation.placement.kernels import Floats, Ints

FAR = 1e7
"""Seconds: a start that nothing foretells is behind every other one."""


@compiled
def length(c: int, r: int, ground: Ground, classes: Classes) -> float:
    """Return for how many seconds a job is taken to run, as far as kept places go.

    Where others wait too their site goes by the limit; elsewhere we do, and know better.
    """
    if ground.shared[r]:
        return float(classes.numbers[c, 12])
    return float(classes.estimate[c])


@compiled
def may_hold(able: Able, held: Ints, depth: Ints) -> bool:
    """Tell whether any row has a place left for a class, as far as is known without a look."""
    for n in range(able.shape[0]):
        if able[n] < 0:
            break
        if held[able[n]] < depth[able[n]]:
            return True
    return False


@compiled
def unforetold(after: Floats, unknown_release: float) -> float:
    """Return when to expect nodes that somebody holds until nobody knows when."""
    begin = unknown_release
    for k in range(after.shape[0]):
        if not np.isinf(after[k]):
            begin = max(begin, after[k])
    return begin


@compiled
def reserve(  # noqa: PLR0913 - numba takes no keyword bundles
    r: int, job: int, need: float, tasks: int, run: float, ground: Ground, places: Places,
    lies: Ints, unknown_release: float,
) -> float:  # fmt: skip
    """Keep the nodes of *lies* on a row from when they are free; return when that is."""
    each = float(kept.nodes_of_tasks(lies, ground.fixed[r], tasks))
    there = float(kernels.fitting(ground.free[r], ground.bars[r], lies, tasks))
    after, worth = ground.after[r], ground.worth[r]
    begin = kept.first_room(after, worth, there, need, each)
    foretold = not np.isinf(begin)
    if not foretold:
        begin = unforetold(after, unknown_release)
    gain = kept.released(after, worth, begin) * each
    if not foretold:
        gain = max(gain, need - there)
    count = places.used[0]
    part = kernels.share_of_node(lies, ground.fixed[r])
    place = np.zeros(kept.KEPT_COLUMNS)
    place[kept.ROW], place[kept.BEGIN], place[kept.END] = r, begin, begin + run
    place[kept.NEED], place[kept.GAIN], place[kept.WORTH] = need, gain, need * part
    place[kept.TASKS], place[kept.JOB] = tasks, job
    places.lies[count], places.later[count] = lies, ground.free[r]
    places.bars[count] = ground.bars[r]
    places.columns[count] = place
    places.spare[count] = kept.spare_nodes(place, lies, places.later[count], places.bars[count])
    places.used[0] += 1
    ground.reserved[r] = count
    return float(begin)


@compiled
def expected(
    lies: Ints, fixed: Ints, free: Ints, bars: int, after: Floats, worth: Floats, tasks: int,
    unknown_release: float,
) -> float:  # fmt: skip
    """Return when a job could start on a row, if nobody had a place before it there."""
    each = float(kept.nodes_of_tasks(lies, fixed, tasks))
    there = float(kernels.fitting(free, bars, lies, tasks))
    begin = kept.first_room(after, worth, there, float(lies[0]), each)
    if np.isinf(begin):
        begin = unforetold(after, unknown_release) + FAR
    return float(begin)


@compiled
def keep_place(  # noqa: PLR0913
    c: int, job: int, at: int, ground: Ground, classes: Classes, places: Places, lies: Ints,
    codes: Codes, unknown_release: float, stay: float,
) -> tuple[int, float]:  # fmt: skip
    """Keep a place for a job where it is expected to start first; return the row, or -1.

    One that has a place at row *at* leaves it only to start in less than *stay* of the time.
    Of a row's places the first has nodes kept for it, unless others wait before it there.
    """
    soonest, soonest_key, begin = -1, (0.0, 0.0), 0.0
    able, scored, tasks = classes.able[c], classes.scored[c], classes.numbers[c, 13]
    fixed, free, bars, held = ground.fixed, ground.free, ground.bars, ground.held
    after, worth, ahead, ours = ground.after, ground.worth, ground.ahead, ground.ours
    depth = ground.depth  # in a loop it takes long to take them out
    for n in range(able.shape[0]):
        r = able[n]
        if r < 0:
            break
        if held[r] >= depth[r] or (codes[r] != NODES_BUSY and codes[r] != WAITS_FOR_TURN):
            continue
        before = ahead[r, min(held[r], ahead.shape[1] - 1)] + ours[r]
        behind = before / max(float(fixed[r, 4]), 1.0)
        if soonest >= 0 and (behind * stay if r == at else behind) > soonest_key[0]:
            continue
        kernels.lie(scored[r], lies)
        guess = expected(
            lies, fixed[r], free[r], bars[r], after[r], worth[r], tasks, unknown_release
        )
        guess += behind
        size = float(fixed[r, 4] * fixed[r, 0])
        key = (guess * stay if r == at else guess, size)
        if soonest < 0 or key < soonest_key:
            soonest, soonest_key, begin = r, key, guess
    if soonest < 0:
        return -1, 0.0
    kernels.lie(scored[soonest], lies)
    if ground.reserved[soonest] < 0:
        run = length(c, soonest, ground, classes)
        reserve(soonest, job, float(lies[0]), tasks, run, ground, places, lies, unknown_release)
    part = kernels.share_of_node(lies, fixed[soonest])
    ours[soonest] += float(lies[0] * tasks) * part * float(classes.estimate[c])
    held[soonest] += 1
    return soonest, begin


@compiled
def keep_for_others(ground: Ground, places: Places, lies: Ints, unknown_release: float) -> None:
    """Keep nodes for those who wait first at sites with users of their own: EASY does it there."""
    for r in range(ground.first.shape[0]):
        if ground.first[r, 0] > 0:
            lies[0], lies[1] = ground.first[r, 0], ground.first[r, 1]
            lies[2], lies[3] = 0, ground.first[r, 2]
            run = float(ground.first[r, 3])
            reserve(r, -1, float(lies[0]), 1, run, ground, places, lies, unknown_release)
