"""How far sites are from one another, as a plain value that travels in snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_BITS_PER_MIB = 8 * 1024 * 1024

Pair = tuple[str, str]
Route = tuple[int, ...]
"""Numbers of the links on a way, in order."""


@dataclass(frozen=True, slots=True)
class Distance:
    """The best path between two sites: the narrowest link on it and its latency one way."""

    gbps: float
    latency_ms: float


class Moving(NamedTuple):
    """Input data on its way: so many MiB are still to come from one site to another."""

    source: str
    target: str
    mib: int


@dataclass(frozen=True, slots=True)
class DistanceTable:
    """Distances by ordered pair of site identifiers.

    Attributes:
        pairs: The best path of each pair when nothing else moves.
        routes: Every path of fewest links, best first, of a pair; a pair that is not here has a
            link of its own.
        gbps: Speed of each link in one direction, by number; a link has two numbers, one for each.

    """

    pairs: dict[Pair, Distance]
    routes: dict[Pair, tuple[Route, ...]] = field(default_factory=dict)
    gbps: tuple[float, ...] = ()

    def transfer_s(
        self, source: str, target: str, mib: int, load: Mapping[int | Pair, tuple[int, ...]] = {}
    ) -> float | None:
        """Return the seconds that *mib* take from *source* to *target*.

        Zero where nothing is moved; None where no path is known.  Otherwise one round trip and
        the time on the slowest link of the best route.  A link is shared evenly by all that moves
        over it (*load*, see `load_of`), so until *mib* are through, each other transfer has taken
        as much, or all that it needs if that is less.
        """
        if mib <= 0 or not source or source == target:
            return 0.0
        distance = self.pairs.get((source, target))
        if distance is None or distance.gbps <= 0:
            return None
        routes = self.routes.get((source, target), ())
        trip = 2 * distance.latency_ms / 1000
        if not load or not routes:
            others = load.get((source, target), ())
            return _through(mib, others) / (distance.gbps * 1e9) + trip
        return trip + min(
            max(_through(mib, load.get(link, ())) / (self.gbps[link] * 1e9) for link in route)
            for route in routes
        )

    def load_of(self, moving: Iterable[Moving]) -> dict[int | Pair, tuple[int, ...]]:
        """Return the MiB of each transfer on each link (or on the pair, where no links are known).

        A transfer takes the best route of its pair when nothing else moves.
        """
        found: dict[int | Pair, list[int]] = {}
        for one in moving:
            if one.mib <= 0 or one.source == one.target or not one.source:
                continue
            pair = (one.source, one.target)
            routes = self.routes.get(pair)
            for link in routes[0] if routes else (pair,):
                found.setdefault(link, []).append(one.mib)
        return {link: tuple(sorted(amounts)) for link, amounts in found.items()}


def _through(mib: int, others: tuple[int, ...]) -> float:
    """Return the bits that pass a link, evenly shared with *others*, until *mib* have passed."""
    return (mib + sum(min(mib, other) for other in others)) * float(_BITS_PER_MIB)


NOWHERE = DistanceTable({})
"""No links known."""
