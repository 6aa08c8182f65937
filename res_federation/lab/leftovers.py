"""What a lab may leave: jobs whose slurmd was killed, and all of it if Python itself was killed.

Everything that a lab starts carries the lab's mark in its environment, so that it is found by
its own words and never by a name that others use, too.  As a program (`python leftovers.py HOME
[remove]`) this file is the keeper of a lab: it waits until its standard input ends, which happens
when the lab closes it and also when the lab's process dies in whatever way, and clears up then.
It knows nothing but the standard library, so that it starts in an instant.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

MARK = "RESFED_LAB"
"""Variable that holds the lab's directory in the environment of its daemons."""
_ROUNDS = 20  # a step that is ending may start one more process; each round finds what is new


def end_all(home: Path) -> None:
    """End every daemon and every job of the lab at *home* that still runs, by its number."""
    _end(lambda pid: _is_marked(pid, home) or _is_step(pid, home))


def end_jobs(home: Path) -> None:
    """End what still runs of the jobs of the lab at *home*; its daemons are left alone."""
    _end(lambda pid: _is_step(pid, home))


def _end(chosen: Callable[[int], bool]) -> None:
    for _ in range(_ROUNDS):
        found = _with_descendants({pid for pid in _processes() if chosen(pid)})
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _processes() -> set[int]:
    pids = {int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    return pids - {os.getpid()}


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def _is_marked(pid: int, home: Path) -> bool:
    return f"{MARK}={home}".encode() in _environment(pid)


def _is_step(pid: int, home: Path) -> bool:
    """Tell whether it is a slurmstepd of this lab: slurmd hands it SLURM_CONF and nothing else."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().startswith("slurmstepd"):
            conf = f"SLURM_CONF={home}/".encode()
            return any(word.startswith(conf) for word in _environment(pid))
    return False


def _with_descendants(roots: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid in _processes() if roots else ():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
            state, parent = fields.split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(pid)
    found, waiting = set(roots), list(roots)
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(new)
        waiting += new
    return found - {os.getpid()}


def _keep(home: Path, remove: bool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the lab; this one goes last
    while os.read(0, 4096):
        pass
    end_all(home)
    if remove:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), "remove" in sys.argv[2:])
