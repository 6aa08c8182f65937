"""Time limits as sbatch reads and prints them. Whole minutes: sbatch rounds seconds up."""

from __future__ import annotations

import re

UNLIMITED = -1
"""Stands for a limit without an end (``UNLIMITED``, ``INFINITE``, ``-1`` or ``0``)."""

MINUTES_A_DAY = 24 * 60

_UNLIMITED_WORDS = frozenset(("-1", "infinite", "unlimited"))
_SPELLING = re.compile(
    r"(?:(?P<days>\d+)-(?:(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?)?"
    r"|(?:(?P<h>\d+):(?=\d+:))?(?P<m>\d+)(?::(?P<s>\d+))?)",
    re.ASCII,
)
_NEGATIVE_DAYS = re.compile(r"-(\d+)", re.ASCII)
_INT_BITS = 1 << 32


def seconds(text: str) -> int | None:
    """Read a duration into seconds; `UNLIMITED` without an end, None when it is none.

    Spellings: ``minutes``, ``minutes:seconds``, ``h:m:s``, ``days-h``, ``days-h:m``,
    ``days-h:m:s``, ``UNLIMITED``, ``INFINITE``. Wraps at 32 bits, as sbatch does.
    """
    if text.lower() in _UNLIMITED_WORDS:
        return UNLIMITED
    found = _SPELLING.fullmatch(text)
    if found is None:
        before = _NEGATIVE_DAYS.fullmatch(text)
        return _wrap(-int(before.group(1)[:20]) * 86400) if before else None
    days, day_h, day_m, day_s, hours, minutes, secs = found.groups()
    if days is not None:
        total = int(days[:20]) * 86400
        total += int((day_h or "0")[:20]) * 3600
        total += int((day_m or "0")[:20]) * 60 + int((day_s or "0")[:20])
    else:
        total = int((hours or "0")[:20]) * 3600 + int(minutes[:20]) * 60
        total += int((secs or "0")[:20])
    return _wrap(total)


def _wrap(number: int) -> int:
    wrapped = number % _INT_BITS
    return wrapped - _INT_BITS if wrapped >= _INT_BITS // 2 else wrapped


def minutes(text: str) -> int | None:
    """Read a duration into minutes, rounded up; `UNLIMITED`, or None when it is none."""
    total = seconds(text)
    if total is None or total == UNLIMITED:
        return total
    # C truncates towards zero and takes the result as unsigned: below zero is ages.
    up = total + 59
    return up // 60 if up >= 0 else -(-up // 60) % _INT_BITS


def normal(length_min: int) -> str:
    """Write minutes as sbatch prints them: ``hh:mm:00``, ``d-hh:mm:00`` or ``UNLIMITED``."""
    if length_min == UNLIMITED:
        return "UNLIMITED"
    days, rest = divmod(length_min, MINUTES_A_DAY)
    hours, mins = divmod(rest, 60)
    clock = f"{hours:02d}:{mins:02d}:00"
    return f"{days}-{clock}" if days else clock
