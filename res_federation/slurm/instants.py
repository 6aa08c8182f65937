"""Points in time as ``--begin`` and ``--deadline`` spell them. There is no clock here."""

from __future__ import annotations

import re

_TIME = r"(?:\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]m)?|\d{1,2}[ap]m|midnight|noon|fika|teatime)"
_DATE = r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}\.\d{1,2}(?:\.\d{2,4})?|\d{6})"
_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?)"
_RELATIVE = re.compile(
    rf"(?:now(?:\s*[+-]\s*\d+\s*{_UNIT}?)?|today|tomorrow|{_TIME})", re.ASCII | re.IGNORECASE
)
_DATE_FIRST = re.compile(
    rf"({_DATE}|today|tomorrow)(?:[T\s-]+({_TIME}))?", re.ASCII | re.IGNORECASE
)
_TIME_FIRST = re.compile(rf"({_TIME})[T\s-]+({_DATE}|today|tomorrow)", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?\s*([ap]m)?", re.ASCII | re.IGNORECASE)
_WORDS = {"midnight": "00:00:00", "noon": "12:00:00", "fika": "15:00:00", "teatime": "16:00:00"}


def normal(text: str) -> str | None:
    """Write an absolute time as ``YYYY-MM-DDThh:mm:ss``; None when *text* is no time.

    What counts from now (``now+1hour``, ``16:00``, ``tomorrow``, a day without its year) depends
    on when it is read; it is checked and returned as given.
    """
    plain = text.strip()
    if _RELATIVE.fullmatch(plain):
        return plain
    found = _DATE_FIRST.fullmatch(plain)
    day, clock = found.groups() if found else ("", None)
    if found is None:
        found = _TIME_FIRST.fullmatch(plain)
        if found is None:
            return None
        clock, day = found.groups()
    date = _date(day)
    hour = "00:00:00" if clock is None else _clock(clock)
    if date is None or hour is None:
        return None
    return f"{date}T{hour}" if date else plain


def _date(text: str) -> str | None:
    """Return ``YYYY-MM-DD``, "" for a day that counts from now, None for no date."""
    if text.lower() in ("today", "tomorrow"):
        return ""
    if re.fullmatch(r"\d{6}", text):
        parts = [text[0:2], text[2:4], text[4:6]]
    else:
        parts = re.split(r"[-/.]", text)
    if len(parts) == 2:
        month, day, year = int(parts[0]), int(parts[1]), -1
    elif len(parts[0]) == 4:
        year, month, day = (int(part) for part in parts)
    else:
        month, day, year = (int(part) for part in parts)
        year += 2000 if year < 100 else 0
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return "" if year < 0 else f"{year:04d}-{month:02d}-{day:02d}"


def _clock(text: str) -> str | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    half = (found.group(4) or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02d}:{minute:02d}:{second:02d}" if hour < 24 and minute < 60 else None
