"""Makes whoever is refused all the time wait for it, so that guessing takes no time from others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

_KNOWN = 10_000
"""Addresses that are remembered, those that were refused last."""


class Tarpit:
    """Refusals are free up to a burst; then each waits for those before it from its address.

    Who has a good login never comes here, whatever address they share with others.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        per_s: float = 20.0,
        burst: float = 100.0,
        longest_s: float = 5.0,
        most: int = 1000,
    ) -> None:
        """Begin with everybody free.

        Args:
            now: Tells seconds.
            per_s: Refusals of one address that are free, over a long time.
            burst: Refusals that are free at once.
            longest_s: Nobody waits for longer.
            most: So many wait at a time; more are refused at once, for waiting takes room.

        """
        self._now, self._per_s, self._burst = now, per_s, burst
        self._longest_s, self._most = longest_s, most
        self._owed: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.waiting = 0

    def delay_s(self, peer: str) -> float:
        """Count one refusal of an address (``ipv4:127.0.0.1:5000``); return how long it waits."""
        host, now = peer.rpartition(":")[0] or peer, self._now()
        owed, at = self._owed.pop(host, (0.0, now))
        owed = max(0.0, owed - max(0.0, now - at) * self._per_s) + 1.0
        # what nobody waits for is not owed: an address is free again soon after it stops
        owed = min(owed, self._burst + self._longest_s * self._per_s)
        self._owed[host] = (owed, now)
        if len(self._owed) > _KNOWN:
            self._owed.popitem(last=False)
        return min(self._longest_s, max(0.0, owed - self._burst) / self._per_s)

    async def hold(self, peer: str) -> None:
        """Wait as long as is due before a refusal."""
        delay = self.delay_s(peer)
        if delay <= 0 or self.waiting >= self._most:
            return
        self.waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self.waiting -= 1
