"""The bell: a directory in which wrappers leave a name when something happened to their task.

One look at one directory tells which of thousands of runs to look at; nothing needs to be told
through Slurm, and a bell that is lost (a full disk) only means that the next cycle sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from res_federation.model.identifiers import RunToken

POLL_S = 0.05
_IDLE_POLL_S = 0.25


class Bell:
    """Watches the directory ``STATE/bell``."""

    def __init__(self, state: Path, *, shared: bool) -> None:
        """Make the directory; *shared* lets other accounts ring, and none remove another's."""
        self.path = state / "bell"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o1733 if shared else 0o700)

    async def rung(self, *, busy: bool) -> set[RunToken]:
        """Return the tokens of runs that rang, as soon as there is one."""
        while True:
            found = self._take()
            if found:
                return found
            await asyncio.sleep(POLL_S if busy else _IDLE_POLL_S)

    def _take(self) -> set[RunToken]:
        tokens: set[RunToken] = set()
        with contextlib.suppress(OSError):
            for name in os.listdir(self.path):  # noqa: PTH208 - twenty times a second
                tokens.add(RunToken(name.partition(".")[0]))
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        return tokens
