"""The queue of what is to happen: whole seconds, and one fixed order within a second."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from operator import itemgetter
from typing import Generic, TypeVar

What = TypeVar("What")


class Phase(IntEnum):
    """What comes before what at one instant.

    Completions free processors before anything else is decided; then what people do at sites;
    then orders reach sites, which make ONE pass each; then reports are sent; the broker acts last.
    """

    COMPLETION = 0
    WORLD = 1
    """Outages, drains, maintenance begin and end."""
    ORDERS = 2
    """Orders of the broker reach a site."""
    BEAT = 3
    """A site's report is due."""
    REPORT = 4
    """A report reaches the broker."""
    PLAN = 5
    """A round that took its time comes back."""
    TICK = 6


class Clockwork(Generic[What]):
    """Events by (second, phase, order in which they were made): nothing depends on a hash."""

    def __init__(self) -> None:
        """Begin with nothing to come."""
        self._seconds: list[int] = []
        self._events: dict[int, list[tuple[int, What]]] = {}

    def push(self, at: int, phase: Phase, what: What) -> None:
        """Let *what* happen at second *at*."""
        events = self._events.get(at)
        if events is None:
            heappush(self._seconds, at)
            self._events[at] = [(phase, what)]
        else:
            events.append((phase, what))

    @property
    def next_at(self) -> int | None:
        """The second of the next event, None when nothing is to come."""
        return self._seconds[0] if self._seconds else None

    def pop(self, at: int) -> list[tuple[int, What]]:
        """Take out what happens at second *at*, the next one: phases, in order, with what happens.

        Empty if nothing does.
        """
        if not self._seconds or self._seconds[0] != at:
            return []
        heappop(self._seconds)
        events = self._events.pop(at)
        if len(events) > 1:
            events.sort(key=_phase)
        return events

    def __len__(self) -> int:
        """Return how many events are to come."""
        return sum(map(len, self._events.values()))


_phase = itemgetter(0)
