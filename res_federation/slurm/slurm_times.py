"""Times as Slurm's commands print them: epoch seconds (``SLURM_TIME_FORMAT=%s``) or local ISO."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)
_LATEST = 253_402_300_799


def read(text: str, utc_offset_s: int = 0) -> int | None:
    """Return UTC seconds, None for ``N/A``, ``Unknown``, ``None``, "" and whatever is no time.

    Args:
        text: As printed.
        utc_offset_s: How far the local time of an ISO form is ahead of UTC.

    """
    word = text.strip()
    if word.isascii() and word.isdigit() and len(word) <= 12:
        value = int(word)
        return value if 0 < value <= _LATEST else None
    found = _ISO.fullmatch(word)
    if found is None:
        return None
    try:
        zone = timezone(timedelta(seconds=utc_offset_s))
        year, month, day, hour, minute, second = map(int, found.groups())
        at = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except (ValueError, OverflowError):
        return None
    seconds = int(at.timestamp())
    return seconds if seconds > 0 else None
