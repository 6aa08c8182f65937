"""The plan of a pool under conservative backfilling, as numba kernels.

Every job is promised a start.  The plan is the profile of free processors over time:
running jobs hold theirs until their believed ends, waiting jobs theirs over [start, start +
estimate).  A pass goes through the queue in order.  A job that has no reservation yet is given the
earliest start that the plan has room for.  A job that has one is given an earlier one, if the plan
without its own reservation has room for that.  This is repeated until nothing moves.  Then the
jobs whose reservation is now begin.  So a reservation never gets later, no job delays any other's,
and each is the earliest that all the others leave room for.  The plan is made anew, each job in
order at the earliest start that running jobs and the jobs before it leave, only when it has become
untrue: a job overran its believed end, the pool's processors changed, or nobody asked for a pass at
the time of a reservation.
"""

from __future__ import annotations

from res_federation.placement.compiling import compiled
from res_federation.simulator.pool_profile import change, earliest, give, most_room, pass_time
from res_federation.simulator.pool_state import begin
from res_federation.simulator.pool_tree import (
    ESTIMATE,
    GAIN_FROM,
    GAIN_TO,
    HEAD,
    KEY,
    NEVER,
    NEWEST,
    NEXT_START,
    POINTS,
    PROCESSORS,
    PROCS,
    ROOM,
    ROOTS,
    STALE,
    START,
    TIMES,
    first,
    following,
)
from res_federation.simulator.workload import Ints


@compiled
def reserve(nodes: Ints, rows: Ints, slot: int, now: int) -> None:
    """Give a job the earliest start that the plan has room for; NEVER if it never has."""
    procs, estimate = nodes[slot, PROCS], nodes[slot, ESTIMATE]
    start = earliest(rows, procs, estimate, now, NEVER)
    nodes[slot, START] = start
    if start < NEVER:
        change(rows, -procs, start, start + estimate)
        rows[HEAD, NEXT_START] = min(rows[HEAD, NEXT_START], start)


@compiled
def make_plan(nodes: Ints, rows: Ints, now: int) -> None:
    """Make the plan anew from the running jobs and the queue in order."""
    rows[HEAD, POINTS], rows[HEAD, STALE], rows[HEAD, NEXT_START] = 1, 0, NEVER
    rows[TIMES, 0], rows[ROOM, 0] = now, rows[HEAD, PROCESSORS]
    slot = first(nodes, rows[ROOTS, 0])
    while slot != 0:
        change(rows, -nodes[slot, PROCS], now, max(nodes[slot, KEY], now + 1))
        slot = following(nodes, slot)
    slot = first(nodes, rows[ROOTS, 1])
    while slot != 0:
        reserve(nodes, rows, slot, now)
        slot = following(nodes, slot)


@compiled
def improve_plan(nodes: Ints, rows: Ints, now: int) -> None:
    """Let every job in order move into room that was given back, until none can.

    Before, no job could move: so only those are tried that fit somewhere in the room that was
    given back before their reservation.
    """
    while rows[HEAD, GAIN_FROM] < rows[HEAD, GAIN_TO]:
        since, until = (
            rows[HEAD, GAIN_FROM],
            rows[HEAD, GAIN_TO],
        )  # of the last time through, and so far
        rows[HEAD, GAIN_FROM], rows[HEAD, GAIN_TO] = NEVER, -NEVER
        rows[HEAD, NEXT_START] = NEVER
        most = most_room(rows, since, until)
        slot = first(nodes, rows[ROOTS, 1])
        while slot != 0:
            procs, estimate, held = nodes[slot, PROCS], nodes[slot, ESTIMATE], nodes[slot, START]
            if held == NEVER and procs <= rows[HEAD, PROCESSORS]:
                reserve(nodes, rows, slot, now)
                most = most_room(rows, since, until)
            elif procs <= most and since < held:
                start = earliest(rows, procs, estimate, now, held)
                if start < held:
                    change(rows, -procs, start, start + estimate)
                    give(rows, procs, held, held + estimate)
                    nodes[slot, START] = start
                    since, until = min(since, held), max(until, held + estimate)
                    most = most_room(rows, since, until)
            rows[HEAD, NEXT_START] = min(rows[HEAD, NEXT_START], nodes[slot, START])
            slot = following(nodes, slot)


@compiled
def next_start(nodes: Ints, rows: Ints) -> int:
    """Return the earliest reservation of all waiting jobs."""
    start = NEVER
    slot = first(nodes, rows[ROOTS, 1])
    while slot != 0:
        start = min(start, nodes[slot, START])
        slot = following(nodes, slot)
    return start


@compiled
def start_due(nodes: Ints, rows: Ints, now: int) -> int:
    """Start the jobs whose reservation is now, in the order of the queue."""
    count, slot = 0, first(nodes, rows[ROOTS, 1])
    while slot != 0:
        after = following(nodes, slot)
        if nodes[slot, START] == now:
            count = begin(nodes, rows, slot, now, count)
        slot = after
    rows[HEAD, NEXT_START] = next_start(nodes, rows)
    return count


@compiled
def follow_plan(nodes: Ints, rows: Ints, now: int) -> int:
    """Bring the plan up to date and start the jobs whose time has come."""
    runs = first(nodes, rows[ROOTS, 0])
    overrun = runs != 0 and nodes[runs, KEY] <= now
    if overrun or rows[HEAD, STALE] == 1 or rows[HEAD, NEXT_START] < now:
        make_plan(nodes, rows, now)
    else:
        pass_time(rows, now)
        if rows[HEAD, GAIN_FROM] < rows[HEAD, GAIN_TO]:
            improve_plan(nodes, rows, now)
        else:
            slot = rows[HEAD, NEWEST]
            while slot != 0:
                if nodes[slot, START] == NEVER:
                    reserve(nodes, rows, slot, now)
                slot = following(nodes, slot)
    rows[HEAD, NEWEST] = 0
    rows[HEAD, GAIN_FROM], rows[HEAD, GAIN_TO] = NEVER, -NEVER
    return start_due(nodes, rows, now) if rows[HEAD, NEXT_START] == now else 0
