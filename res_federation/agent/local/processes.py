"""Learn at once when a process ends, be it a child or one found after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable

from res_federation.agent.local.records import ended, start_of

_LOOK_EVERY_S = 0.2


class Watch:
    """Calls back once when a process has ended. Needs a running event loop."""

    def __init__(self, pid: int, start: str, done: Callable[[], None]) -> None:
        """Watch the process *pid* that began at *start*; *done* may be called at once (soon)."""
        self.pid = pid
        self._start = start
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError as error:
            if error.errno == errno.ESRCH:
                self._timer = self._loop.call_later(0, self._finish)
                return
            self._look()  # an old kernel, or no descriptor left: look now and then instead
            return
        if start_of(pid) != start:  # the number belongs to another process by now
            self._timer = self._loop.call_later(0, self._finish)
            return
        self._loop.add_reader(self._descriptor, self._finish)

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM); surely no other one gets the signal."""
        with contextlib.suppress(OSError):
            if self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)
            elif start_of(self.pid) == self._start:
                os.kill(self.pid, signal.SIGTERM)

    def close(self) -> None:
        """Watch no longer; the process goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _look(self) -> None:
        if ended(self.pid) or start_of(self.pid) != self._start:
            self._timer = self._loop.call_later(0, self._finish)
        else:
            self._timer = self._loop.call_later(_LOOK_EVERY_S, self._look)

    def _finish(self) -> None:
        self.close()
        with contextlib.suppress(ChildProcessError):  # adopted ones are not our children
            os.waitpid(self.pid, os.WNOHANG)
        self._done()
