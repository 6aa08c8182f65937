"""Real local accounts for tests of who runs as whom; only what was made here is removed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.agent.patience import PATIENCE_S


@dataclass(frozen=True)
class People:
    """Accounts of this process's own tests.

    Attributes:
        one: A person.
        two: Another one.
        system: A system account with a login shell.
        shell_less: A person whose login shell is nologin.
        group: A group with *one* in it.

    """

    one: str
    two: str
    system: str
    shell_less: str
    group: str


@contextmanager
def people() -> Iterator[People]:
    """Make the accounts, and remove them."""
    stem = f"rfedtest{os.getpid()}"
    those = People(f"{stem}a", f"{stem}b", f"{stem}s", f"{stem}n", f"{stem}g")
    try:
        _change("groupadd", those.group)
        shell = ("--no-create-home", "--shell", "/bin/bash", "--user-group")
        _change("useradd", *shell, "--groups", those.group, those.one)
        _change("useradd", *shell, those.two)
        _change("useradd", *shell, "--system", those.system)
        _change("useradd", *shell, "--shell", "/usr/sbin/nologin", those.shell_less)
        yield those
    finally:
        for name in (those.one, those.two, those.system, those.shell_less):
            _change("userdel", name, gone=True)
        _change("groupdel", those.group, gone=True)


def _change(*argv: str, gone: bool = False) -> None:
    """Run a command; another one that holds the lock of the accounts is waited for."""
    end = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode == 0 or (gone and done.returncode == 6):
            return
        assert "lock" in done.stderr, f"{argv}: {done.stderr}"
        assert time.monotonic() < end, f"{argv}: {done.stderr}"
        time.sleep(0.1)
