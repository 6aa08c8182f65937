"""Places that are kept: the first jobs that cannot start have nodes kept for them.

A kept place remembers which nodes would be free when it begins: what is free now, less what was
sent in this round and lasts longer, plus what comes free until then.  Whoever is sent later must
leave enough of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np

from res_federation.placement import kernels
from res_federation.placement.kernels import Floats, Ints, compiled

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


def stands_on() -> int:
    """Return what the loops below stand on: compiled code outlives a change of another file."""
    loops: tuple[Any, ...] = (
        kernels.fitting, kernels.fitting_up_to, kernels.take, kernels.add_bar, kernels.add_release,
        kernels.lie, kernels.tasks_of_node, kernels.share_of_node, kernels.mix,
    )  # fmt: skip
    codes = [loop.py_func.__code__ for loop in loops]
    return crc32(b"".join(c.co_code + repr((c.co_consts, c.co_names)).encode() for c in codes))


def _breaks(code: int) -> Callable[..., int]:
    """Return the test of a place that is kept, compiled anew when what it stands on changes."""

    def breaks(  # noqa: PLR0913
        kept: Floats, k: int, kept_lies: Ints, later: Ints, bars: int,
        lies: Ints, tasks: int, fits: int, spend: bool,
    ) -> int:  # fmt: skip
        """Tell what becomes of a kept place when *fits* tasks are sent that last into it.

        Returns:
            -1 where too little is left of it; else the bars of *later*, from which they are
            taken only if *spend*.

        """
        if code < 0 or kernels.fitting(later, bars, lies, tasks) < fits * lies[0]:
            return -1
        mine = later if spend else later.copy()
        bars = kernels.take(mine, bars, lies, fits)
        left = kernels.fitting(mine, bars, kept_lies[k], int(kept[k, TASKS]))
        if not spend and left + kept[k, GAIN] < kept[k, NEED]:
            return -1
        return bars

    return breaks


breaks = compiled(_breaks(stands_on()))
