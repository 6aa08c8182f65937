"""Durations and foreign names as people read them."""

from __future__ import annotations

import math


def span(seconds: float) -> str:
    """Write a duration with its unit: ``45 s``, ``12 min``, ``3.4 h``, ``2.1 d``."""
    if math.isnan(seconds):
        return "-"
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 72)):
        if abs(seconds) < most * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if unit == "s" or value >= 10 else f"{value:.1f} {unit}"
    days = seconds / 86400
    return f"{days:,.0f} d" if days >= 10 else f"{days:.1f} d"


def plain(text: str) -> str:
    """Return *text* with a mark in place of what does not print: names come from traces."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
