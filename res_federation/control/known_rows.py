"""Rows of the snapshot before, by what they were made of: most stay while one site reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import SiteId
from res_federation.placement.snapshot import Floats, Row, kept

Place = tuple[SiteId, int | str]
"""Of a site: the number of a part of its report, or a partition that is declared alone."""

Part = tuple[tuple[str, str], Row, Floats, Floats]
"""A row without its releases, after its place in the snapshot; ends and nodes' worth of those."""
NOTHING: Floats = np.zeros(0)


class KnownRows:
    """Only a cache: what it answers is what would be made anew.

    Attributes:
        profiles: Of a part of a report its releases: ends by the site's clock, nodes' worth.

    """

    __slots__ = ("_rows", "_sites", "profiles")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.profiles: dict[Place, tuple[PartitionCapacity, Floats, Floats]] = {}
        self._sites: dict[SiteId, tuple[object, object, object, Sequence[Part]]] = {}
        self._rows: dict[Place, tuple[tuple[object, ...], Row]] = {}

    def site(
        self,
        name: SiteId,
        report: object,
        dialect: object,
        of: tuple[object, ...],
        make: Callable[[], Sequence[Part]],
    ) -> Sequence[Part]:
        """Return the parts of before where report and dialect are the very same and *of* equal."""
        before = self._sites.get(name)
        if before is not None and before[0] is report and before[1] is dialect and before[2] == of:
            return before[3]
        parts = make()
        self._sites[name] = (report, dialect, of, parts)
        return parts

    def row(self, place: Place, of: tuple[object, ...], make: Callable[[], Row]) -> Row:
        """Return the row of before where it was made *of* the same, and else a new one."""
        before = self._rows.get(place)
        if before is not None and before[0] == of:
            return before[1]
        row = kept(make())
        self._rows[place] = (of, row)
        return row
