"""One pool of processors as arrays: its waiting and its running jobs, and their coming and going.

These kernels keep the books; `pool_passes` decides who starts.  A whole trace (`pool`) and a queue
that is driven event by event (`local_queue`) stand on the very same ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from res_federation.placement.kernels import compiled
from res_federation.simulator.pool_tree import (
    DRAW,
    ESTIMATE,
    KEY,
    LEAST,
    NEVER,
    PLACE,
    PROCS,
    SEQ,
    START,
    WIDTH,
    before,
    first,
    following,
    insert,
    pull,
    push,
    remove,
    set_least,
)
from res_federation.simulator.workload import Ints

FCFS, EASY, CONSERVATIVE = 0, 1, 2
DISCIPLINES = {"fcfs": FCFS, "easy": EASY, "conservative": CONSERVATIVE}

FREE, QUEUED, RUNNING, DISCIPLINE, PROCESSORS, WORK = 0, 1, 2, 3, 4, 5
POINTS, GAIN_FROM, GAIN_TO, NEWEST, NEXT_START, STALE = 6, 7, 8, 9, 10, 11
HEAD = 12


class Pool(NamedTuple):
    """The state of one pool.

    Attributes:
        head: (HEAD,) counts: free processors, waiting jobs, running jobs, the discipline,
            processors in all, processor-seconds asked for by waiting jobs; and of a plan: points
            of the profile, the times between which room was gained since the last pass, the first
            job in order that has no reservation yet, the earliest reservation, whether the plan
            must be made anew.
        nodes: (slots + 1, WIDTH) jobs, see `pool_tree`.
        roots: (sizes + 1,) tree of the running jobs by believed end, then of the waiting jobs by
            size: those of sizes[k - 1] < procs <= sizes[k] are in tree k + 1.
        sizes: (sizes,) ascending.
        shortest: row of minima over sizes: the least estimate among the waiting jobs of each.
        queue: (slots,) heap of the waiting jobs in order.
        aside: (sizes,) heap of a pass: the next job of each size.
        began: (slots,) jobs that the last pass started, in order.
        points: (2 * slots + 4,) of a plan: times at which the free processors change, ascending.
        room: (2 * slots + 4,) free processors from each of *points* to the next.

    """

    head: Ints
    nodes: Ints
    roots: Ints
    sizes: Ints
    shortest: Ints
    queue: Ints
    aside: Ints
    began: Ints
    points: Ints
    room: Ints


def make_pool(slots: int, sizes: Ints, processors: int, discipline: int) -> Pool:
    """Return an empty pool for *slots* jobs at once, whose sizes are among *sizes*."""
    if discipline != EASY:  # a plan is made in the order of the queue: one tree for all
        sizes = np.array([NEVER], np.int64)
    leaves = 1 << max(len(sizes) - 1, 0).bit_length()
    planned = 2 * slots + 4 if discipline == CONSERVATIVE else 2
    nodes = np.zeros((slots + 1, WIDTH), np.int64)
    nodes[0, LEAST] = NEVER
    nodes[:, DRAW] = _draws(slots + 1)
    pool = Pool(
        head=np.zeros(HEAD, np.int64),
        nodes=nodes,
        roots=np.zeros(len(sizes) + 1, np.int64),
        sizes=sizes.astype(np.int64),
        shortest=np.full(2 * leaves, NEVER, np.int64),
        queue=np.zeros(slots + 1, np.int64),
        aside=np.zeros(len(sizes) + 1, np.int64),
        began=np.zeros(slots + 1, np.int64),
        points=np.zeros(planned, np.int64),
        room=np.zeros(planned, np.int64),
    )
    pool.head[[FREE, PROCESSORS]] = processors
    pool.head[DISCIPLINE], pool.head[POINTS] = discipline, 1
    pool.head[[GAIN_FROM, NEXT_START]] = NEVER
    pool.points[0], pool.room[0] = -NEVER, processors
    return pool


def _draws(slots: int) -> Ints:
    """Return a number for each slot that looks drawn by lot and is always the same (splitmix64)."""
    x = np.arange(slots, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.int64)


@compiled
def size_class(sizes: Ints, procs: int) -> int:
    """Return how many of *sizes* are less than *procs*: the class of such a job."""
    low, high = 0, sizes.shape[0]
    while low < high:
        middle = (low + high) // 2
        if sizes[middle] < procs:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def enqueue(pool: Pool, slot: int, key: int, seq: int, procs: int, estimate: int) -> None:
    """Put a job at its place in the queue: the lesser *key* first, then the lesser *seq*."""
    head, nodes = pool.head, pool.nodes
    nodes[slot, KEY], nodes[slot, SEQ] = key, seq
    nodes[slot, PROCS], nodes[slot, ESTIMATE] = procs, estimate
    nodes[slot, START] = NEVER
    if head[DISCIPLINE] != FCFS:
        which = size_class(pool.sizes, procs)
        insert(nodes, pool.roots, which + 1, slot)
        if head[DISCIPLINE] == EASY:
            set_least(pool.shortest, which, nodes[pool.roots[which + 1], LEAST])
        elif head[NEWEST] == 0 or before(nodes, slot, head[NEWEST]):
            head[NEWEST] = slot
    head[QUEUED] = push(nodes, pool.queue, head[QUEUED], PLACE, slot)
    head[WORK] += procs * estimate


@compiled
def unqueue(pool: Pool, slot: int) -> None:
    """Take a waiting job out of the queue."""
    head, nodes = pool.head, pool.nodes
    head[QUEUED] = pull(nodes, pool.queue, head[QUEUED], PLACE, slot)
    head[WORK] -= nodes[slot, PROCS] * nodes[slot, ESTIMATE]
    if head[DISCIPLINE] != FCFS:
        which = size_class(pool.sizes, nodes[slot, PROCS])
        remove(nodes, pool.roots, which + 1, slot)
        if head[DISCIPLINE] == EASY:
            set_least(pool.shortest, which, nodes[pool.roots[which + 1], LEAST])


@compiled
def begin(pool: Pool, slot: int, now: int, count: int) -> int:
    """Start a waiting job, as the *count*-th of this pass; return one more."""
    head, nodes = pool.head, pool.nodes
    unqueue(pool, slot)
    nodes[slot, KEY] = now + nodes[slot, ESTIMATE]
    insert(nodes, pool.roots, 0, slot)
    head[FREE] -= nodes[slot, PROCS]
    head[RUNNING] += 1
    pool.began[count] = slot
    return count + 1


@compiled
def finish(pool: Pool, slot: int, now: int) -> None:
    """Let a running job end: its processors are free from now on."""
    head, nodes = pool.head, pool.nodes
    remove(nodes, pool.roots, 0, slot)
    head[FREE] += nodes[slot, PROCS]
    head[RUNNING] -= 1
    if head[DISCIPLINE] == CONSERVATIVE:
        believed = nodes[slot, KEY]
        if believed < now:
            head[STALE] = 1  # it overran: the plan took its processors for free
        elif believed > now:
            give(pool, nodes[slot, PROCS], now, believed)
        elif pool.points[0] == now:
            give(
                pool, nodes[slot, PROCS], now, now + 1
            )  # a pass at this instant thought it overran


@compiled
def point_at(pool: Pool, time: int) -> int:
    """Return the index of the point of the profile at *time*, which is made if it is not there."""
    head, points, room = pool.head, pool.points, pool.room
    low, high = 0, head[POINTS]
    while low < high:
        middle = (low + high) // 2
        if points[middle] < time:
            low = middle + 1
        else:
            high = middle
    if low == head[POINTS] or points[low] != time:
        for k in range(head[POINTS], low, -1):
            points[k], room[k] = points[k - 1], room[k - 1]
        points[low] = time
        room[low] = room[low - 1] if low > 0 else room[low + 1]
        head[POINTS] += 1
    return low


@compiled
def change(pool: Pool, procs: int, since: int, until: int) -> None:
    """Add *procs*, which may be negative, to the free processors of [since, until)."""
    head, points, room = pool.head, pool.points, pool.room
    begins = point_at(pool, since)
    ends = point_at(pool, until) if until < NEVER else head[POINTS]
    for k in range(begins, ends):
        room[k] += procs
    if ends < head[POINTS] and room[ends] == room[ends - 1]:
        forget(head, points, room, ends)
    if begins > 0 and room[begins] == room[begins - 1]:
        forget(head, points, room, begins)


@compiled
def forget(head: Ints, points: Ints, room: Ints, which: int) -> None:
    """Take a point out of the profile, where nothing changes."""
    head[POINTS] -= 1
    for k in range(which, head[POINTS]):
        points[k], room[k] = points[k + 1], room[k + 1]


@compiled
def give(pool: Pool, procs: int, since: int, until: int) -> None:
    """Give room back to the plan, and remember where, so that others may move into it."""
    head = pool.head
    change(pool, procs, since, until)
    head[GAIN_FROM] = min(head[GAIN_FROM], since)
    head[GAIN_TO] = max(head[GAIN_TO], until)


@compiled
def running_slots(pool: Pool) -> Ints:
    """Return the slots of the running jobs by believed end."""
    slots = np.zeros(pool.head[RUNNING], np.int64)
    slot = first(pool.nodes, pool.roots[0])
    for k in range(slots.shape[0]):
        slots[k] = slot
        slot = following(pool.nodes, slot)
    return slots
