"""How far sites are from one another, as a plain value that travels in snapshots."""

from __future__ import annotations

from dataclasses import dataclass

_BITS_PER_MIB = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Distance:
    """The best path between two sites: the narrowest link on it and its latency one way."""

    gbps: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class DistanceTable:
    """Distances by ordered pair of site identifiers."""

    pairs: dict[tuple[str, str], Distance]

    def transfer_s(self, source: str, target: str, mib: int) -> float | None:
        """Return the seconds that *mib* take from *source* to *target*.

        Zero where nothing is moved; None where no path is known.  The formula is size over the
        narrowest link plus one round trip; competing traffic is not known and not invented.
        """
        if mib <= 0 or not source or source == target:
            return 0.0
        distance = self.pairs.get((source, target))
        if distance is None or distance.gbps <= 0:
            return None
        return mib * _BITS_PER_MIB / (distance.gbps * 1e9) + 2 * distance.latency_ms / 1000


NOWHERE = DistanceTable({})
"""No links known."""
