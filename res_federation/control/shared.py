"""What many waiting jobs say in the same words is kept once."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

from res_federation.model.job import JobSpec

_MOST = 200_000
"""Different words that are remembered; past it all are forgotten, and learnt anew."""
_NAMES = tuple(one.name for one in fields(JobSpec))
_values = attrgetter(*_NAMES)
_KINDS = {one.name: str(one.type) for one in fields(JobSpec)}
_NUMBERS = tuple(_KINDS[name] in ("int", "bool") or name == "name" for name in _NAMES)
"""Numbers are small as they are (and True equals 1), and names are mostly different."""


class Shared:
    """Words of specs, each kept once."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[Any, Any] = {}

    def spec(self, spec: JobSpec) -> JobSpec:
        """Return an equal spec whose parts are those of the specs before, where they are equal."""
        known = self._known
        if len(known) > _MOST:
            known.clear()
        return JobSpec(
            *(
                value if number else known.setdefault(value, value)
                for value, number in zip(_values(spec), _NUMBERS, strict=True)
            )
        )
