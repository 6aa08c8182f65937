"""Processes of a lab: started in the foreground, each in a group of its own, ended by number."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from res_federation.errors import MissingComponent, Unavailable
from res_federation.lab import leftovers

Done = subprocess.CompletedProcess[str]
"""How a command ended, and what it said."""
PACKAGES = {
    "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client",
    "slurmdbd": "slurmdbd", "munged": "munge", "mariadbd": "mariadb-server",
}  # fmt: skip


def require(*programs: str) -> None:
    """Find programs; raises MissingComponent that names the package of the first missing one."""
    for program in programs:
        if shutil.which(program) is None:
            package = PACKAGES.get(program, program)
            raise MissingComponent(
                f"'{program}' is not on this machine",
                way_out=f"on Debian: apt-get install {package}, or in the repository: make deps",
            )


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until *condition* holds; raises Unavailable with *what* when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Unavailable(f"{what} did not come within {seconds:g} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections at a port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


def answers(path: Path) -> bool:
    """Tell whether somebody accepts connections at a local socket; a stale file is nobody."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody has now, below those that the kernel gives out."""
    found: list[int] = []
    start = 20_000 + os.getpid() * 41 % 9_000
    for port in range(start, 32_000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
            if len(found) == count:
                return found
    raise Unavailable("no free ports on loopback")


class Daemon:
    """One process that can be stopped hard, gently, or for a while, and started again."""

    def __init__(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        """Describe it; nothing runs before `start`."""
        self.name, self._argv, self._environment, self._log = name, list(argv), environment, log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process number; raises Unavailable when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise Unavailable(f"{self.name} does not run; see {self._log}")
        return self._process.pid

    def last_words(self) -> str:
        """Return the last line that it wrote, or ""."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until it serves, as *condition* tells.

        Raises:
            Unavailable: If it ends before that or takes too long; its last words are in it.

        """
        with contextlib.suppress(Unavailable):
            wait_for(lambda: condition() or not self.alive, seconds, self.name)
        if not self.alive or not condition():
            how = "does not answer" if self.alive else "ended"
            raise Unavailable(f"{self.name} of the lab {how}: {self.last_words() or 'no word'}")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.alive:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a list, made by the lab
                self._argv,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, number: int) -> None:
        """Send a signal to it alone (SIGSTOP, SIGCONT); one that has ended gets none."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it with a signal and wait for its end."""
        if self._process is None:
            return
        self.send(number)
        self.send(signal.SIGCONT)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)

    def stop(self) -> None:
        """End it gently."""
        self.kill(signal.SIGTERM)

    def restart(self) -> None:
        """Start it again, ended if it still runs."""
        self.stop()
        self.start()


class Keeper:
    """A process that clears up after a lab whose own process is killed; it waits, and no more."""

    def __init__(self, home: Path, *, remove: bool) -> None:
        """Start it; with *remove* the lab's directory goes, too."""
        argv = [sys.executable, "-I", str(leftovers.__file__), str(home), *(["remove"] * remove)]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a file of ours
            argv, stdin=subprocess.PIPE, start_new_session=True
        )

    def release(self) -> None:
        """Let it clear up and go."""
        self._process.communicate(timeout=30)


def run(
    argv: Sequence[str], environment: Mapping[str, str], *, seconds: float = 30.0, given: str = ""
) -> Done:
    """Run a command of Slurm to its end; it is killed past its time."""
    return subprocess.run(  # noqa: S603 - a list, never a shell
        list(argv), env={**os.environ, **environment}, text=True, capture_output=True,
        timeout=seconds, check=False, input=given,
    )  # fmt: skip
