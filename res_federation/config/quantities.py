"""Amounts as people write them in a file, with the unit spelled out and no other way allowed."""

from __future__ import annotations

import re

_MEMORY = re.compile(r"^(\d{1,9}) (MiB|GiB|TiB)$")
_MIB = {"MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
_LOOSE = re.compile(r"^\s*(\d{1,9})\s*([kmgt])(?:i?b)?\s*$", re.IGNORECASE)
_TIME = re.compile(r"^(\d{1,4}):([0-5]\d):([0-5]\d)$")


def memory_mib(text: object) -> int:
    """Read ``256 GiB`` (MiB, GiB or TiB) and return MiB.

    Raises:
        ValueError: With one line that says how to write it.

    """
    found = _MEMORY.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not an amount of memory; {_way_to_write(text)}")
    mib = int(found[1]) * _MIB[found[2]]
    if mib == 0:
        raise ValueError(f"{text!r} is no memory; leave the key out where the figure is not known")
    return mib


def _way_to_write(text: object) -> str:
    loose = _LOOSE.match(text) if isinstance(text, str) else None
    if loose and loose[2].lower() != "k":
        return f'write "{loose[1]} {loose[2].upper()}iB"'
    return 'write it as "256 GiB" (MiB, GiB or TiB)'


def duration_s(text: object) -> int:
    """Read ``72:00:00`` (hours, minutes, seconds) and return seconds.

    Raises:
        ValueError: With one line that says how to write it.

    """
    found = _TIME.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f'{text!r} is not a time; write hours, minutes, seconds: "72:00:00"')
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    if seconds == 0:
        raise ValueError(f"{text!r} lets no job run; leave the key out where there is no limit")
    return seconds
