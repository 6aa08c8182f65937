"""EASY backfilling as a pure function: who starts now, and when the first that cannot will.

In order of arrival everything starts that fits.  The first that does not fit (the head) gets a
reservation at the earliest moment when it fits if every running task lasts to its limit.  What
stands behind it starts now only if that cannot move the reservation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from res_federation.agent.local.machine import Place, Pool
from res_federation.model.resources import Layout


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task in the queue; *key* is the caller's own."""

    key: tuple[str, int]
    layout: Layout
    limit_s: float


@dataclass(frozen=True, slots=True)
class Running:
    """What a task holds, and when its time limit ends it (seconds)."""

    places: tuple[Place, ...]
    layout: Layout
    ends: float


@dataclass(frozen=True, slots=True)
class Pass:
    """What one look at the queue decided.

    Attributes:
        starts: Who starts now, where.
        head: The first that cannot start, or None.
        head_starts: When the head fits at the latest; infinite if it never does.
        starved: The pass stopped because the budget of starts was used up.

    """

    starts: tuple[tuple[Waiting, tuple[Place, ...]], ...]
    head: tuple[str, int] | None = None
    head_starts: float = math.inf
    starved: bool = False


def _reserve(pool: Pool, running: list[Running], head: Layout, now: float) -> tuple[float, Pool]:
    """Return when *head* fits at the earliest, and the pool as it will be then."""
    future = pool.copy()
    for task in sorted(running, key=lambda task: task.ends):
        future.give(task.places, task.layout)
        if future.fits(head):
            return max(task.ends, now), future
    return math.inf, future


def easy(
    pool: Pool, running: Iterable[Running], waiting: Iterable[Waiting], now: float, budget: int
) -> Pass:
    """Decide what starts now; *pool* is changed accordingly.

    Args:
        pool: What is free now.
        running: What runs in this pool.
        waiting: The queue, in order.
        now: The time, on the same scale as `Running.ends`.
        budget: How many may start at most.

    """
    held = list(running)
    starts: list[tuple[Waiting, tuple[Place, ...]]] = []
    head: Waiting | None = None
    shadow, future = math.inf, pool
    too_big: set[Layout] = set()  # what did not fit once does not fit later in this pass
    too_long: set[Layout] = set()
    for task in waiting:
        if len(starts) >= budget:
            return Pass(tuple(starts), head.key if head else None, shadow, starved=True)
        ends = now + task.limit_s
        if task.layout in too_big or (ends > shadow and task.layout in too_long):
            continue
        places = pool.take(task.layout)
        if places is None:
            too_big.add(task.layout)
            if head is None:
                head = task
                shadow, future = _reserve(pool, held, task.layout, now)
            continue
        if head is not None and ends > shadow:
            future.claim(places, task.layout)
            if not future.fits(head.layout):
                future.give(places, task.layout)
                pool.give(places, task.layout)
                too_long.add(task.layout)
                continue
        held.append(Running(places, task.layout, ends))
        starts.append((task, places))
    return Pass(tuple(starts), head.key if head else None, shadow)
