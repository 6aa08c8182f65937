"""Keeps a recording of the loop; what it cannot write harms nobody but the planners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from res_federation.control.events import Event, JobSubmitted
from res_federation.control.state import FederationState
from res_federation.store.recording import Recorder

log = structlog.get_logger(__name__)

_FLUSH_EVERY_S = 1.0


class Record:
    """The loop's witness. Without room on the disk it says so once, and stays silent."""

    def __init__(self, directory: Path, now: Callable[[], float], *, most_mib: int) -> None:
        """Record below *directory*; nothing where *most_mib* is 0."""
        self._recorder = Recorder(directory, most_bytes=most_mib << 20)
        self._now = now
        self._on = most_mib > 0

    def begin(self, state: FederationState) -> None:
        """Begin anew with *state*, which was just read from the store."""
        if self._on:
            self._try(lambda: self._recorder.begin(state, self._now()))

    def add(self, event: Event, state: FederationState) -> None:
        """Keep an event that was handled; *state* is what came of it."""
        if not self._on:
            return
        if isinstance(event, JobSubmitted) and event.job in state.jobs:
            # as it was understood: the script, which says its origin, is not kept
            event = replace(event, spec=state.jobs[event.job].spec)
        self._try(lambda: self._recorder.add(event))
        if self._recorder.full and state.planning is None:
            self.begin(state)

    async def keep(self) -> None:
        """Flush now and then, for ever."""
        while True:
            await asyncio.sleep(_FLUSH_EVERY_S)
            self._try(self._recorder.flush)

    def close(self) -> None:
        """Write the rest."""
        self._try(self._recorder.close)

    def _try(self, write: Callable[[], None]) -> None:
        if not self._on:
            return
        try:
            write()
        except OSError as error:
            self._on = False
            log.warning("recording_stopped", why=str(error))
