"""A run's fence and its start-once marks: who may still begin, proved with files alone.

A wrapper says that it is there (``here.TASK.ID``) and only then looks for ``cancel`` and ``fence``;
the agent first writes ``cancel`` or ``fence`` and only then looks for wrappers.  So, whichever
comes first, at least one of the two sees the other: an agent that finds none after it wrote has
proved that no payload begins unless it allows it, on whatever node and whatever Slurm forgot.
Of all wrappers that were let, the start-once mark ``begun.TASK`` lets one begin the payload.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from res_federation.agent.disk import open_plain, saying, there, write_whole

WITHDRAWN, OVER = "withdrawn", "over"
"""What ``cancel`` says of a run that was given back, and of one that had ended by itself."""
WAIT, GO, END = "wait", "go", "end"
SHUT = "shut"
"""Closed again after it had been open: who asked before may have been let."""
_WORDS = (WAIT, GO, END, SHUT)
_UNBEGUN = ("cancelled", "lease-expired", "unanswered", "failed")
"""Causes in ``exit.TASK`` that say that the payload never began."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a wrapper ended.

    Attributes:
        cause: ``exit``, or why the payload did not begin.
        code: Exit status of the payload.
        started: UTC seconds, None when it never began.
        ended: UTC seconds.
        asked_to_end: Whether somebody sent it SIGTERM.

    """

    cause: str
    code: int
    started: float | None
    ended: float
    asked_to_end: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """The start-once mark: when, under which number, on which nodes (as far as written)."""

    at: float | None
    number: str
    nodes: str


def _first_line(path: Path, *, agents: bool = False) -> str | None:
    """Return a small file's first line, "" for an empty one, None for none or for no plain file.

    With *agents* it is one that the agent wrote.
    """
    try:
        with os.fdopen(open_plain(path, agents=agents), "rb") as file:
            return file.readline(4096).decode(errors="replace").strip()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Fence:
    """Marks and fence of the run in *path*."""

    path: Path

    def word(self) -> str:
        """Return ``wait``, ``go``, ``shut`` or ``end``; "" without a fence."""
        said = _first_line(self.path / "fence", agents=True)
        return said if said is not None and said in _WORDS else ""

    def _say(self, word: str) -> None:
        with saying(self.path):
            write_whole(self.path / "fence", f"{word}\n".encode(), mode=0o644)

    def put_up(self) -> bool:
        """Let no payload begin unasked; return whether that came in time for all tasks."""
        if not self.word():
            self._say(WAIT)
        return self.word() != GO and self.unbegun()

    def let_begin(self) -> None:
        """Let payloads of the run begin."""
        self._say(GO)

    def withdraw(self, why: str = WITHDRAWN) -> bool:
        """Let no task begin any more, if surely none has; return whether that is so.

        The fence comes first, also where one had been opened: behind it every task waits while the
        others are looked at. Where one may have begun, all are as they were.
        """
        if self.marks():
            return False
        before = self.word()
        if before in ("", GO):
            self._say(SHUT)
        if not self.unbegun():
            if before in ("", GO):
                self.let_begin()
            return False
        with saying(self.path):
            write_whole(self.path / "cancel", f"{why}\n".encode(), mode=0o644)
        self._say(END)
        return True

    def withdrawn(self) -> bool:
        """Tell whether the run was given back before any task began."""
        return _first_line(self.path / "cancel", agents=True) == WITHDRAWN

    def cancel_all(self) -> None:
        """Let no further task begin, whatever the others do."""
        with saying(self.path):
            write_whole(self.path / "cancel", b"cancelled\n", mode=0o644)
        if self.word() == WAIT:
            self._say(END)

    def cancel(self, task: str) -> None:
        """Let one task not begin."""
        with saying(self.path):
            write_whole(self.path / f"cancel.{task}", b"cancelled\n", mode=0o644)

    def _names(self) -> set[str]:
        with contextlib.suppress(OSError):
            return set(os.listdir(self.path))  # noqa: PTH208 - names are all that is wanted
        return set()

    def marks(self) -> list[str]:
        """Return the tasks whose payload began."""
        return [name.removeprefix("begun.") for name in self._names() if name.startswith("begun.")]

    def unbegun(self) -> bool:
        """Tell whether no task's payload began, nor can now without the agent's word.

        A wrapper that is there must have left without a payload, or stand at a fence that was
        never open.
        """
        closed = self.word() in (WAIT, END)
        names = self._names()
        if any(name.startswith("begun.") for name in names):
            return False
        return all(
            f"left.{who}" in names or (closed and f"asks.{who}" in names)
            for who in _after("here.", names)
        )

    def asking(self) -> bool:
        """Tell whether a payload of a fenced run has its nodes and waits for a word."""
        if self.word() != WAIT:
            return False
        names = self._names()
        return any(f"left.{who}" not in names for who in _after("asks.", names))

    def begun(self, task: str) -> Begun | None:
        """Return the task's start-once mark, or None."""
        line = _first_line(self.path / f"begun.{task}")
        if line is None:
            return None
        words = line.split()
        at = _number(words[0]) if words else None
        return Begun(at, words[1] if len(words) > 1 else "", words[2] if len(words) > 2 else "")

    def again(self, task: str) -> bool:
        """Tell whether the batch system started the task a second time."""
        return there(self.path / f"again.{task}")

    def exit(self, task: str) -> Exit | None:
        """Return how the task's wrapper ended, or None when it wrote nothing whole."""
        words = (_first_line(self.path / f"exit.{task}") or "").split()
        if len(words) != 6 or words[5] != ".":
            return None
        cause, code, started, ended, asked, _ = words
        at, last = _number(started), _number(ended)
        if not code.isdigit() or last is None or (cause not in _UNBEGUN and cause != "exit"):
            return None
        began = at if cause == "exit" else None
        return Exit(cause, int(code), began, last, asked == "yes")


def _after(prefix: str, names: set[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None
