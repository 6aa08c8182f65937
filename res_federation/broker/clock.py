"""The only place in the broker that reads the clock or draws at random."""

from __future__ import annotations

import os
import time
from typing import Protocol

from res_federation.model.identifiers import JobId, new_job_id


class Clock(Protocol):
    """Tells the time in UTC seconds."""

    def now(self) -> float:
        """Return UTC seconds since the epoch."""
        ...


class SystemClock:
    """The machine's clock, made monotonic: a step back holds it still instead."""

    def __init__(self) -> None:
        """Begin at the machine's time."""
        self._newest = 0.0

    def now(self) -> float:
        """Return UTC seconds, never less than before."""
        self._newest = max(self._newest, time.time())
        return self._newest


class JobIds:
    """ULIDs that ascend even within one millisecond, so that a bulk submission keeps its order."""

    def __init__(self, clock: Clock) -> None:
        """Draw entropy once a second: enough to be unique, and cheap."""
        self._clock = clock
        self._second = -1
        self._ms = -1
        self._entropy = 0

    def new(self) -> JobId:
        """Return an identifier greater than every one before."""
        ms = int(self._clock.now() * 1000)
        self._entropy += 1
        if ms // 1000 > self._second:
            self._second = ms // 1000
            # The top bit stays free, so that counting up within a second cannot overflow.
            self._entropy = int.from_bytes(os.urandom(10), "big") >> 1
        self._ms = max(self._ms, ms)
        return new_job_id(self._ms, self._entropy.to_bytes(10, "big"))
