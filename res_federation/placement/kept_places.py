"""Places that are kept: the first jobs that cannot start have nodes kept for them.

A kept place remembers which nodes would be free when it begins: what is free now, less what was
sent in this round and lasts longer, plus what comes free until then.  Whoever is sent later must
leave enough of that.
"""

from __future__ import annotations

import numpy as np

from res_federation.placement import kernels
from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Floats, Ints

# Columns of a kept place, of which a row has at most one: row, seconds of its begin and end, nodes
# that its job needs, nodes that come free until its begin (both counted as nodes of its job), whole
# nodes' worth that it holds, tasks of its job, and the job's slot.
ROW, BEGIN, END, NEED, GAIN, WORTH, TASKS, JOB = range(8)
KEPT_COLUMNS = 8


@compiled
def released(after: Floats, worth: Floats, at: float) -> float:
    """Return the nodes' worth that comes free until a second."""
    gone = 0.0
    for k in range(after.shape[0]):
        if after[k] > at:
            break
        gone += worth[k]
    return gone


@compiled
def first_room(after: Floats, worth: Floats, ready: float, need: float, each: float) -> float:
    """Return the first second at which *need* nodes are there, infinite where none is foretold.

    *ready* of them are there now, and *each* come with a whole node's worth.
    """
    if ready >= need:
        return 0.0
    have = ready
    for k in range(after.shape[0]):
        if np.isinf(after[k]):
            break
        have += worth[k] * each
        if have >= need:
            return float(after[k])
    return float(np.inf)


@compiled
def nodes_of_tasks(lies: Ints, f: Ints, tasks: int) -> int:
    """Return how many tasks of one node fit in an empty node of a row; one of any others."""
    if lies[0] != 1 or tasks == 1:
        return 1
    empty = np.ones(4, np.int64)
    empty[1:] = f[0:3]
    return max(kernels.tasks_of_node(empty, lies[1], lies[2], lies[3]), 1)


@compiled
def spare_nodes(place: Floats, kept_lies: Ints, later: Ints, bars: int) -> float:
    """Return how many nodes may surely be taken off *later* without breaking a kept place.

    Below 0 where that cannot be told by counting: nodes of which each holds several tasks.
    *place* is its row of columns.
    """
    theirs = int(place[TASKS])
    if kept_lies[0] <= 1 and theirs > 1:
        return -1.0
    return float(kernels.fitting(later, bars, kept_lies, theirs) + place[GAIN] - place[NEED])


@compiled
def spend(later: Ints, bars: int, lies: Ints, tasks: int, fits: int) -> int:
    """Take *fits* tasks that last into a kept place off *later*; return its bars, or -1."""
    if kernels.fitting(later, bars, lies, tasks) < fits * lies[0]:
        return -1
    return int(kernels.take(later, bars, lies, fits))


@compiled
def breaks(
    place: Floats, kept_lies: Ints, later: Ints, bars: int, lies: Ints, tasks: int, fits: int
) -> bool:
    """Tell whether too little is left of a kept place when *fits* tasks are sent that last into it.

    *place* is its row of columns.
    """
    if kernels.fitting(later, bars, lies, tasks) < fits * lies[0]:
        return True
    mine = later[: 2 * bars + 3].copy()  # each bar may leave a rest, and nothing else is added
    bars = kernels.take(mine, bars, lies, fits)
    left = kernels.fitting(mine, bars, kept_lies, int(place[TASKS]))
    return bool(left + place[GAIN] < place[NEED])
