"""`security.toml` while the broker runs: read anew when it changes, the last good one kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import structlog

from res_federation.broker.federation import Federation
from res_federation.config.security import SECURITY_FILE, SecuritySettings, security_settings
from res_federation.errors import FederationError
from res_federation.model.audit import DENIED, DONE, AuditEntry

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Between two looks. A file is read once it is as it was at the look before: not half written."""
_ACT = "security.reload"
_AT_START = ("hosts", "tls_certificate", "tls_key")
_Signature = tuple[int, int, int, int, int]
Follow = Callable[[SecuritySettings], None]


class Reloading:
    """Looks after the file."""

    def __init__(
        self, parts: Federation, settings: SecuritySettings, home: Path, follow: Sequence[Follow]
    ) -> None:
        """Begin with *settings*; each of *follow* is told of new ones, and refuses none."""
        self._parts, self._settings, self._follow = parts, settings, follow
        self._file = settings.file or home / SECURITY_FILE
        self._before: _Signature | str = ""
        self._read: _Signature | str = ""

    async def keep(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Take up the file if it has changed, and is not being written."""
        seen, before = _signature(self._file), self._before
        self._before = seen
        if seen in (self._read, "") or seen != before:
            return
        self._read = seen
        if self._settings.file is None:
            if not isinstance(seen, str):
                log.warning("security_needs_a_restart", file=str(self._file), now="developer mode")
            return
        try:
            found = security_settings(self._file, self._file.parent)
        except FederationError as error:
            self._tell(DENIED, str(error))
            log.error("security_kept", file=str(self._file), why=str(error))
            return
        if _signature(self._file) != seen:
            self._read = ""  # it changed under our eyes: the next look decides
            return
        self._take(found)

    def _take(self, found: SecuritySettings) -> None:
        was, self._settings = self._settings, found
        changed = [
            one.name for one in fields(found) if getattr(was, one.name) != getattr(found, one.name)
        ]
        log.info("security_read", file=str(self._file), changed=changed)
        if late := [name for name in changed if name in _AT_START]:
            log.warning("security_needs_a_restart", file=str(self._file), changed=late)
        if not changed:
            return
        for follow in self._follow:
            follow(found)
        self._parts.streams.look_again()
        self._tell(DONE, "", ("changed", " ".join(changed)))

    def _tell(self, outcome: str, reason: str, *data: tuple[str, str]) -> None:
        now = self._parts.clock.now()
        entry = AuditEntry(now, "broker", _ACT, self._file.name, outcome, reason[:500], data)
        self._parts.loop.note(entry)


def _signature(file: Path) -> _Signature | str:
    try:
        found = file.stat()
    except OSError as error:
        return error.strerror or str(error)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
