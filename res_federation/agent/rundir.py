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

from res_federation.agent.accounts import Account
from res_federation.agent.disk import open_plain, read_plain, saying, there, write_whole
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, script_bytes

_TOKEN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,79}")
_AGENTS_OWN = re.compile(r"spec\.json|lease|fence|cancel(\..*)?|\..*", re.DOTALL)
"""Files that the agent alone writes, and the payload's account only reads."""
_LARGEST_SPEC = 64 * 1024 * 1024


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
            with contextlib.suppress(FileExistsError):
                self.work.mkdir(mode=0o700)
            write_whole(
                self.path / "script", script_bytes(spec.script), mode=0o700, owner=self._given
            )
            write_whole(self.path / "spec.json", msgspec.json.encode(replace(spec, script="")))

    @property
    def owner(self) -> int:
        """Number of the account that the run was given to; raises OSError where there is none."""
        return self.path.lstat().st_uid

    def can_be_of(self, uid: int) -> bool:
        """Tell whether the directory was given to nobody yet, or to *uid*."""
        try:
            return self.owner in (uid, os.geteuid())
        except FileNotFoundError:
            return True

    @property
    def _given(self) -> tuple[int, int] | None:
        """Account and group of a directory that was given away, None while it is the agent's."""
        found = self.path.lstat()
        return None if found.st_uid == os.geteuid() else (found.st_uid, found.st_gid)

    def give_to(self, uid: int, gid: int) -> None:
        """Let the account that the payload runs as own the directory and what it must run.

        Each thing is opened as what it is and given away by its descriptor: in a directory that
        was given away before a name may mean anything. What is the agent's word alone (the lease,
        the fence, what the run is) stays the agent's.

        Raises:
            ResourceExhausted: If the file system does not let it.

        """
        with saying(self.path):
            if self.owner == uid:
                return
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            for each in self.path.iterdir():
                if _AGENTS_OWN.fullmatch(each.name):
                    continue
                descriptor = os.open(each, flags)
                try:
                    os.fchown(descriptor, uid, gid)
                finally:
                    os.close(descriptor)
            os.chown(self.path, uid, gid, follow_symlinks=False)  # last: until now it was ours

    def give(self, account: Account | None) -> None:
        """Give it to *account*, where that is another than the agent's own; see `give_to`."""
        if account is not None and account.other:
            self.give_to(account.uid, account.gid)

    def write_for_payload(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a file that the payload's account is to read or run; raises ResourceExhausted."""
        with saying(self.path):
            write_whole(self.path / name, data, mode=mode, owner=self._given)

    def spec(self) -> JobSpec:
        """Return what the run runs, without its script, as `prepare` wrote it.

        Raises:
            OSError: If that is not there, or is not what the agent wrote.
            msgspec.DecodeError: If it is no such thing.

        """
        packed = read_plain(self.path / "spec.json", _LARGEST_SPEC, agents=True)
        return msgspec.json.decode(packed, type=JobSpec)

    def rewrite(self, script: str) -> str:
        """Put *script* in the place of the user's; return its SHA-256 in hexadecimal.

        Raises:
            ResourceExhausted: If the disk is full or not writable.

        """
        content = script_bytes(script)
        self.write_for_payload("script", content, mode=0o700)
        return hashlib.sha256(content).hexdigest()

    def write_lease(self, until: float) -> None:
        """Say until when a payload may begin (UTC seconds); raises ResourceExhausted."""
        with saying(self.path):
            write_whole(self.path / "lease", f"{until:.3f}\n".encode(), mode=0o644)

    def lease(self) -> float:
        """Return until when a payload may begin; 0 without a lease."""
        try:
            with os.fdopen(open_plain(self.path / "lease", agents=True), "rb") as file:
                return float(file.read(64))
        except (OSError, ValueError):
            return 0.0

    @property
    def is_array(self) -> bool:
        """Tell whether the run has array tasks, as far as any has been started."""
        return not there(self.path / "launch.batch") and any(self.path.glob("launch.[0-9]*"))

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
