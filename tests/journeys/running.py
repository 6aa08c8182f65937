"""A real `resfed up` for a test: real processes, ended by their identifiers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from res_federation.client import Federation, SiteState

RESFED = [sys.executable, "-m", "res_federation.cli.main"]
SITES = Path(__file__).resolve().parents[2] / "sites"


class Up:
    """A federation that runs on this machine; without Ray, but where a test asks for it."""

    def __init__(
        self, home: Path, only: str, sites: Path = SITES, policy: str = "", *, ray: bool = False
    ) -> None:
        self.environment = {**os.environ, **({} if ray else {"RESFED_RAY_WORKERS": "0"})}
        self.home = home
        self.policy = policy
        self.sites = sites
        self.only = only
        self.address = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, listen: str = "127.0.0.1:0") -> None:
        command = [
            *RESFED, "up", "--home", str(self.home), "--sites", str(self.sites),
            "--only", self.only, "--listen", listen,
            *(("--policy", self.policy) if self.policy else ()),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.address = line.split()[1]
                return
        raise AssertionError(f"resfed up ended with {self.process.wait()} before it was ready")

    def until_ready(self, *sites: str) -> None:
        """Wait until sites take jobs."""
        with Federation(self.address) as client:
            until(lambda: all(client.site(site).state is SiteState.READY for site in sites))

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def resfed(self, *words: str, expect: int | None = 0) -> str:
        done = subprocess.run(
            [*RESFED, *words],
            env={**os.environ, "RESFED_BROKER": self.address},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        if expect is not None:
            assert done.returncode == expect, (
                f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        assert "Traceback" not in done.stderr + done.stdout
        return done.stdout

    def json(self, *words: str, expect: int | None = 0) -> Any:
        return json.loads(self.resfed(*words, "--json", expect=expect))

    def children(self, *words: str) -> list[psutil.Process]:
        """Processes below `up` whose command line holds all of *words*."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                found.append(child)
        return found

    def kill(self, *words: str) -> int:
        """Kill -9 the one child that *words* name; return how many there were."""
        found = self.children(*words)
        if found:
            found[0].kill()
        return len(found)


@contextmanager
def up(
    home: Path, only: str, sites: Path = SITES, policy: str = "", *, ray: bool = False
) -> Iterator[Up]:
    """Run a federation of the members *only* until the block ends."""
    federation = Up(home, only, sites, policy, ray=ray)
    federation.start()
    try:
        yield federation
    finally:
        if federation.process is not None and federation.process.poll() is None:
            federation.stop()


def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for what must come; it is a bound against hanging, not a measurement."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
