"""Texts that come from sites: of bounded length each, as the store can keep them."""

from __future__ import annotations

MOST_LINE = 2000
"""Characters of a sentence."""
MOST_WORD = 255
"""Characters of a name."""


def line(text: str, most: int = MOST_LINE) -> str:
    """Return *text*, cut, and with spaces for NULs, which no database takes.

    Other control characters stay: logs quote them, and commands print none of them.
    """
    return text[:most].replace("\0", " ")
