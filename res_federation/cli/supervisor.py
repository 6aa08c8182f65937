"""Child processes of our own: one that is started and ended, or a set that is kept running.

The only place of the command line that starts processes; it knows nothing of brokers and agents.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from res_federation.cli.process import PARENT_VARIABLE
from res_federation.errors import Unavailable

PYTHON = (sys.executable, "-m")
RESFED = (*PYTHON, "res_federation.cli.main")
"""The words that start this program again."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
SETTLED_S = 30.0
"""A child that lived so long begins again with the first pause."""
GRACE_S = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_KEPT_LOG_BYTES = 20 * 1024 * 1024
_TAIL_BYTES = 4096


@dataclass
class Child:
    """A process that is to run.

    Attributes:
        name: For messages and the log's file name.
        argv: What to start.
        log: Where its standard output and error are appended.
        process: The running one, or None between two lives.
        started: When the newest life began.
        due: When the next one is to begin.
        quick_ends: Ends in a row that came before `SETTLED_S`.
        last_code: How the last life ended, as `subprocess` has it.

    """

    name: str
    argv: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    quick_ends: int = 0
    last_code: int | None = None

    def last_words(self) -> str:
        """Return the last line of the log: what a process that failed said of it."""
        return _last_words(self.log)


def _last_words(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    own = [line.removeprefix("resfed: ") for line in said if line.startswith("resfed: ")]
    return (own or said or [""])[-1]


class Supervisor:
    """The children, and what happens to them at each step."""

    def __init__(self, children: Sequence[Child], tell: Callable[[str], None]) -> None:
        """Start nothing yet; *tell* is given a line whenever a child ends unasked."""
        self.children = list(children)
        self._tell = tell

    def step(self, now: float) -> None:
        """Start what is due and note what has ended; *now* is of any clock that goes forward."""
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, now)
            if child.process is None and now >= child.due:
                _start(child, now)

    def _ended(self, child: Child, now: float) -> None:
        code = child.process.returncode if child.process else None
        settled = now - child.started >= SETTLED_S
        child.quick_ends = 1 if settled else child.quick_ends + 1
        pause = min(FIRST_PAUSE_S * 2 ** (child.quick_ends - 1), LONGEST_PAUSE_S)
        child.process, child.last_code, child.due = None, code, now + pause
        words = "" if code is None or code < 0 else f" ({child.last_words()})"
        self._tell(f"{child.name} ended with {_ending(code)}{words}; again in {pause:.1f} s")

    def stop(self, grace_s: float = GRACE_S) -> None:
        """End every child: SIGTERM to all, SIGKILL to those that remain after *grace_s*."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + grace_s
        for process in running:
            _end(process, until - time.monotonic())
        for child in self.children:
            child.process = None


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Wait for a process that was asked to end, and end it if it does not."""
    try:
        process.wait(max(0.0, grace_s))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _start(child: Child, now: float) -> None:
    _turn_over(child.log)
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    with child.log.open("ab") as log:
        child.process = subprocess.Popen(  # noqa: S603 - our own interpreter and a list of words
            child.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    child.started = now


def _turn_over(log: Path) -> None:
    if log.exists() and log.stat().st_size > _KEPT_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


@contextmanager
def ready_server(
    argv: Sequence[str], log: Path, *, start_s: float = 60.0, stop_s: float = GRACE_S
) -> Iterator[str]:
    """Run a server that prints ``ready HOST:PORT``; yield the address; end it afterwards.

    Args:
        argv: What to start.
        log: Where its standard error goes.
        start_s: How long it may take until it is ready.
        stop_s: How long it may take to end.

    Raises:
        Unavailable: If it does not become ready; the message has its own last line.

    """
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and a list of words
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
    try:
        yield _announced(process, start_s) or _not_ready(log)
    finally:
        process.terminate()
        _end(process, stop_s)


def _announced(process: subprocess.Popen[bytes], start_s: float) -> str:
    """Return the address that the process tells, or "" if it tells none in time."""
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    until = time.monotonic() + start_s
    while (left := until - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        word, _, address = line.decode("utf-8", "replace").strip().partition(" ")
        if word == "ready":
            return address
        if not line:
            break
    return ""


def _not_ready(log: Path) -> str:
    raise Unavailable(f"a server did not start: {_last_words(log) or 'it said nothing'}")
