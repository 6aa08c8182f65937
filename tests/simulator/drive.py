"""Drives a queue through a trace, in the order of the conventions."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

Row = tuple[int, int, int, int]
"""Submit, processors, run time, estimate."""


def drive(queue: Any, rows: Sequence[Row], watch: Callable[[int], None] | None = None) -> list[int]:
    """Return the start of each job; *rows* in the order of their submits."""
    starts, ends, arrived = [-1] * len(rows), list[tuple[int, int]](), 0
    while arrived < len(rows) or ends:
        instant = min(
            [end for end, _ in ends[:1]] + [row[0] for row in rows[arrived : arrived + 1]]
        )
        while ends and ends[0][0] == instant:
            queue.finish(heapq.heappop(ends)[1], instant)
        while arrived < len(rows) and rows[arrived][0] == instant:
            _, procs, _, estimate = rows[arrived]
            queue.submit(arrived, procs, estimate, instant)
            arrived += 1
        for key in queue.start(instant):
            starts[key] = instant
            heapq.heappush(ends, (instant + rows[key][2], key))
        if watch:
            watch(instant)
    return starts
