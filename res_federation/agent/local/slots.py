"""A bound on real processes of this machine, shared fairly by the agents that live on it."""

from __future__ import annotations

from collections.abc import Callable

DEFAULT_SLOTS = 32


class HostSlots:
    """So many payloads at once. Who was turned away is called, the longest waiting first."""

    def __init__(self, limit: int = DEFAULT_SLOTS) -> None:
        """Allow *limit* payloads at once."""
        self.limit = limit
        self.used = 0
        self._line: dict[str, Callable[[], None]] = {}

    def free_for(self, owner: str) -> int:
        """Return how many *owner* may take now: what is left after one for each ahead of it."""
        ahead = 0
        for name in self._line:
            if name == owner:
                break
            ahead += 1
        return max(0, self.limit - self.used - ahead)

    def take(self, owner: str, count: int = 1) -> None:
        """Take slots; payloads found running after a restart may go past the limit."""
        self.used += count
        if count:
            self._line.pop(owner, None)

    def give(self, count: int = 1) -> None:
        """Give slots back and call those who wait."""
        self.used -= count
        for wake in list(self._line.values())[: max(0, self.limit - self.used)]:
            wake()

    def wait(self, owner: str, wake: Callable[[], None]) -> None:
        """Have *wake* called when a slot is free; keeps the place in the line."""
        self._line.setdefault(owner, wake)

    def leave(self, owner: str) -> None:
        """Wait no longer; a slot that was meant for *owner* goes to the next."""
        if self._line.pop(owner, None) is not None:
            self.give(0)
