"""The bell: a directory in which wrappers leave a name when something happened to their task.

One look at one directory tells which of thousands of runs to look at; nothing needs to be told
through Slurm, and a bell that is lost (a full disk) only means that the next cycle sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from itertools import islice
from pathlib import Path

from res_federation.model.identifiers import RunToken, is_run_token

POLL_S = 0.05
_IDLE_POLL_S = 0.25
_AT_ONCE = 10_000


class Bell:
    """Watches the directory ``STATE/bell``."""

    def __init__(self, state: Path, *, shared: bool) -> None:
        """Make the directory; *shared* lets other accounts ring, and none remove another's."""
        self.path = state / "bell"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o1733 if shared else 0o700)
        self._stuck: set[str] = set()

    async def rung(self, *, busy: bool) -> set[RunToken]:
        """Return the tokens of runs that rang, as soon as there is one."""
        while True:
            found = self._take()
            if found:
                return found
            await asyncio.sleep(POLL_S if busy else _IDLE_POLL_S)

    def _take(self) -> set[RunToken]:
        """Take what lies there, a bounded number at a time; what cannot be taken away is no ring.

        Any account may lay things here: names that no wrapper writes, whole directories.
        """
        tokens: set[RunToken] = set()
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for name in [entry.name for entry in islice(entries, _AT_ONCE)]:
                if name in self._stuck:
                    continue
                token = name.partition(".")[0]
                if is_run_token(token):
                    tokens.add(RunToken(token))
                self._remove(name)
        return tokens

    def _remove(self, name: str) -> None:
        path = self.path / name
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except OSError:
            try:
                path.rmdir()
            except OSError:  # a directory that somebody fills: left alone
                self._stuck.add(name)
