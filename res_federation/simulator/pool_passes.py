"""One scheduling pass over a pool, as numba kernels: fcfs, easy, and conservative.

**fcfs** starts the head of the queue while it fits.  **easy** then backfills: the blocked head is
promised the earliest believed end S at which enough processors are free, X are left over then, and
each later job in order starts if it fits now and either ends by S or takes no more than X.  Nothing
is remembered between passes.

**conservative** promises every job a start: `pool_plan`.

A running job that has overrun its believed end is believed to end in the next second.
"""

from __future__ import annotations

from res_federation.placement.compiling import compiled
from res_federation.simulator.pool_plan import follow_plan
from res_federation.simulator.pool_state import CONSERVATIVE, EASY, begin, foremost, size_class
from res_federation.simulator.pool_tree import (
    CANDIDATES,
    DISCIPLINE,
    ESTIMATE,
    FOUND,
    FREE,
    FRONT,
    HEAD,
    KEY,
    LEAVES,
    NEVER,
    PROCS,
    QUEUED,
    ROOTS,
    SEQ,
    SHORTEST,
    SIZES,
    first_within,
    next_within,
    pop,
    push,
    reach,
    total_until,
)
from res_federation.simulator.workload import Ints


@compiled
def candidates(rows: Ints, small: int, spare: int, longest: int) -> int:
    """Put the classes on the heap that have a job to start; return how many.

    Args:
        rows: Of the pool.
        small: Classes from here on do not fit.
        spare: Jobs of so many processors may take as long as they like.
        longest: Seconds that the others may take.

    """
    beside = min(size_class(rows, spare + 1), small)
    length, which = 0, -1
    while True:
        which = next_within(rows, which + 1, small, NEVER - 1 if which + 1 < beside else longest)
        if which < 0:
            return length
        if which >= beside and rows[SHORTEST, rows[HEAD, LEAVES] + which] > longest:
            continue
        rows[FOUND, which] = 0
        key, seq = rows[FRONT + 1, which], rows[FRONT + 2, which]
        length = push(rows, CANDIDATES, length, which, key, seq)


@compiled
def backfill(nodes: Ints, rows: Ints, now: int, count: int) -> int:
    """Start what may overtake the blocked head of the queue.

    Jobs of one class differ in their estimate only, so of each only the next candidate matters:
    the first that ends in time, or the first of all while the size fits beside the head.  Where it
    is at the earliest is known without a search: at the front.  What is free and what is left over
    only shrink in a pass: who was passed over stays so.
    """
    small = size_class(rows, rows[HEAD, FREE] + 1)
    if next_within(rows, 0, small, NEVER - 1) < 0:
        return count
    blocked = nodes[foremost(nodes, rows), PROCS]
    shadow, spare = reach(nodes, rows[ROOTS, 0], blocked - rows[HEAD, FREE]), rows[HEAD, FREE]
    if shadow < NEVER:
        shadow = max(shadow, now + 1)
        spare += total_until(nodes, rows[ROOTS, 0], shadow) - blocked
    longest = shadow - now if shadow < NEVER else NEVER - 1
    length = candidates(rows, small, spare, longest)
    smallest = rows[SIZES, rows[CANDIDATES, 0]] if length > 0 else 0
    for k in range(1, length):
        smallest = min(smallest, rows[SIZES, rows[CANDIDATES, k]])
    while length > 0 and smallest <= rows[HEAD, FREE]:
        which, key, seq = rows[CANDIDATES, 0], rows[CANDIDATES + 1, 0], rows[CANDIDATES + 2, 0]
        length = pop(rows, CANDIDATES, length)
        procs, slot = rows[SIZES, which], rows[FOUND, which]
        if procs > rows[HEAD, FREE]:
            continue
        if slot == 0 or (procs > spare and nodes[slot, ESTIMATE] > longest):
            root = rows[ROOTS, which + 1]
            slot = first_within(nodes, root, NEVER - 1 if procs <= spare else longest)
            rows[FOUND, which] = slot
            if slot == 0:
                continue
            if nodes[slot, SEQ] != seq or nodes[slot, KEY] != key:
                key, seq = nodes[slot, KEY], nodes[slot, SEQ]
                length = push(rows, CANDIDATES, length, which, key, seq)
                continue
        if nodes[slot, ESTIMATE] > longest:
            spare -= procs
        count = begin(nodes, rows, slot, now, count)
        rows[FOUND, which] = 0
        if rows[FRONT, which] != 0:
            length = push(rows, CANDIDATES, length, which, key, seq)
    return count


@compiled
def run_pass(nodes: Ints, rows: Ints, now: int) -> int:
    """Make one pass at *now*; return how many jobs began: they are the first of ``pool.began``."""
    if rows[HEAD, DISCIPLINE] == CONSERVATIVE:
        return follow_plan(nodes, rows, now)
    count = 0
    while rows[HEAD, QUEUED] > 0:
        slot = foremost(nodes, rows)
        if nodes[slot, PROCS] > rows[HEAD, FREE]:
            break
        count = begin(nodes, rows, slot, now, count)
    if rows[HEAD, DISCIPLINE] == EASY and rows[HEAD, QUEUED] > 1 and rows[HEAD, FREE] > 0:
        count = backfill(nodes, rows, now, count)
    return count
