"""One pool of processors as arrays: its waiting and its running jobs, and their coming and going.

These kernels keep the books; `pool_passes` decides who starts.  A whole trace (`pool`) and a queue
that is driven event by event (`local_queue`) stand on the very same ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from res_federation.placement.compiling import compiled
from res_federation.simulator.pool_profile import give
from res_federation.simulator.pool_tree import (
    BEGAN,
    CLASSES,
    COUNTS,
    DISCIPLINE,
    ENTRIES,
    ESTIMATE,
    FREE,
    FRONT,
    GAIN_FROM,
    GAIN_TO,
    HEAD,
    KEY,
    LEAST,
    LEAVES,
    NEVER,
    NEWEST,
    NEXT_START,
    POINTS,
    PROCESSORS,
    PROCS,
    QUEUE,
    QUEUED,
    ROOM,
    ROOTS,
    ROWS,
    RUNNING,
    SEQ,
    SHORTEST,
    SIZES,
    STALE,
    START,
    TIMES,
    WAITS,
    WIDTH,
    WORK,
    before,
    first,
    following,
    insert,
    pop,
    push,
    remove,
    set_least,
)
from res_federation.simulator.workload import Ints

FCFS, EASY, CONSERVATIVE = 0, 1, 2
DISCIPLINES = {"fcfs": FCFS, "easy": EASY, "conservative": CONSERVATIVE}


class Pool(NamedTuple):
    """The state of one pool.

    Two arrays only: numba counts the references of each array that it hands on, and that would
    take longer than the work.

    Attributes:
        nodes: (slots + 1, WIDTH) jobs, see `pool_tree`.
        rows: (ROWS, length) the rest, each row from its beginning, as far as it is used:
            HEAD counts: free processors, waiting jobs, running jobs, the discipline, processors in
            all, processor-seconds asked for by waiting jobs, classes, leaves, entries of the heap;
            and of a plan:
            points of the profile, the times between which room was gained since the last pass, the
            first job in order that has no reservation yet, the earliest reservation, whether the
            plan must be made anew.
            ROOTS the tree of the running jobs by believed end, then the waiting jobs by class.
            SIZES ascending: class k has the jobs of SIZES[k - 1] < procs <= SIZES[k].
            SHORTEST minima over classes: the least estimate among the waiting jobs of each.
            QUEUE heap of the waiting jobs in order, and of some that wait no more.
            FRONT first waiting job of each class, 0 for none.
            CANDIDATES heap of a pass: classes by where their next job to start may be.
            FOUND that job of each class, 0 where it has not been looked for.
            BEGAN jobs that the last pass started, in order.
            TIMES and ROOM, see `pool_profile`.

    """

    nodes: Ints
    rows: Ints


def make_pool(slots: int, sizes: Ints, processors: int, discipline: int) -> Pool:
    """Return an empty pool for *slots* jobs at once, whose sizes are among *sizes*."""
    if discipline != EASY:  # a plan is made in the order of the queue: one class for all
        sizes = np.array([NEVER], np.int64)
    leaves = 1 << max(len(sizes) - 1, 0).bit_length()
    length = max(2 * slots + 4, 2 * leaves, len(sizes) + 1, COUNTS)
    rows = np.zeros((ROWS, length), np.int64)
    rows[HEAD, [FREE, PROCESSORS]] = processors
    rows[HEAD, DISCIPLINE], rows[HEAD, POINTS] = discipline, 1
    rows[HEAD, CLASSES], rows[HEAD, LEAVES] = len(sizes), leaves
    rows[HEAD, [GAIN_FROM, NEXT_START]] = NEVER
    rows[HEAD, GAIN_TO] = -NEVER
    rows[SIZES, : len(sizes)] = sizes
    rows[SHORTEST, : 2 * leaves] = NEVER
    rows[TIMES, 0], rows[ROOM, 0] = -NEVER, processors
    return Pool(_nodes(slots), rows)


def with_slots(pool: Pool, slots: int) -> Pool:
    """Return a pool for more jobs at once."""
    head = pool.rows[HEAD]
    made = make_pool(slots, pool.rows[SIZES, : head[CLASSES]], 0, int(head[DISCIPLINE]))
    old, width = pool.nodes.shape[0], pool.rows.shape[1]
    made.nodes[:old] = pool.nodes
    rows = _wide(made.rows, width)
    rows[:, :width] = pool.rows
    return Pool(made.nodes, rows)


def with_size(pool: Pool, procs: int) -> Pool:
    """Return a pool that has a class for jobs of *procs* too."""
    rows, count = pool.rows, int(pool.rows[HEAD, CLASSES])
    which = int(np.searchsorted(rows[SIZES, :count], procs))
    sizes = np.insert(rows[SIZES, :count], which, procs)
    roots = np.insert(rows[ROOTS, 1 : count + 1], which, 0)
    leaves = 1 << count.bit_length()
    rows = _wide(rows, max(2 * leaves, count + 2))
    rows[SIZES, : count + 1], rows[ROOTS, 1 : count + 2] = sizes, roots
    rows[HEAD, CLASSES], rows[HEAD, LEAVES] = count + 1, leaves
    rows[FRONT : FRONT + 3, : count + 1] = np.insert(rows[FRONT : FRONT + 3, :count], which, 0, 1)
    level = np.full(leaves, NEVER, np.int64)
    level[: count + 1] = pool.nodes[roots, LEAST]
    rows[SHORTEST, leaves : 2 * leaves] = level
    while len(level) > 1:
        level = level.reshape(-1, 2).min(axis=1)
        rows[SHORTEST, len(level) : 2 * len(level)] = level
    return Pool(pool.nodes, rows)


def _wide(rows: Ints, width: int) -> Ints:
    """Return rows that are at least so long."""
    if rows.shape[1] >= width:
        return rows
    wide = np.zeros((rows.shape[0], 2 * width), np.int64)
    wide[:, : rows.shape[1]] = rows
    return wide


def _nodes(slots: int) -> Ints:
    """Return rows for so many slots and nobody, each beginning with a cache line."""
    cells = np.zeros((slots + 1) * WIDTH + 8, np.int64)
    skip = -cells.ctypes.data // 8 % 8
    nodes = cells[skip : skip + (slots + 1) * WIDTH].reshape(slots + 1, WIDTH)
    nodes[0, LEAST] = NEVER
    return nodes


@compiled
def size_class(rows: Ints, procs: int) -> int:
    """Return how many classes are of smaller jobs: the class of a job of *procs*."""
    low, high = 0, rows[HEAD, CLASSES]
    while low < high:
        middle = (low + high) >> 1
        if rows[SIZES, middle] < procs:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def tidy(nodes: Ints, rows: Ints) -> None:
    """Leave only those who wait in the heap of the queue."""
    count, rows[HEAD, ENTRIES] = rows[HEAD, ENTRIES], 0
    for k in range(count):
        slot, key, seq = rows[QUEUE, k], rows[QUEUE + 1, k], rows[QUEUE + 2, k]
        if nodes[slot, WAITS] == 1 and nodes[slot, SEQ] == seq:
            rows[HEAD, ENTRIES] = push(rows, QUEUE, rows[HEAD, ENTRIES], slot, key, seq)


@compiled
def foremost(nodes: Ints, rows: Ints) -> int:
    """Return the first job of the queue; somebody waits."""
    while True:
        slot = rows[QUEUE, 0]
        if nodes[slot, WAITS] == 1 and nodes[slot, SEQ] == rows[QUEUE + 2, 0]:
            return int(slot)
        rows[HEAD, ENTRIES] = pop(rows, QUEUE, rows[HEAD, ENTRIES])


@compiled
def admit(
    nodes: Ints, rows: Ints, slot: int, now: int, seq: int, procs: int, estimate: int
) -> None:
    """Start a job that never waits."""
    nodes[slot, KEY], nodes[slot, SEQ] = now + estimate, seq
    nodes[slot, PROCS], nodes[slot, ESTIMATE] = procs, estimate
    nodes[slot, WAITS] = 0
    insert(nodes, rows, 0, slot)
    rows[HEAD, FREE] -= procs
    rows[HEAD, RUNNING] += 1


@compiled
def set_front(nodes: Ints, rows: Ints, which: int, slot: int) -> None:
    """Say which waiting job of a class is the first in order, 0 for none."""
    rows[FRONT, which] = slot
    rows[FRONT + 1, which], rows[FRONT + 2, which] = nodes[slot, KEY], nodes[slot, SEQ]


@compiled
def unqueue(nodes: Ints, rows: Ints, slot: int) -> None:
    """Take a waiting job out of the queue."""
    nodes[slot, WAITS] = 0  # its entry in the heap goes when it comes to the front
    rows[HEAD, QUEUED] -= 1
    rows[HEAD, WORK] -= nodes[slot, PROCS] * nodes[slot, ESTIMATE]
    if rows[HEAD, DISCIPLINE] != FCFS:
        which = size_class(rows, nodes[slot, PROCS])
        remove(nodes, rows, which + 1, slot)
        if rows[HEAD, DISCIPLINE] == EASY:
            root = rows[ROOTS, which + 1]
            set_least(rows, which, nodes[root, LEAST])
            if rows[FRONT, which] == slot:
                set_front(nodes, rows, which, first(nodes, root))


@compiled
def enqueue(
    nodes: Ints, rows: Ints, slot: int, key: int, seq: int, procs: int, estimate: int
) -> None:
    """Put a job at its place in the queue: the lesser *key* first, then the lesser *seq*."""
    nodes[slot, KEY], nodes[slot, SEQ] = key, seq
    nodes[slot, PROCS], nodes[slot, ESTIMATE] = procs, estimate
    nodes[slot, START] = NEVER
    if rows[HEAD, DISCIPLINE] != FCFS:
        which = size_class(rows, procs)
        insert(nodes, rows, which + 1, slot)
        if rows[HEAD, DISCIPLINE] == EASY:
            set_least(rows, which, nodes[rows[ROOTS, which + 1], LEAST])
            front = rows[FRONT, which]
            if front == 0 or before(nodes, slot, front):
                set_front(nodes, rows, which, slot)
        elif rows[HEAD, NEWEST] == 0 or before(nodes, slot, rows[HEAD, NEWEST]):
            rows[HEAD, NEWEST] = slot
    if 2 * rows[HEAD, ENTRIES] >= rows.shape[1] and rows[HEAD, ENTRIES] > 2 * rows[HEAD, QUEUED]:
        tidy(nodes, rows)
    rows[HEAD, ENTRIES] = push(rows, QUEUE, rows[HEAD, ENTRIES], slot, key, seq)
    nodes[slot, WAITS] = 1
    rows[HEAD, QUEUED] += 1
    rows[HEAD, WORK] += procs * estimate


@compiled
def begin(nodes: Ints, rows: Ints, slot: int, now: int, count: int) -> int:
    """Start a waiting job, as the *count*-th of this pass; return one more."""
    unqueue(nodes, rows, slot)
    nodes[slot, KEY] = now + nodes[slot, ESTIMATE]
    insert(nodes, rows, 0, slot)
    rows[HEAD, FREE] -= nodes[slot, PROCS]
    rows[HEAD, RUNNING] += 1
    rows[BEGAN, count] = slot
    return count + 1


@compiled
def finish(nodes: Ints, rows: Ints, slot: int, now: int) -> None:
    """Let a running job end: its processors are free from now on."""
    remove(nodes, rows, 0, slot)
    rows[HEAD, FREE] += nodes[slot, PROCS]
    rows[HEAD, RUNNING] -= 1
    if rows[HEAD, DISCIPLINE] == CONSERVATIVE:
        believed = nodes[slot, KEY]
        if believed < now:
            rows[HEAD, STALE] = 1  # it overran: the plan took its processors for free
        elif believed > now:
            give(rows, nodes[slot, PROCS], now, believed)
        elif rows[TIMES, 0] == now:
            give(rows, nodes[slot, PROCS], now, now + 1)  # a pass at this instant: it overran


@compiled
def running_slots(nodes: Ints, rows: Ints) -> Ints:
    """Return the slots of the running jobs by believed end."""
    slots = np.zeros(rows[HEAD, RUNNING], np.int64)
    slot = first(nodes, rows[ROOTS, 0])
    for k in range(slots.shape[0]):
        slots[k] = slot
        slot = following(nodes, slot)
    return slots
