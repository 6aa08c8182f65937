"""Ordered trees, a heap and a row of minima over jobs, as numba kernels on plain arrays.

A job is a slot, a row of *nodes*.  Slot 0 is nobody: the empty tree, with the least estimate NEVER
and no processors, so that no kernel asks whether a child is there.  A tree is a treap: its shape
comes from the draws of its slots, never from the order in which they came, so its depth is
logarithmic whatever the trace.  A slot is in one tree at a time: among the waiting jobs of its
size, or among the running ones.
"""

from __future__ import annotations

from res_federation.placement.compiling import compiled
from res_federation.simulator.workload import Ints

NEVER = 1 << 61
"""Later than any time and longer than any job."""

LEFT, RIGHT, PARENT = 0, 1, 2
KEY, SEQ = 3, 4  # the order: the lesser KEY first, then the lesser SEQ
LEAST = 5  # estimate of the subtree
ESTIMATE, PROCS = 6, 7  # up to here a cache line: what a walk down a tree looks at
TOTAL = 8  # processors of the subtree, in the tree of the running jobs only
WAITS = 9  # whether it waits
START = 10  # reservation, where the discipline gives one
WIDTH = 16

HEAD, ROOTS, SIZES, SHORTEST, FOUND, BEGAN, TIMES, ROOM = range(8)
FRONT, QUEUE, CANDIDATES = 8, 11, 14  # three rows each: what, its KEY, its SEQ
ROWS = 17
"""Rows of a pool, see `pool_state.Pool`."""
FREE, QUEUED, RUNNING, DISCIPLINE, PROCESSORS, WORK = 0, 1, 2, 3, 4, 5
CLASSES, LEAVES, ENTRIES = 6, 7, 8
POINTS, GAIN_FROM, GAIN_TO, NEWEST, NEXT_START, STALE = 9, 10, 11, 12, 13, 14
COUNTS = 15
"""Places in the row HEAD."""


@compiled
def before(nodes: Ints, a: int, b: int) -> bool:
    """Return whether slot *a* comes before slot *b*."""
    if nodes[a, KEY] != nodes[b, KEY]:
        return bool(nodes[a, KEY] < nodes[b, KEY])
    return bool(nodes[a, SEQ] < nodes[b, SEQ])


@compiled
def draw(slot: int) -> int:
    """Return a number that looks drawn by lot and is always the same."""
    x = slot * 2_654_435_761 & 0xFFFFFFFF
    x = (x ^ x >> 15) * 1_540_483_477 & 0xFFFFFFFF
    return x ^ x >> 13


@compiled
def sum_up(nodes: Ints, tree: int, at: int) -> None:
    """Set what a node says of its subtree from its children."""
    left, right = nodes[at, LEFT], nodes[at, RIGHT]
    if tree == 0:
        nodes[at, TOTAL] = nodes[at, PROCS] + nodes[left, TOTAL] + nodes[right, TOTAL]
    else:
        nodes[at, LEAST] = min(nodes[at, ESTIMATE], nodes[left, LEAST], nodes[right, LEAST])


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
    sum_up(nodes, tree, parent)
    sum_up(nodes, tree, slot)


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
        if tree == 0:
            nodes[at, TOTAL] += procs
        elif estimate < nodes[at, LEAST]:
            nodes[at, LEAST] = estimate
        side = LEFT if before(nodes, slot, at) else RIGHT
        below = nodes[at, side]
        if below == 0:
            break
        at = below
    nodes[at, side] = slot
    nodes[slot, PARENT] = at
    while at != 0 and draw(slot) > draw(at):
        rotate_up(nodes, rows, tree, slot)
        at = nodes[slot, PARENT]


@compiled
def remove(nodes: Ints, rows: Ints, tree: int, slot: int) -> None:
    """Take a slot out of its tree."""
    left, right = nodes[slot, LEFT], nodes[slot, RIGHT]
    while left != 0 and right != 0:
        higher = left if draw(left) > draw(right) else right
        rotate_up(nodes, rows, tree, higher)
        left, right = nodes[slot, LEFT], nodes[slot, RIGHT]
    at = nodes[slot, PARENT]
    hang(nodes, rows, tree, at, slot, left + right)  # one of them is nobody
    estimate, procs = nodes[slot, ESTIMATE], nodes[slot, PROCS]
    while at != 0:
        if tree == 0:
            nodes[at, TOTAL] -= procs
        elif nodes[at, LEAST] == estimate:
            sum_up(nodes, tree, at)
        else:
            break  # nor is it the least of any tree above
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
def push(rows: Ints, heap: int, length: int, slot: int, key: int, seq: int) -> int:
    """Put a slot on a heap of three rows: slots, their KEYs and SEQs; return its new length."""
    at = length
    while at > 0:
        above = (at - 1) >> 1
        if rows[heap + 1, above] < key or (
            rows[heap + 1, above] == key and rows[heap + 2, above] < seq
        ):
            break
        for k in range(heap, heap + 3):
            rows[k, at] = rows[k, above]
        at = above
    rows[heap, at], rows[heap + 1, at], rows[heap + 2, at] = slot, key, seq
    return length + 1


@compiled
def pop(rows: Ints, heap: int, length: int) -> int:
    """Take the first slot off a heap; return its new length."""
    length -= 1
    key, seq = rows[heap + 1, length], rows[heap + 2, length]
    at, below = 0, 1
    while below < length:
        if below + 1 < length and (
            rows[heap + 1, below + 1] < rows[heap + 1, below]
            or (
                rows[heap + 1, below + 1] == rows[heap + 1, below]
                and rows[heap + 2, below + 1] < rows[heap + 2, below]
            )
        ):
            below += 1
        if key < rows[heap + 1, below] or (
            key == rows[heap + 1, below] and seq < rows[heap + 2, below]
        ):
            break
        for k in range(heap, heap + 3):
            rows[k, at] = rows[k, below]
        at, below = below, 2 * below + 1
    for k in range(heap, heap + 3):
        rows[k, at] = rows[k, length]
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
