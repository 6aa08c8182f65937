"""One scheduling pass over a pool, as numba kernels: fcfs, easy, and conservative.

**fcfs** starts the head of the queue while it fits.  **easy** then backfills: the blocked head is
promised the earliest believed end S at which enough processors are free, X are left over then, and
each later job in order starts if it fits now and either ends by S or takes no more than X.  Nothing
is remembered between passes.

**conservative** promises every job a start.  The plan is the profile of free processors over time:
running jobs hold theirs until their believed ends, waiting jobs theirs over [start, start +
estimate).  A pass goes through the queue in order.  A job that has no reservation yet is given the
earliest start that the plan has room for.  A job that has one is given an earlier one, if the plan
without its own reservation has room for that.  This is repeated until nothing moves.  Then the
jobs whose reservation is now begin.  So a reservation never gets later, no job delays any other's,
and each is the earliest that all the others leave room for.  The plan is made anew, each job in
order at the earliest start that running jobs and the jobs before it leave, only when it has become
untrue: a job overran its believed end, the pool's processors changed, or nobody asked for a pass at
the time of a reservation.

A running job that has overrun its believed end is believed to end in the next second.
"""

from __future__ import annotations

from res_federation.placement.kernels import compiled
from res_federation.simulator.pool_state import (
    CONSERVATIVE,
    DISCIPLINE,
    EASY,
    FREE,
    GAIN_FROM,
    GAIN_TO,
    NEWEST,
    NEXT_START,
    POINTS,
    PROCESSORS,
    QUEUED,
    STALE,
    Pool,
    begin,
    change,
    give,
    size_class,
)
from res_federation.simulator.pool_tree import (
    ASIDE,
    ESTIMATE,
    KEY,
    NEVER,
    PROCS,
    START,
    first,
    first_within,
    following,
    next_within,
    pull,
    push,
    reach,
    total_until,
)


@compiled
def run_pass(pool: Pool, now: int) -> int:
    """Make one pass at *now*; return how many jobs began: they are the first of ``pool.began``."""
    head, nodes = pool.head, pool.nodes
    if head[DISCIPLINE] == CONSERVATIVE:
        return follow_plan(pool, now)
    count = 0
    while head[QUEUED] > 0 and nodes[pool.queue[0], PROCS] <= head[FREE]:
        count = begin(pool, pool.queue[0], now, count)
    if head[DISCIPLINE] == EASY and head[QUEUED] > 1 and head[FREE] > 0:
        count = backfill(pool, now, count)
    return count


@compiled
def backfill(pool: Pool, now: int, count: int) -> int:
    """Start what may overtake the blocked head of the queue.

    Jobs of one size differ in their estimate only, so of each size only its next candidate is
    looked at: the first that ends in time, or the first of all while the size fits beside the
    head.  What is free and what is left over only shrink in a pass: who was passed over stays so.
    """
    head, nodes, aside = pool.head, pool.nodes, pool.aside
    small = size_class(pool.sizes, head[FREE] + 1)
    if next_within(pool.shortest, 0, small, NEVER - 1) < 0:
        return count
    blocked = nodes[pool.queue[0], PROCS]
    shadow, spare = reach(nodes, pool.roots[0], blocked - head[FREE]), head[FREE]
    if shadow < NEVER:
        shadow = max(shadow, now + 1)
        spare += total_until(nodes, pool.roots[0], shadow) - blocked
    longest = shadow - now if shadow < NEVER else NEVER - 1
    beside = size_class(pool.sizes, min(spare, head[FREE]) + 1)
    length, which = 0, -1
    while True:
        which = next_within(pool.shortest, which + 1, beside, NEVER - 1)
        if which < 0:
            break
        slot = first(nodes, pool.roots[which + 1])
        length = push(nodes, aside, length, ASIDE, slot)
    which = beside - 1
    while True:
        which = next_within(pool.shortest, which + 1, small, longest)
        if which < 0:
            break
        slot = first_within(nodes, pool.roots[which + 1], longest)
        length = push(nodes, aside, length, ASIDE, slot)
    while length > 0:
        slot = aside[0]
        length = pull(nodes, aside, length, ASIDE, slot)
        procs = nodes[slot, PROCS]
        if procs > head[FREE]:
            continue
        in_time = nodes[slot, ESTIMATE] <= longest
        if in_time or procs <= spare:
            count = begin(pool, slot, now, count)
            if not in_time:
                spare -= procs
            if procs > head[FREE]:
                continue
        root = pool.roots[size_class(pool.sizes, procs) + 1]
        slot = first_within(nodes, root, NEVER - 1 if procs <= spare else longest)
        if slot != 0:
            length = push(nodes, aside, length, ASIDE, slot)
    return count


@compiled
def follow_plan(pool: Pool, now: int) -> int:
    """Bring the plan up to date and start the jobs whose time has come."""
    head, nodes, roots = pool.head, pool.nodes, pool.roots
    runs = first(nodes, roots[0])
    overrun = runs != 0 and nodes[runs, KEY] <= now
    if overrun or head[STALE] == 1 or head[NEXT_START] < now:
        make_plan(pool, now)
    else:
        pass_time(pool, now)
        if head[GAIN_FROM] < head[GAIN_TO]:
            improve_plan(pool, now)
        else:
            slot = head[NEWEST]
            while slot != 0:
                if nodes[slot, START] == NEVER:
                    reserve(pool, slot, now)
                slot = following(nodes, slot)
    head[NEWEST] = 0
    head[GAIN_FROM], head[GAIN_TO] = NEVER, -NEVER
    return start_due(pool, now) if head[NEXT_START] == now else 0


@compiled
def pass_time(pool: Pool, now: int) -> None:
    """Forget the profile before *now*."""
    head, points, room = pool.head, pool.points, pool.room
    gone = 0
    while gone + 1 < head[POINTS] and points[gone + 1] <= now:
        gone += 1
    if gone > 0:
        head[POINTS] -= gone
        for k in range(head[POINTS]):
            points[k], room[k] = points[k + gone], room[k + gone]
    points[0] = now


@compiled
def make_plan(pool: Pool, now: int) -> None:
    """Make the plan anew from the running jobs and the queue in order."""
    head, nodes, roots = pool.head, pool.nodes, pool.roots
    head[POINTS], head[STALE], head[NEXT_START] = 1, 0, NEVER
    pool.points[0], pool.room[0] = now, head[PROCESSORS]
    slot = first(nodes, roots[0])
    while slot != 0:
        change(pool, -nodes[slot, PROCS], now, max(nodes[slot, KEY], now + 1))
        slot = following(nodes, slot)
    slot = first(nodes, roots[1])
    while slot != 0:
        reserve(pool, slot, now)
        slot = following(nodes, slot)


@compiled
def reserve(pool: Pool, slot: int, now: int) -> None:
    """Give a job the earliest start that the plan has room for; NEVER if it never has."""
    head, nodes = pool.head, pool.nodes
    procs, estimate = nodes[slot, PROCS], nodes[slot, ESTIMATE]
    start = earliest(pool, procs, estimate, now, NEVER)
    nodes[slot, START] = start
    if start < NEVER:
        change(pool, -procs, start, start + estimate)
        head[NEXT_START] = min(head[NEXT_START], start)


@compiled
def earliest(pool: Pool, procs: int, estimate: int, start: int, latest: int) -> int:
    """Return the earliest start before *latest* that the plan has room for, or *latest*.

    A job that holds a reservation at *latest* need not look beyond: what it holds there is its own.
    """
    points, room = pool.points, pool.room
    for k in range(pool.head[POINTS]):
        if points[k] >= latest or points[k] >= start + estimate:
            break
        if room[k] < procs:
            if k + 1 == pool.head[POINTS]:
                return latest
            start = points[k + 1]
    return min(start, latest)


@compiled
def improve_plan(pool: Pool, now: int) -> None:
    """Let every job in order move into room that was given back, until none can.

    Before, no job could move: so only those are tried that fit somewhere in the room that was
    given back before their reservation.
    """
    head, nodes = pool.head, pool.nodes
    while head[GAIN_FROM] < head[GAIN_TO]:
        since, until = head[GAIN_FROM], head[GAIN_TO]  # of the last time through, and so far
        head[GAIN_FROM], head[GAIN_TO] = NEVER, -NEVER
        head[NEXT_START] = NEVER
        most = most_room(pool, since, until)
        slot = first(nodes, pool.roots[1])
        while slot != 0:
            procs, estimate, held = nodes[slot, PROCS], nodes[slot, ESTIMATE], nodes[slot, START]
            if held == NEVER and procs <= head[PROCESSORS]:
                reserve(pool, slot, now)
                most = most_room(pool, since, until)
            elif procs <= most and since < held:
                start = earliest(pool, procs, estimate, now, held)
                if start < held:
                    change(pool, -procs, start, start + estimate)
                    give(pool, procs, held, held + estimate)
                    nodes[slot, START] = start
                    since, until = min(since, held), max(until, held + estimate)
                    most = most_room(pool, since, until)
            head[NEXT_START] = min(head[NEXT_START], nodes[slot, START])
            slot = following(nodes, slot)


@compiled
def most_room(pool: Pool, since: int, until: int) -> int:
    """Return the most processors that are free at any time of [since, until)."""
    most, count = 0, pool.head[POINTS]
    for k in range(count):
        if pool.points[k] >= until:
            break
        if k + 1 == count or pool.points[k + 1] > since:
            most = max(most, pool.room[k])
    return most


@compiled
def start_due(pool: Pool, now: int) -> int:
    """Start the jobs whose reservation is now, in the order of the queue."""
    head, nodes = pool.head, pool.nodes
    count, slot = 0, first(nodes, pool.roots[1])
    while slot != 0:
        after = following(nodes, slot)
        if nodes[slot, START] == now:
            count = begin(pool, slot, now, count)
        slot = after
    head[NEXT_START] = next_start(pool)
    return count


@compiled
def next_start(pool: Pool) -> int:
    """Return the earliest reservation of all waiting jobs."""
    nodes, start = pool.nodes, NEVER
    slot = first(nodes, pool.roots[1])
    while slot != 0:
        start = min(start, nodes[slot, START])
        slot = following(nodes, slot)
    return start
