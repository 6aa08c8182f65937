"""What a round tells the classes of which jobs stay: as many objects as somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import overload

import numpy as np

from res_federation.model.plan import Refusal
from res_federation.model.reason import Code, Reason
from res_federation.placement.decide_late import Round
from res_federation.placement.ground import GONE
from res_federation.placement.packing import Decision
from res_federation.placement.rows import Ints

_PERMANENT = 0
"""Column of `turns.nearest`; code, needed and have come after it."""


class Refusals(Sequence[Refusal]):
    """By class, of those of which jobs stay without a place of their own.

    Attributes:
        kinds: (refusals,) their numbers, ascending.
        nearest: (refusals, 4) as `turns.nearest` gives it: equal where they hear the same.

    """

    __slots__ = ("_round", "kinds", "nearest")

    def __init__(self, found: Round) -> None:
        """Take what a round found."""
        told = found.found
        self._round = found
        self.kinds: Ints = np.flatnonzero((told.failed != GONE) & (told.rest >= 0))
        self.nearest: Ints = found.nearest[self.kinds]

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.kinds)

    @overload
    def __getitem__(self, place: int) -> Refusal: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Refusal]: ...
    def __getitem__(self, place: int | slice) -> Refusal | Sequence[Refusal]:
        """Return one refusal, or several."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        kind = int(self.kinds[place])
        permanent, *numbers = self.nearest[place].tolist()
        told = self._round.found
        decision = Decision(self._round, kind, int(told.failed[kind]))
        return Refusal(kind, int(told.rest[kind]), permanent == 1, _reason(*numbers), decision)

    def of_kind(self, kind: int) -> Refusal | None:
        """Return what a class hears, if jobs of it stay."""
        place = int(np.searchsorted(self.kinds, kind))
        return self[place] if place < len(self) and self.kinds[place] == kind else None

    @property
    def permanent(self) -> tuple[Refusal, ...]:
        """Those that waiting cannot help."""
        return tuple(self[place] for place in np.flatnonzero(self.nearest[:, _PERMANENT]).tolist())


@lru_cache(maxsize=4096)
def _reason(code: int, needed: int, have: int) -> Reason:
    """Return a reason; where there are no rows at all nobody is connected."""
    return Reason(Code(code), needed, have) if code else Reason(Code.SITE_NOT_CONNECTED)
