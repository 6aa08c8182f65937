"""One scheduling pass over a pool, as numba kernels: fcfs, easy, and conservative.

**fcfs** starts the head of the queue while it fits.  **easy** then backfills: the blocked head is
promised the earliest believed end S at which enough processors are free, X are left over then, and
each later job in order starts if it fits now and either ends by S or takes no more than X.  Nothing
is remembered between passes.

**conservative** promises every job a start: `pool_plan`.

A running job that has overrun its believed end is believed to end in the next second.
"""

from __future__ import annotations

from res_federation.placement.kernels import compiled
from res_federation.simulator.pool_plan import follow_plan
from res_federation.simulator.pool_state import CONSERVATIVE, EASY, begin, size_class
from res_federation.simulator.pool_tree import (
    ASIDE,
    CANDIDATES,
    DISCIPLINE,
    ESTIMATE,
    FREE,
    HEAD,
    NEVER,
    PROCS,
    QUEUE,
    QUEUED,
    ROOTS,
    first,
    first_within,
    next_within,
    pull,
    push,
    reach,
    total_until,
)
from res_federation.simulator.workload import Ints


@compiled
def run_pass(nodes: Ints, rows: Ints, now: int) -> int:
    """Make one pass at *now*; return how many jobs began: they are the first of ``pool.began``."""
    if rows[HEAD, DISCIPLINE] == CONSERVATIVE:
        return follow_plan(nodes, rows, now)
    count = 0
    while rows[HEAD, QUEUED] > 0 and nodes[rows[QUEUE, 0], PROCS] <= rows[HEAD, FREE]:
        count = begin(nodes, rows, rows[QUEUE, 0], now, count)
    if rows[HEAD, DISCIPLINE] == EASY and rows[HEAD, QUEUED] > 1 and rows[HEAD, FREE] > 0:
        count = backfill(nodes, rows, now, count)
    return count


@compiled
def backfill(nodes: Ints, rows: Ints, now: int, count: int) -> int:
    """Start what may overtake the blocked head of the queue.

    Jobs of one size differ in their estimate only, so of each size only its next candidate is
    looked at: the first that ends in time, or the first of all while the size fits beside the
    head.  What is free and what is left over only shrink in a pass: who was passed over stays so.
    """
    small = size_class(rows, rows[HEAD, FREE] + 1)
    if next_within(rows, 0, small, NEVER - 1) < 0:
        return count
    blocked = nodes[rows[QUEUE, 0], PROCS]
    shadow, spare = reach(nodes, rows[ROOTS, 0], blocked - rows[HEAD, FREE]), rows[HEAD, FREE]
    if shadow < NEVER:
        shadow = max(shadow, now + 1)
        spare += total_until(nodes, rows[ROOTS, 0], shadow) - blocked
    longest = shadow - now if shadow < NEVER else NEVER - 1
    beside = size_class(rows, min(spare, rows[HEAD, FREE]) + 1)
    length, which = 0, -1
    while True:
        which = next_within(rows, which + 1, beside, NEVER - 1)
        if which < 0:
            break
        slot = first(nodes, rows[ROOTS, which + 1])
        length = push(nodes, rows, CANDIDATES, length, ASIDE, slot)
    which = beside - 1
    while True:
        which = next_within(rows, which + 1, small, longest)
        if which < 0:
            break
        slot = first_within(nodes, rows[ROOTS, which + 1], longest)
        length = push(nodes, rows, CANDIDATES, length, ASIDE, slot)
    while length > 0:
        slot = rows[CANDIDATES, 0]
        length = pull(nodes, rows, CANDIDATES, length, ASIDE, slot)
        procs = nodes[slot, PROCS]
        if procs > rows[HEAD, FREE]:
            continue
        in_time = nodes[slot, ESTIMATE] <= longest
        if in_time or procs <= spare:
            count = begin(nodes, rows, slot, now, count)
            if not in_time:
                spare -= procs
            if procs > rows[HEAD, FREE]:
                continue
        root = rows[ROOTS, size_class(rows, procs) + 1]
        slot = first_within(nodes, root, NEVER - 1 if procs <= spare else longest)
        if slot != 0:
            length = push(nodes, rows, CANDIDATES, length, ASIDE, slot)
    return count
