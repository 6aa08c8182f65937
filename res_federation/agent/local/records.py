"""What a run's directory proves about its tasks: who began, who lives, how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from res_federation.agent.disk import read_plain, there
from res_federation.agent.payload import boot, process_start
from res_federation.agent.rundir import RunDirectory, task_word
from res_federation.model.job import TaskOutcome
from res_federation.model.job_state import JobState

LEASE_EXPIRED = "lease expired before start"
WITHDRAWN = "withdrawn before start"
RETURNED = (LEASE_EXPIRED, WITHDRAWN)
"""Reasons that say nothing about the site: the run may be placed there again."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The start-once mark: which process took it, in which life of the machine, when.

    The run's own account wrote it: it counts for processes of that account (*uid*) alone.
    """

    pid: int
    start: str
    boot: str
    at: float
    uid: int

    @property
    def this_boot(self) -> bool:
        """Tell whether the machine has not been started anew since."""
        return self.boot == boot()

    @property
    def alive(self) -> bool:
        """Tell whether that very process still runs (a pid alone may mean another one by now)."""
        there = self.this_boot and not ended(self.pid) and start_of(self.pid) == self.start
        return there and account_of(self.pid) == self.uid


def start_of(pid: int) -> str:
    """Return when a process began, or "" if it is gone."""
    try:
        return process_start(pid)
    except (OSError, IndexError):
        return ""


def account_of(pid: int) -> int:
    """Return the number of the account that a process runs as, -1 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) for line in lines.splitlines() if line.startswith("Uid:"))
    except (OSError, StopIteration, ValueError):
        return -1


def ended(pid: int) -> bool:
    """Tell whether a process is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX"
    except (OSError, IndexError):
        return True


def read_begun(directory: Path, index: int) -> Begun | None:
    """Read a task's start-once mark, or return None."""
    try:
        mark = read_plain(directory / f"begun.{task_word(index)}", 4096)
        pid, start, life, at = mark.decode().split()
        return Begun(int(pid), start, life, float(at), RunDirectory(directory).owner)
    except (OSError, ValueError):
        return None


class _Exit(msgspec.Struct):
    cause: str
    exit_code: int
    signal: int
    started: float | None
    ended: float


def read_exit(directory: Path, index: int, batch_id: str, nodes: str) -> TaskOutcome | None:
    """Read how a task ended, or return None if it has not."""
    try:
        found = msgspec.json.decode(
            read_plain(directory / f"exit.{task_word(index)}", 4096), type=_Exit
        )
    except (OSError, msgspec.DecodeError):
        return None
    state, reason = {
        "time-limit": (JobState.TIMEOUT, "TimeLimit"),
        "cancelled": (JobState.CANCELLED, "Cancelled"),
        "lease-expired": (JobState.FAILED, LEASE_EXPIRED),
    }.get(found.cause, (JobState.COMPLETED, ""))
    if found.cause == "exit" and found.exit_code:
        state, reason = JobState.FAILED, "NonZeroExitCode"
    began = found.started is not None
    return TaskOutcome(
        index=index,
        state=state,
        exit_code=found.exit_code if began else None,
        signal=found.signal if began else 0,
        batch_id=batch_id,
        started=found.started,
        ended=found.ended,
        nodes=nodes if began else "",
        reason=reason,
    )


def vanished(index: int, begun: Begun, batch_id: str, nodes: str, at: float) -> TaskOutcome:
    """Say that a task's wrapper was gone at *at* without an exit file."""
    why = "was killed" if begun.this_boot else "ended when the machine was started anew"
    return TaskOutcome(
        index=index,
        state=JobState.NODE_FAIL,
        batch_id=batch_id,
        started=begun.at,
        ended=at,
        nodes=nodes,
        reason=f"its wrapper (process {begun.pid}) {why}: there is no exit file",
    )


def cancel_asked(directory: Path, index: int) -> bool:
    """Tell whether somebody asked that a task must not run."""
    return there(directory / "cancel") or there(directory / f"cancel.{task_word(index)}")


def last_words(directory: Path) -> str:
    """Return the last line that a wrapper left in its log, for people."""
    with contextlib.suppress(OSError):
        log = read_plain(directory / "wrapper.log", 65536)
        lines = log.decode(errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:200]
    return "no word from its wrapper"


def _session(leader: int) -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == leader:
                    yield int(entry.name)


def end_orphans(begun: Begun, token: str) -> None:
    """Kill what a vanished wrapper left running; only processes that carry the run's name."""
    if not begun.this_boot:
        return
    mine = f"RESFED_RUN={token}".encode()
    for pid in _session(begun.pid):
        with contextlib.suppress(OSError):
            if mine in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
