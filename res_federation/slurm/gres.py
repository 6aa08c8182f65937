"""Generic resources: ``gpu:a100:2``, lists of several, and the values of ``--gpus``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from res_federation.errors import InvalidArgument

_COUNT = re.compile(r"(\d{1,9})([kmgtp]?)", re.ASCII | re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_WAY_OUT = "write it like gpu:2 or gpu:a100:2"


@dataclass(frozen=True, slots=True)
class Gres:
    """One generic resource: name (``gpu``), type (``a100`` or "") and how many."""

    name: str
    type: str
    count: int


def read(text: str, field: str = "--gres") -> tuple[Gres, ...]:
    """Read a list such as ``gpu:a100:2,shard:4``; a missing count is one, empty parts are not.

    Raises:
        InvalidArgument: A part of the list is none.

    """
    if text.lower() in ("none", "0"):
        return ()
    parts = [part for part in (piece.strip() for piece in text.split(",")) if part]
    return tuple(_one(part, field) for part in parts)


def _one(part: str, field: str) -> Gres:
    plain = _unbound(part)
    for prefix in ("gres:", "gres/"):
        plain = plain.removeprefix(prefix)
    name, *rest = plain.replace("=", ":").split(":")
    if rest and not rest[-1]:
        rest.pop()
    if not name or len(rest) > 2 or not all(rest):
        raise InvalidArgument(f"'{part}' is not a generic resource", field=field, way_out=_WAY_OUT)
    amount = count(rest[-1]) if rest else 1
    if amount is not None:
        kind = rest[0] if len(rest) == 2 else ""
        return Gres(name.lower(), kind, amount)
    if len(rest) == 2:
        raise InvalidArgument(
            f"'{rest[1]}' in '{part}' is not a number", field=field, way_out=_WAY_OUT
        )
    return Gres(name.lower(), rest[0], 1)


def _unbound(part: str) -> str:
    """Leave out the sockets at the end, ``(S:0-1)``; in one pass, however many brackets open."""
    if not part.endswith(")"):
        return part
    opened = part.find("(", part.rfind(")", 0, -1) + 1)
    return part if opened < 0 else part[:opened]


def read_gpus(text: str, field: str = "--gpus") -> tuple[Gres, ...]:
    """Read the value of ``--gpus`` and its like: ``4``, ``a100:4``, ``a100:2,v100:1``.

    Raises:
        InvalidArgument: A part of the list is none.

    """
    found: list[Gres] = []
    for part in (piece.strip() for piece in text.split(",")):
        if not part or part.lower() == "none":
            continue
        whole = part.removeprefix("gres:").removeprefix("gres/")
        if whole.lower() != "gpu" and not whole.lower().startswith("gpu:"):
            whole = f"gpu:{whole}"
        found.append(_one(whole, field))
    return tuple(found)


def count(text: str) -> int | None:
    """Read a count with an optional binary unit (``2``, ``1k``); None when it is none."""
    found = _COUNT.fullmatch(text)
    if found is None:
        return None
    return int(found.group(1)) << (10 * _POWER[found.group(2).lower()])
