"""What the broker was started with, while it runs: `security.toml`, and certificates of the doors.

Each is read anew when it changes; one that is broken changes nothing, and is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import structlog

from res_federation.broker.doors import Doors
from res_federation.broker.federation import Federation
from res_federation.broker.watched_files import LOOK_S, WatchedFiles
from res_federation.config.security import SECURITY_FILE, SecuritySettings, security_settings
from res_federation.errors import FederationError
from res_federation.model.audit import DENIED, DONE, AuditEntry

log = structlog.get_logger(__name__)

_MOST_REASON = 500
Follow = Callable[[SecuritySettings], None]


class Reloading:
    """Looks after all of it."""

    def __init__(
        self,
        parts: Federation,
        settings: SecuritySettings,
        home: Path,
        doors: Doors,
        follow: Sequence[Follow],
    ) -> None:
        """Begin with *settings*; each of *follow* is told of new ones, and refuses none."""
        self._parts, self._settings, self._follow, self._doors = parts, settings, follow, doors
        self._file = settings.file or home / SECURITY_FILE
        self._watched = WatchedFiles(self._file)

    async def keep(self) -> None:
        """Look now and then, for ever."""
        self._read()  # it may have changed since the broker began to start
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Take up what has changed and is not being written; renew what ends."""
        if self._watched.changed():
            self._read()
        try:
            shown = self._doors.look(self._parts.clock.now())
        except FederationError as error:
            self._kept("tls.certificate", "users", error)
        else:
            if shown:
                log.info("certificate_shown", expires=shown)
                self._tell("tls.certificate", "users", DONE, "", ("expires", f"{shown:.0f}"))

    def _read(self) -> None:
        if self._settings.file is None:
            if self._file.exists():
                log.warning("security_needs_a_restart", file=str(self._file), now="developer mode")
            return
        try:
            found = security_settings(self._file, self._file.parent)
        except FederationError as error:
            self._kept("security.reload", self._file.name, error)
            return
        if not self._watched.read_while_changing():
            self._take(found)

    def _take(self, found: SecuritySettings) -> None:
        was, self._settings = self._settings, found
        changed = [
            one.name for one in fields(found) if getattr(was, one.name) != getattr(found, one.name)
        ]
        if not changed:
            return
        for follow in self._follow:
            follow(found)
        self._doors.follow(found)
        self._parts.streams.look_again()
        log.info("security_read", file=str(self._file), changed=changed)
        self._tell("security.reload", self._file.name, DONE, "", ("changed", " ".join(changed)))

    def _kept(self, act: str, target: str, error: FederationError) -> None:
        log.error("kept_as_it_was", what=act, why=str(error))
        self._tell(act, target, DENIED, str(error))

    def _tell(
        self, act: str, target: str, outcome: str, reason: str, *data: tuple[str, str]
    ) -> None:
        now = self._parts.clock.now()
        reason = reason[:_MOST_REASON]
        self._parts.loop.note(AuditEntry(now, "broker", act, target, outcome, reason, data))
