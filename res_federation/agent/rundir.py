"""A run's own directory: script, lease, marks and output. Nothing of a run lies outside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from res_federation.agent.disk import open_plain, saying, write_whole
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, script_bytes

_TOKEN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,79}")


def task_word(index: int) -> str:
    """Return how files of a task are called: its index, or ``batch`` without an array."""
    return "batch" if index < 0 else str(index)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run; made by `of`, which alone turns a token into a path."""

    path: Path

    @classmethod
    def of(cls, runs: Path, token: RunToken) -> RunDirectory:
        """Return the directory of *token* under *runs*.

        Raises:
            InvalidArgument: If the token could be anything but a plain name.

        """
        if not _TOKEN.fullmatch(token):
            raise InvalidArgument(f"{token!r} is not a run token", field="token")
        return cls(runs / token)

    @property
    def work(self) -> Path:
        """The payload's working directory."""
        return self.path / "work"

    def prepare(self, spec: JobSpec) -> None:
        """Write what a payload needs; harmless when repeated.

        Raises:
            ResourceExhausted: If the disk is full or not writable.

        """
        with saying(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.work.mkdir(mode=0o700, exist_ok=True)
            write_whole(self.path / "script", script_bytes(spec.script), mode=0o700)
            write_whole(self.path / "spec.json", msgspec.json.encode(replace(spec, script="")))

    def rewrite(self, script: str) -> str:
        """Put *script* in the place of the user's; return its SHA-256 in hexadecimal.

        Raises:
            ResourceExhausted: If the disk is full or not writable.

        """
        content = script_bytes(script)
        with saying(self.path):
            write_whole(self.path / "script", content, mode=0o700)
        return hashlib.sha256(content).hexdigest()

    def write_lease(self, until: float) -> None:
        """Say until when a payload may begin (UTC seconds); raises ResourceExhausted."""
        with saying(self.path):
            write_whole(self.path / "lease", f"{until:.3f}\n".encode(), mode=0o644)

    def lease(self) -> float:
        """Return until when a payload may begin; 0 without a lease."""
        try:
            with os.fdopen(open_plain(self.path / "lease"), "rb") as file:
                return float(file.read(64))
        except (OSError, ValueError):
            return 0.0

    @property
    def is_array(self) -> bool:
        """Tell whether the run has array tasks, as far as any has been started."""
        return not (self.path / "launch.batch").exists() and any(self.path.glob("launch.[0-9]*"))

    def read_output(self, task: int, *, error: bool, offset: int, limit: int) -> tuple[bytes, bool]:
        """Return at most *limit* bytes from *offset*, and whether that is all there is now."""
        name = f"{'err' if error else 'out'}.{task_word(task)}"
        try:
            with os.fdopen(open_plain(self.path / name), "rb") as file:
                file.seek(offset)
                data = file.read(limit + 1)
        except FileNotFoundError:
            return b"", True
        return data[:limit], len(data) <= limit

    def remove(self) -> None:
        """Remove the run's files; what is gone already is gone."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)
