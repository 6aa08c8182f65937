"""Ordered trees, a heap and a row of minima over jobs, as numba kernels on plain arrays.

A job is a slot, a row of *nodes*.  Slot 0 is nobody: the empty tree, with the least estimate NEVER
and no processors, so that no kernel asks whether a child is there.  A tree is a treap: its shape
comes from the draws of its slots, never from the order in which they came, so its depth is
logarithmic whatever the trace.  A slot is in one tree at a time: among the waiting jobs of its
size, or among the running ones.
"""

from __future__ import annotations

from res_federation.placement.kernels import compiled
from res_federation.simulator.workload import Ints

NEVER = 1 << 61
"""Later than any time and longer than any job."""

LEFT, RIGHT, PARENT = 0, 1, 2
KEY, SEQ = 3, 4  # the order: the lesser KEY first, then the lesser SEQ
LEAST, TOTAL = 5, 6  # of the subtree: least estimate, sum of processors
DRAW = 7
PROCS, ESTIMATE = 8, 9
PLACE, ASIDE = 10, 11  # position in the heap of the queue, in a heap of a pass
START = 12  # reservation, where the discipline gives one
WIDTH = 16  # two cache lines

HEAD, ROOTS, SIZES, SHORTEST, QUEUE, CANDIDATES, BEGAN, TIMES, ROOM = range(9)
"""Rows of a pool, see `pool_state.Pool`."""
FREE, QUEUED, RUNNING, DISCIPLINE, PROCESSORS, WORK = 0, 1, 2, 3, 4, 5
CLASSES, LEAVES = 6, 7
POINTS, GAIN_FROM, GAIN_TO, NEWEST, NEXT_START, STALE = 8, 9, 10, 11, 12, 13
COUNTS = 14
"""Places in the row HEAD."""


@compiled
def before(nodes: Ints, a: int, b: int) -> bool:
    """Return whether slot *a* comes before slot *b*."""
    if nodes[a, KEY] != nodes[b, KEY]:
        return bool(nodes[a, KEY] < nodes[b, KEY])
    return bool(nodes[a, SEQ] < nodes[b, SEQ])


@compiled
def sum_up(nodes: Ints, at: int) -> None:
    """Set what a node says of its subtree from its children."""
    left, right = nodes[at, LEFT], nodes[at, RIGHT]
    nodes[at, LEAST] = min(nodes[at, ESTIMATE], nodes[left, LEAST], nodes[right, LEAST])
    nodes[at, TOTAL] = nodes[at, PROCS] + nodes[left, TOTAL] + nodes[right, TOTAL]


@compiled
def hang(nodes: Ints, rows: Ints, tree: int, parent: int, old: int, new: int) -> None:
    """Put *new* in the place that *old* has below *parent*."""
    if parent == 0:
        rows[ROOTS, tree] = new
    elif nodes[parent, LEFT] == old:
        nodes[parent, LEFT] = new
    else:
        nodes[parent, RIGHT] = new
    if new != 0:
        nodes[new, PARENT] = parent


@compiled
def rotate_up(nodes: Ints, rows: Ints, tree: int, slot: int) -> None:
    """Exchange a slot and its parent, keeping the order."""
    parent = nodes[slot, PARENT]
    hang(nodes, rows, tree, nodes[parent, PARENT], parent, slot)
    near, far = LEFT, RIGHT
    if nodes[parent, RIGHT] == slot:
        near, far = RIGHT, LEFT
    inner = nodes[slot, far]
    nodes[parent, near] = inner
    if inner != 0:
        nodes[inner, PARENT] = parent
    nodes[slot, far] = parent
    nodes[parent, PARENT] = slot
    sum_up(nodes, parent)
    sum_up(nodes, slot)


@compiled
def insert(nodes: Ints, rows: Ints, tree: int, slot: int) -> None:
    """Put a slot, with its KEY, SEQ, PROCS and ESTIMATE, into a tree."""
    estimate, procs = nodes[slot, ESTIMATE], nodes[slot, PROCS]
    nodes[slot, LEFT] = nodes[slot, RIGHT] = nodes[slot, PARENT] = 0
    nodes[slot, LEAST], nodes[slot, TOTAL] = estimate, procs
    at = rows[ROOTS, tree]
    if at == 0:
        rows[ROOTS, tree] = slot
        return
    while True:
        nodes[at, LEAST] = min(nodes[at, LEAST], estimate)
        nodes[at, TOTAL] += procs
        side = LEFT if before(nodes, slot, at) else RIGHT
        below = nodes[at, side]
        if below == 0:
            break
        at = below
    nodes[at, side] = slot
    nodes[slot, PARENT] = at
    while at != 0 and nodes[slot, DRAW] > nodes[at, DRAW]:
        rotate_up(nodes, rows, tree, slot)
        at = nodes[slot, PARENT]


@compiled
def remove(nodes: Ints, rows: Ints, tree: int, slot: int) -> None:
    """Take a slot out of its tree."""
    left, right = nodes[slot, LEFT], nodes[slot, RIGHT]
    while left != 0 and right != 0:
        higher = left if nodes[left, DRAW] > nodes[right, DRAW] else right
        rotate_up(nodes, rows, tree, higher)
        left, right = nodes[slot, LEFT], nodes[slot, RIGHT]
    at = nodes[slot, PARENT]
    hang(nodes, rows, tree, at, slot, left + right)  # one of them is nobody
    estimate, procs = nodes[slot, ESTIMATE], nodes[slot, PROCS]
    while at != 0:
        nodes[at, TOTAL] -= procs
        if nodes[at, LEAST] == estimate:
            left, right = nodes[at, LEFT], nodes[at, RIGHT]
            nodes[at, LEAST] = min(nodes[at, ESTIMATE], nodes[left, LEAST], nodes[right, LEAST])
        at = nodes[at, PARENT]


@compiled
def first_within(nodes: Ints, at: int, longest: int) -> int:
    """Return the first slot in order with an estimate of at most *longest*, or 0."""
    if nodes[at, LEAST] > longest:
        return 0
    while True:
        left = nodes[at, LEFT]
        if nodes[left, LEAST] <= longest:
            at = left
        elif nodes[at, ESTIMATE] <= longest:
            return at
        else:
            at = nodes[at, RIGHT]


@compiled
def reach(nodes: Ints, at: int, needed: int) -> int:
    """Return the least KEY at which the slots up to it have *needed* processors, or NEVER."""
    while at != 0:
        left = nodes[at, LEFT]
        with_left = nodes[left, TOTAL]
        if with_left >= needed:
            at = left
        elif with_left + nodes[at, PROCS] >= needed:
            return int(nodes[at, KEY])
        else:
            needed -= with_left + nodes[at, PROCS]
            at = nodes[at, RIGHT]
    return NEVER


@compiled
def total_until(nodes: Ints, at: int, key: int) -> int:
    """Return the processors of all slots whose KEY is at most *key*."""
    total = 0
    while at != 0:
        if nodes[at, KEY] <= key:
            total += nodes[nodes[at, LEFT], TOTAL] + nodes[at, PROCS]
            at = nodes[at, RIGHT]
        else:
            at = nodes[at, LEFT]
    return total


@compiled
def first(nodes: Ints, at: int) -> int:
    """Return the first slot of a tree in order, or 0."""
    while nodes[at, LEFT] != 0:
        at = nodes[at, LEFT]
    return at


@compiled
def following(nodes: Ints, at: int) -> int:
    """Return the slot after this one in its tree, or 0."""
    if nodes[at, RIGHT] != 0:
        return first(nodes, nodes[at, RIGHT])
    parent = nodes[at, PARENT]
    while parent != 0 and nodes[parent, RIGHT] == at:
        at = parent
        parent = nodes[at, PARENT]
    return int(parent)


@compiled
def settle(nodes: Ints, rows: Ints, heap: int, length: int, column: int, place: int) -> None:
    """Put the slot at *place* of a heap where it belongs; positions are kept in *column*."""
    slot = rows[heap, place]
    while place > 0 and before(nodes, slot, rows[heap, (place - 1) // 2]):
        rows[heap, place] = rows[heap, (place - 1) // 2]
        nodes[rows[heap, place], column] = place
        place = (place - 1) // 2
    child = 2 * place + 1
    while child < length:
        if child + 1 < length and before(nodes, rows[heap, child + 1], rows[heap, child]):
            child += 1
        if not before(nodes, rows[heap, child], slot):
            break
        rows[heap, place] = rows[heap, child]
        nodes[rows[heap, place], column] = place
        place, child = child, 2 * child + 1
    rows[heap, place] = slot
    nodes[slot, column] = place


@compiled
def push(nodes: Ints, rows: Ints, heap: int, length: int, column: int, slot: int) -> int:
    """Put a slot on a heap; return its new length."""
    rows[heap, length] = slot
    settle(nodes, rows, heap, length + 1, column, length)
    return length + 1


@compiled
def pull(nodes: Ints, rows: Ints, heap: int, length: int, column: int, slot: int) -> int:
    """Take a slot off a heap, from wherever it is; return its new length."""
    place = nodes[slot, column]
    length -= 1
    if place != length:
        rows[heap, place] = rows[heap, length]
        settle(nodes, rows, heap, length, column, place)
    return length


@compiled
def set_least(rows: Ints, which: int, value: int) -> None:
    """Set the least estimate of a class: the row has its leaves last, node k over 2k and 2k + 1."""
    at = rows[HEAD, LEAVES] + which
    rows[SHORTEST, at] = value
    at >>= 1
    while at > 0:
        least = min(rows[SHORTEST, 2 * at], rows[SHORTEST, 2 * at + 1])
        if rows[SHORTEST, at] == least:
            return
        rows[SHORTEST, at] = least
        at >>= 1


@compiled
def next_within(rows: Ints, begin: int, end: int, longest: int) -> int:
    """Return the first of begin, ..., end - 1 whose value is at most *longest*, or -1."""
    if begin >= end:
        return -1
    leaves = rows[HEAD, LEAVES]
    at = leaves + begin
    while rows[SHORTEST, at] > longest:
        while at & 1:
            at >>= 1
        if at == 0:
            return -1
        at += 1
    while at < leaves:
        at *= 2
        if rows[SHORTEST, at] > longest:
            at += 1
    found = at - leaves
    return found if found < end else -1
