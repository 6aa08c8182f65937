"""A site's local scheduler, event by event: fcfs, easy or conservative, on the kernels of `pool`.

Whoever drives it hands in what happens and when; a pass is made only when asked for.  Driven in the
order of the conventions (at one instant ends, then arrivals, then one pass) its starts are those of
a whole-trace replay.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from res_federation.errors import AlreadyExists, InvalidArgument, NotFound
from res_federation.simulator.pool_passes import run_pass
from res_federation.simulator.pool_plan import next_start
from res_federation.simulator.pool_profile import give
from res_federation.simulator.pool_state import (
    CONSERVATIVE,
    DISCIPLINES,
    enqueue,
    finish,
    make_pool,
    running_slots,
    unqueue,
    with_size,
    with_slots,
)
from res_federation.simulator.pool_tree import (
    BEGAN,
    ESTIMATE,
    FREE,
    HEAD,
    KEY,
    NEVER,
    NEWEST,
    NEXT_START,
    PROCESSORS,
    PROCS,
    QUEUED,
    RUNNING,
    STALE,
    START,
    WORK,
    following,
)

ORDERS = ("submit", "fair-share", "formula")
LONGEST = 1 << 40
"""Seconds: an estimate above is taken for this one."""
_FIRST_SLOTS = 64
_NO_SIZES = np.zeros(0, np.int64)


class LocalQueue:
    """The queue of one pool of processors.

    Args:
        processors: Of the pool; may be 0 for one that is away.
        discipline: ``fcfs``, ``easy`` or ``conservative``.
        order: ``submit``, where priorities are ignored, or ``fair-share`` or ``formula``: the
            caller works out a priority for each job; higher first, equal ones as they came.

    Raises:
        InvalidArgument: If there is no such discipline or order, or *processors* is negative.

    """

    def __init__(self, processors: int, discipline: str, *, order: str = "submit") -> None:
        """Begin empty."""
        if discipline not in DISCIPLINES:
            known = ", ".join(DISCIPLINES)
            raise InvalidArgument(f"unknown scheduler {discipline!r}", way_out=known)
        if order not in ORDERS:
            raise InvalidArgument(f"unknown order {order!r}", way_out=", ".join(ORDERS))
        if processors < 0:
            raise InvalidArgument(f"{processors} processors are too few", field="processors")
        self.discipline, self.order = discipline, order
        self._pool = make_pool(_FIRST_SLOTS, _NO_SIZES, processors, DISCIPLINES[discipline])
        self._slot: dict[int, int] = {}
        self._key = [0] * (_FIRST_SLOTS + 1)
        self._spare = list(range(_FIRST_SLOTS, 0, -1))
        self._seats: list[tuple[int, int, int]] = []
        self._seat: dict[int, tuple[int, int, int]] = {}
        self._runs: set[int] = set()
        self._sizes: set[int] = set()
        self._count = 0

    @property
    def processors(self) -> int:
        """Processors in all."""
        return int(self._pool.rows[HEAD, PROCESSORS])

    @property
    def free(self) -> int:
        """Processors that are free; negative while more are held than the pool still has."""
        return int(self._pool.rows[HEAD, FREE])

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return int(self._pool.rows[HEAD, QUEUED])

    @property
    def running(self) -> int:
        """Jobs that run."""
        return int(self._pool.rows[HEAD, RUNNING])

    @property
    def pending_work(self) -> int:
        """Processor-seconds that the waiting jobs ask for."""
        return int(self._pool.rows[HEAD, WORK])

    def submit(self, key: int, procs: int, estimate: int, at: int, priority: float = 0.0) -> None:
        """Add a job to the queue.

        Args:
            key: The caller's name for the job, its own among waiting and running ones.
            procs: Processors, at least 1; more than the pool has wait until it has them.
            estimate: Seconds that the scheduler believes it takes, at least 1.
            at: When it came, or when it is to be taken to have come; equal ones as they came.
            priority: Higher first, unless the order is ``submit``.

        Raises:
            AlreadyExists: If a job of this key waits or runs.
            InvalidArgument: If a figure is out of range.

        """
        if key in self._slot:
            raise AlreadyExists(f"job {key} is here already")
        if procs < 1 or estimate < 1 or math.isnan(priority):
            raise InvalidArgument(
                f"job {key}: {procs} processors for {estimate} s with priority {priority}"
            )
        if self.discipline == "easy" and procs not in self._sizes:
            self._sizes.add(procs)
            self._pool = with_size(self._pool, procs)
        if not self._spare:
            self._grow()
        slot = self._spare.pop()
        self._slot[key], self._key[slot] = slot, key
        rank = at if self.order == "submit" else -_rank(priority)
        self._count += 1
        self._take_seat(slot, (rank, self._count, key), procs, min(estimate, LONGEST))

    def cancel(self, key: int) -> bool:
        """Take a waiting job out; return whether one of this key was waiting."""
        slot = self._slot.get(key, 0)
        if slot == 0 or slot in self._runs:
            return False
        self._leave_seat(key, slot)
        self._drop(key, slot)
        return True

    def arrange(self, keys: Sequence[int]) -> None:
        """Let waiting jobs stand in this order, in the seats that they have together."""
        seats = sorted(self._seat[key] for key in keys)
        moved = [
            (key, seat) for key, seat in zip(keys, seats, strict=True) if self._seat[key] != seat
        ]
        sizes = {}
        for key, _ in moved:
            node = self._pool.nodes[self._slot[key]]
            sizes[key] = (int(node[PROCS]), int(node[ESTIMATE]))
            self._leave_seat(key, self._slot[key])
        for key, (rank, count, _) in moved:
            self._take_seat(self._slot[key], (rank, count, key), *sizes[key])
        if moved:
            self._pool.rows[HEAD, STALE] = 1  # a plan, where one is made, was for another order

    def in_order(self, most: int) -> list[int]:
        """Return the first *most* jobs that wait, in the order in which a pass looks at them."""
        return [key for _, _, key in self._seats[:most]]

    def _take_seat(self, slot: int, seat: tuple[int, int, int], procs: int, estimate: int) -> None:
        insort(self._seats, seat)
        self._seat[seat[2]] = seat
        enqueue(*self._pool, slot, seat[0], seat[1], procs, estimate)

    def _leave_seat(self, key: int, slot: int) -> None:
        seat = self._seat.pop(key)
        del self._seats[bisect_left(self._seats, seat)]
        pool = self._pool
        planned = DISCIPLINES[self.discipline] == CONSERVATIVE
        if planned and pool.rows[HEAD, NEWEST] == slot:
            pool.rows[HEAD, NEWEST] = following(pool.nodes, slot)
        unqueue(*pool, slot)
        node = pool.nodes[slot]
        if planned and node[START] < NEVER:
            give(pool.rows, int(node[PROCS]), int(node[START]), int(node[START] + node[ESTIMATE]))
            pool.rows[HEAD, NEXT_START] = next_start(*pool)

    def finish(self, key: int, now: int) -> None:
        """Let a running job end: its processors are free for the pass at *now*.

        Raises:
            NotFound: If no job of this key runs.

        """
        slot = self._slot.get(key, 0)
        if slot not in self._runs:
            raise NotFound(f"no job {key} runs here")
        finish(*self._pool, slot, now)
        self._runs.remove(slot)
        self._drop(key, slot)

    def start(self, now: int) -> list[int]:
        """Make one scheduling pass; return the jobs that begin, in the order of the decision."""
        if self._pool.rows[HEAD, QUEUED] == 0:
            return []
        count = run_pass(*self._pool, now)
        slots = self._pool.rows[BEGAN, :count].tolist()
        self._runs.update(slots)
        began = [self._key[slot] for slot in slots]
        for key in began:
            del self._seats[bisect_left(self._seats, self._seat.pop(key))]
        return began

    def releases(self, now: int) -> list[tuple[int, int]]:
        """Return (believed end, processors) of each running job, sorted.

        A job that has overrun is believed to end in the next second.
        """
        pool = self._pool
        slots = running_slots(*pool)
        ends = np.maximum(pool.nodes[slots, KEY], now + 1)
        return sorted(zip(ends.tolist(), pool.nodes[slots, PROCS].tolist(), strict=True))

    def set_processors(self, processors: int) -> None:
        """Change the pool's size, for a drain, an outage or a return; running jobs keep theirs."""
        head = self._pool.rows[HEAD]
        head[FREE] += processors - head[PROCESSORS]
        head[PROCESSORS], head[STALE] = processors, 1

    def _drop(self, key: int, slot: int) -> None:
        del self._slot[key]
        self._spare.append(slot)

    def _grow(self) -> None:
        """Double the slots."""
        slots = len(self._key) - 1
        self._pool = with_slots(self._pool, 2 * slots)
        self._key += [0] * slots
        self._spare += range(2 * slots, slots, -1)


def _rank(priority: float) -> int:
    """Return an integer that orders as the floats do."""
    (bits,) = struct.unpack("<q", struct.pack("<d", priority + 0.0))
    return int(bits) if bits >= 0 else -int(bits & (2**63 - 1))
