"""Files that somebody else changes while the broker runs: told once they are still again."""

from __future__ import annotations

from pathlib import Path

LOOK_S = 1.0
"""Between two looks."""
_Signature = tuple[int, int, int, int, int] | str


class WatchedFiles:
    """Some files, looked at now and then; they count as changed once, all of them together."""

    def __init__(self, *files: Path) -> None:
        """Take them as they lie there now."""
        self._files = files
        self._taken = self._before = self._now()

    def changed(self) -> bool:
        """Tell whether they have changed, and are as they were at the look before.

        So nobody reads what is half written, or a new certificate with the old key.
        """
        now, before = self._now(), self._before
        self._before = now
        if now in (self._taken, ()) or now != before:
            return False
        self._taken = now
        return True

    def read_while_changing(self) -> bool:
        """Tell whether they changed since they were taken: what was read of them is void."""
        if self._now() == self._taken:
            return False
        self._taken = ()
        return True

    def _now(self) -> tuple[_Signature, ...]:
        return tuple(_signature(file) for file in self._files)


def _signature(file: Path) -> _Signature:
    try:
        found = file.stat()
    except (OSError, ValueError) as error:  # a name with a NUL in it, too
        return str(error)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
