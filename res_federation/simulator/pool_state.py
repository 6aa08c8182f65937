"""One pool of processors as arrays: its waiting and its running jobs, and their coming and going.

These kernels keep the books; `pool_passes` decides who starts.  A whole trace (`pool`) and a queue
that is driven event by event (`local_queue`) stand on the very same ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from res_federation.placement.kernels import compiled
from res_federation.simulator.pool_profile import give
from res_federation.simulator.pool_tree import (
    BEGAN,
    CLASSES,
    COUNTS,
    DISCIPLINE,
    DRAW,
    ESTIMATE,
    FREE,
    GAIN_FROM,
    GAIN_TO,
    HEAD,
    KEY,
    LEAST,
    LEAVES,
    NEVER,
    NEWEST,
    NEXT_START,
    PLACE,
    POINTS,
    PROCESSORS,
    PROCS,
    QUEUE,
    QUEUED,
    ROOM,
    ROOTS,
    RUNNING,
    SEQ,
    SHORTEST,
    SIZES,
    STALE,
    START,
    TIMES,
    WIDTH,
    WORK,
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


class Pool(NamedTuple):
    """The state of one pool.

    Two arrays only: numba counts the references of each array that it hands on, and that would
    take longer than the work.

    Attributes:
        nodes: (slots + 1, WIDTH) jobs, see `pool_tree`.
        rows: (9, length) the rest, each row from its beginning, as far as it is used:
            HEAD counts: free processors, waiting jobs, running jobs, the discipline, processors in
            all, processor-seconds asked for by waiting jobs, classes, leaves; and of a plan:
            points of the profile, the times between which room was gained since the last pass, the
            first job in order that has no reservation yet, the earliest reservation, whether the
            plan must be made anew.
            ROOTS the tree of the running jobs by believed end, then the waiting jobs by class.
            SIZES ascending: class k has the jobs of SIZES[k - 1] < procs <= SIZES[k].
            SHORTEST minima over classes: the least estimate among the waiting jobs of each.
            QUEUE heap of the waiting jobs in order.
            CANDIDATES heap of a pass: the next job of each class.
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
    planned = 2 * slots + 4 if discipline == CONSERVATIVE else 0
    nodes = np.zeros((slots + 1, WIDTH), np.int64)
    nodes[0, LEAST] = NEVER
    nodes[:, DRAW] = _draws(slots + 1)
    length = max(slots + 1, planned, 2 * leaves, len(sizes) + 1, COUNTS)
    rows = np.zeros((ROOM + 1, length), np.int64)
    rows[HEAD, [FREE, PROCESSORS]] = processors
    rows[HEAD, DISCIPLINE], rows[HEAD, POINTS] = discipline, 1
    rows[HEAD, CLASSES], rows[HEAD, LEAVES] = len(sizes), leaves
    rows[HEAD, [GAIN_FROM, NEXT_START]] = NEVER
    rows[HEAD, GAIN_TO] = -NEVER
    rows[SIZES, : len(sizes)] = sizes
    rows[SHORTEST, : 2 * leaves] = NEVER
    rows[TIMES, 0], rows[ROOM, 0] = -NEVER, processors
    return Pool(nodes, rows)


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


def _draws(slots: int) -> Ints:
    """Return a number for each slot that looks drawn by lot and is always the same (splitmix64)."""
    x = np.arange(slots, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.int64)


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
        elif rows[HEAD, NEWEST] == 0 or before(nodes, slot, rows[HEAD, NEWEST]):
            rows[HEAD, NEWEST] = slot
    rows[HEAD, QUEUED] = push(nodes, rows, QUEUE, rows[HEAD, QUEUED], PLACE, slot)
    rows[HEAD, WORK] += procs * estimate


@compiled
def admit(
    nodes: Ints, rows: Ints, slot: int, now: int, seq: int, procs: int, estimate: int
) -> None:
    """Start a job that never waits."""
    nodes[slot, KEY], nodes[slot, SEQ] = now + estimate, seq
    nodes[slot, PROCS], nodes[slot, ESTIMATE] = procs, estimate
    insert(nodes, rows, 0, slot)
    rows[HEAD, FREE] -= procs
    rows[HEAD, RUNNING] += 1


@compiled
def unqueue(nodes: Ints, rows: Ints, slot: int) -> None:
    """Take a waiting job out of the queue."""
    rows[HEAD, QUEUED] = pull(nodes, rows, QUEUE, rows[HEAD, QUEUED], PLACE, slot)
    rows[HEAD, WORK] -= nodes[slot, PROCS] * nodes[slot, ESTIMATE]
    if rows[HEAD, DISCIPLINE] != FCFS:
        which = size_class(rows, nodes[slot, PROCS])
        remove(nodes, rows, which + 1, slot)
        if rows[HEAD, DISCIPLINE] == EASY:
            set_least(rows, which, nodes[rows[ROOTS, which + 1], LEAST])


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
