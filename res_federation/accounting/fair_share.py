"""Fair share by use that fades: Slurm's classic formula, ``2^(-usage / share)``.

Usage is decayed: what was used a half-life ago counts half.  Both usage and share are parts of a
whole, so a user who used exactly what is his share has the factor one half, one who used nothing
has 1, and one who used far more comes near 0.  (slurm.conf(5), PriorityDecayHalfLife, and the
multifactor plugin's classic fair share.)  Shares are equal among those who used anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user has used.

    Attributes:
        core_s: Core seconds, decayed to *at*.
        at: UTC seconds.

    """

    core_s: float = 0.0
    at: float = 0.0

    def until(self, at: float, half_life_s: float) -> Usage:
        """Return the usage as it stands at *at*; time does not run backwards."""
        if at <= self.at:
            return self
        return Usage(self.core_s * 0.5 ** ((at - self.at) / half_life_s), at)

    def more(self, core_s: float, at: float, half_life_s: float) -> Usage:
        """Return the usage with *core_s* used at *at*."""
        faded = self.until(at, half_life_s)
        return Usage(faded.core_s + max(0.0, core_s), faded.at)


def factors(usage: Mapping[str, Usage], at: float, half_life_s: float) -> dict[str, float]:
    """Return each user's factor, above 0 and at most 1; one who is not there has 1.

    All fade alike, so between two uses of anybody the factors do not change.
    """
    faded = {user: one.until(at, half_life_s).core_s for user, one in sorted(usage.items())}
    total = sum(faded.values())
    if total <= 0.0:
        return {}
    share = 1.0 / len(faded)
    return {user: max(2.0 ** (-(used / total) / share), 1e-9) for user, used in faded.items()}
