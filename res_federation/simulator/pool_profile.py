"""The profile of a plan: free processors over time, as two rows of a pool.

From TIMES[k] on, until TIMES[k + 1], ROOM[k] processors are free; the last of the POINTS lasts for
ever.  Neighbours differ, so there are at most two points for each job.
"""

from __future__ import annotations

from res_federation.placement.compiling import compiled
from res_federation.simulator.pool_tree import GAIN_FROM, GAIN_TO, HEAD, NEVER, POINTS, ROOM, TIMES
from res_federation.simulator.workload import Ints


@compiled
def point_at(rows: Ints, time: int) -> int:
    """Return the index of the point of the profile at *time*, which is made if it is not there."""
    low, high = 0, rows[HEAD, POINTS]
    while low < high:
        middle = (low + high) // 2
        if rows[TIMES, middle] < time:
            low = middle + 1
        else:
            high = middle
    if low == rows[HEAD, POINTS] or rows[TIMES, low] != time:
        for k in range(rows[HEAD, POINTS], low, -1):
            rows[TIMES, k], rows[ROOM, k] = rows[TIMES, k - 1], rows[ROOM, k - 1]
        rows[TIMES, low] = time
        rows[ROOM, low] = rows[ROOM, low - 1] if low > 0 else rows[ROOM, low + 1]
        rows[HEAD, POINTS] += 1
    return low


@compiled
def forget(rows: Ints, which: int) -> None:
    """Take a point out of the profile, where nothing changes."""
    rows[HEAD, POINTS] -= 1
    for k in range(which, rows[HEAD, POINTS]):
        rows[TIMES, k], rows[ROOM, k] = rows[TIMES, k + 1], rows[ROOM, k + 1]


@compiled
def change(rows: Ints, procs: int, since: int, until: int) -> None:
    """Add *procs*, which may be negative, to the free processors of [since, until)."""
    begins = point_at(rows, since)
    ends = point_at(rows, until) if until < NEVER else rows[HEAD, POINTS]
    for k in range(begins, ends):
        rows[ROOM, k] += procs
    if ends < rows[HEAD, POINTS] and rows[ROOM, ends] == rows[ROOM, ends - 1]:
        forget(rows, ends)
    if begins > 0 and rows[ROOM, begins] == rows[ROOM, begins - 1]:
        forget(rows, begins)


@compiled
def give(rows: Ints, procs: int, since: int, until: int) -> None:
    """Give room back to the plan, and remember where, so that others may move into it."""
    change(rows, procs, since, until)
    rows[HEAD, GAIN_FROM] = min(rows[HEAD, GAIN_FROM], since)
    rows[HEAD, GAIN_TO] = max(rows[HEAD, GAIN_TO], until)


@compiled
def pass_time(rows: Ints, now: int) -> None:
    """Forget the profile before *now*."""
    gone = 0
    while gone + 1 < rows[HEAD, POINTS] and rows[TIMES, gone + 1] <= now:
        gone += 1
    if gone > 0:
        rows[HEAD, POINTS] -= gone
        for k in range(rows[HEAD, POINTS]):
            rows[TIMES, k], rows[ROOM, k] = rows[TIMES, k + gone], rows[ROOM, k + gone]
    rows[TIMES, 0] = now


@compiled
def earliest(rows: Ints, procs: int, estimate: int, start: int, latest: int) -> int:
    """Return the earliest start before *latest* that the plan has room for, or *latest*.

    A job that holds a reservation at *latest* need not look beyond: what it holds there is its own.
    """
    for k in range(rows[HEAD, POINTS]):
        if rows[TIMES, k] >= latest or rows[TIMES, k] >= start + estimate:
            break
        if rows[ROOM, k] < procs:
            if k + 1 == rows[HEAD, POINTS]:
                return latest
            start = rows[TIMES, k + 1]
    return min(start, latest)


@compiled
def most_room(rows: Ints, since: int, until: int) -> int:
    """Return the most processors that are free at any time of [since, until)."""
    most, count = 0, rows[HEAD, POINTS]
    for k in range(count):
        if rows[TIMES, k] >= until:
            break
        if k + 1 == count or rows[TIMES, k + 1] > since:
            most = max(most, rows[ROOM, k])
    return most
