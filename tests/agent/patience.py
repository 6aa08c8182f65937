"""How long tests wait: for what must come, on a machine that has other things to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""What comes earlier is taken at once; what has not come by then is a failure."""


async def comes(there: Callable[[], object], what: str = "it") -> None:
    """Wait until something is so, while others work in this loop."""
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, f"{what} did not come in {PATIENCE_S:g} s"
        await asyncio.sleep(0.02)


def comes_about(there: Callable[[], object], what: str = "it") -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, f"{what} did not come in {PATIENCE_S:g} s"
        time.sleep(0.02)
