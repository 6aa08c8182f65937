"""Amounts of memory as sbatch reads and prints them, in MiB."""

from __future__ import annotations

import re

_SPELLING = re.compile(r"[ \t\n\v\f\r]*\+?(\d+)(?:([kmgt])b?)?", re.ASCII | re.IGNORECASE)
_FACTOR = {"": 1, "m": 1, "g": 1024, "t": 1024 * 1024}
_SUFFIX = ("", "G", "T", "P", "?")
_MOST = (1 << 63) - 1


def mebibytes(text: str) -> int | None:
    """Read an amount into MiB; None when it is none.

    A bare number is MB. Units are K (rounded up), M, G, T, with or without a ``B``; sbatch knows
    no ``GiB``, no fractions and nothing larger than T.
    """
    found = _SPELLING.fullmatch(text)
    if found is None or len(found.group(1)) > 20:
        return None
    number, unit = int(found.group(1)), (found.group(2) or "").lower()
    if number > _MOST:
        return None
    return (number + 1023) // 1024 if unit == "k" else number * _FACTOR[unit]


def normal(amount_mib: int) -> str:
    """Write MiB as sbatch prints them: the largest unit that leaves a whole number.

    Nothing at all reads ``0?``: sbatch divides zero until it has no unit left.
    """
    if amount_mib == 0:
        return "0?"
    unit = 0
    while unit < len(_SUFFIX) - 1 and amount_mib % 1024 == 0:
        amount_mib //= 1024
        unit += 1
    return f"{amount_mib}{_SUFFIX[unit]}"


def read_normal(text: str) -> int:
    """Read what `normal` wrote; amounts with the unit ``?`` beyond zero are not told apart."""
    unit = _SUFFIX.index(text[-1]) if text[-1] in _SUFFIX else 0
    number = int(text[:-1] if unit else text)
    return number << (10 * unit)
