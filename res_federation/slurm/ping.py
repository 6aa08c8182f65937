"""Whether a controller answers: ``scontrol ping``."""

from __future__ import annotations

import re

ARGV = ("scontrol", "ping")
_ONE = re.compile(r"^Slurmctld\([^)\n]*\) at \S+ is (UP|DOWN)\s*$", re.MULTILINE)
_SEVERAL = re.compile(r"^Slurmctld\([^)\n]*\) at \S+ are ([A-Z/]+)\s*$", re.MULTILINE)


def up(text: str) -> bool:
    """Tell whether one of the controllers, the primary or a backup, is up.

    What is no such line says nothing: a warning that something else is UP does not count.
    """
    words = _ONE.findall(text) + [
        word for group in _SEVERAL.findall(text) for word in group.split("/")
    ]
    return "UP" in words
