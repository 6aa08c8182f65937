"""In which order classes are asked, and which row comes nearest for those that stay."""

from __future__ import annotations

import numpy as np

from res_federation.placement.compiling import compiled
from res_federation.placement.ground import (
    GONE,
    GRANT_NOT_BEGUN,
    GRANT_SPENT,
    NODES_BUSY,
    QUEUE_FULL,
    REFUSED,
    Classes,
    Codes,
    Jobs,
    Links,
    Names,
)
from res_federation.placement.kernels import Floats, Ints, Narrow


@compiled
def comes_first(a: int, b: int, turn: Floats, head: Links, submitted: Floats, name: Names) -> bool:
    """Tell whether the first job of class *a* is before that of class *b*."""
    if turn[a] != turn[b]:
        return bool(turn[a] > turn[b])
    s, t = head[a], head[b]
    if submitted[s] != submitted[t]:
        return bool(submitted[s] < submitted[t])
    for k in range(name.shape[1]):
        if name[s, k] != name[t, k]:
            return bool(name[s, k] < name[t, k])
    return False


@compiled
def sink(
    heap: Ints, size: int, at: int, turn: Floats, head: Links, submitted: Floats, name: Names
) -> None:
    """Let the class at a place of the heap sink to where it belongs."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and comes_first(
            heap[child + 1], heap[child], turn, head, submitted, name
        ):
            child += 1
        if not comes_first(heap[child], heap[at], turn, head, submitted, name):
            return
        heap[child], heap[at] = heap[at], heap[child]
        at = child


@compiled
def turn_of(wait: float, age: float, patience: float, wide: float, long: float) -> float:
    """Return how soon it is a job's turn: `order.turn`."""
    late = wait / patience
    return float((wait + age) * wide / long * (1.0 + late * late))


@compiled
def line_up(
    classes: Classes, jobs: Jobs, turn: Floats, at: float, age: float, patience: float
) -> Ints:
    """Return the classes that have jobs as a heap, and set each one's *turn*."""
    heap = np.empty(classes.head.shape[0], np.int64)
    size = 0
    for c in range(classes.head.shape[0]):
        if classes.head[c] >= 0:
            wait = max(0.0, at - jobs.submitted[classes.head[c]])
            turn[c] = turn_of(wait, age, patience, classes.wide[c], classes.long[c])
            heap[size] = c
            size += 1
    heap = heap[:size]
    for k in range(size // 2 - 1, -1, -1):
        sink(heap, size, k, turn, classes.head, jobs.submitted, jobs.name)
    return heap


@compiled
def nearest(scored: Narrow, codes: Codes, failed: Ints, fixed: Ints, waiting: Ints) -> Ints:
    """Return (classes, 4) of classes of which jobs stay what keeps them.

    Whether waiting cannot help; then code, needed and have of the row that comes nearest: of those
    where waiting may help, or else of all, the greatest code (`Code.nearness`: the two of hours
    are below the others), then the least need, then the most that is there.
    """
    found = np.zeros((failed.shape[0], 4), np.int64)
    for c in range(failed.shape[0]):
        if failed[c] == GONE:
            continue
        best, best_key, best_code = -1, (0, 0, 0, 0), 0
        for r in range(fixed.shape[0]):
            code = scored[c, r, 2] & 255
            needed, have = int(scored[c, r, 0]), int(scored[c, r, 1])
            if code == 0:
                needed, have, code = -1, -1, NODES_BUSY
                if failed[c] >= 0:
                    code = codes[failed[c], r]
                elif waiting[r] >= fixed[r, 10]:
                    code = QUEUE_FULL
                if code == QUEUE_FULL:
                    needed, have = waiting[r], fixed[r, 10]
                elif code == NODES_BUSY:
                    needed = int(scored[c, r, 0])
            waits = 1 if 40 <= code < 60 and code != REFUSED else 0
            near = int(code) - 20 if code in (GRANT_SPENT, GRANT_NOT_BEGUN) else int(code)
            key = (waits, near, -needed, have)
            if best < 0 or key > best_key:
                best, best_key, best_code = r, key, int(code)
        if best >= 0:
            found[c, 0], found[c, 1] = 1 - best_key[0], best_code
            found[c, 2], found[c, 3] = -best_key[2], best_key[3]
    return found
