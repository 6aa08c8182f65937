"""The only place in the agent that reads time; everything else takes it as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns UTC seconds."""


def now() -> float:
    """Return UTC seconds."""
    return time.time()  # noqa: TID251 - this is the agent's clock
