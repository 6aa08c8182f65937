from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from res_federation.cli.supervisor import Child, Supervisor, ready_server
from res_federation.errors import Unavailable
from tests.agent.patience import PATIENCE_S

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(60)"
)
STUBBORN = (sys.executable, "-c", _DEAF)


def _until(what: object, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def _one(tmp_path: Path, argv: tuple[str, ...]) -> tuple[Supervisor, Child, list[str]]:
    told: list[str] = []
    child = Child("it", argv, tmp_path / "it.log")
    return Supervisor([child], told.append), child, told


def _running(child: Child) -> int:
    """Return the child's process, or 0 between two lives."""
    return child.process.pid if child.process is not None else 0


def test_a_child_that_is_killed_is_started_again_after_a_pause(tmp_path: Path) -> None:
    supervisor, child, told = _one(tmp_path, SLEEPER)
    try:
        supervisor.step(0.0)
        first = psutil.Process(_running(child))
        first.kill()
        _until(lambda: first.status() == psutil.STATUS_ZOMBIE)
        supervisor.step(1.0)
        assert not _running(child)  # the pause
        supervisor.step(1.3)
        assert _running(child) not in (0, first.pid)
    finally:
        supervisor.stop()
    assert told == ["it ended with SIGKILL; again in 0.2 s"]


def test_pauses_grow_while_a_child_ends_at_once_and_its_last_words_are_told(
    tmp_path: Path,
) -> None:
    fails = (sys.executable, "-c", "import sys; sys.exit('resfed: no such site')")
    supervisor, child, told = _one(tmp_path, fails)
    now = 0.0
    for _ in range(4):
        now = child.due
        supervisor.step(now)
        assert child.process is not None
        child.process.wait()
        supervisor.step(now)
    assert child.quick_ends == 4
    assert told[0] == "it ended with exit code 1 (no such site); again in 0.2 s"
    assert told[3].endswith("again in 1.6 s")


def test_a_child_that_lived_long_begins_with_the_first_pause_again(tmp_path: Path) -> None:
    supervisor, child, _ = _one(tmp_path, SLEEPER)
    child.quick_ends = 6
    supervisor.step(0.0)
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    supervisor.step(100.0)
    assert child.due == pytest.approx(100.2)


def test_a_child_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    supervisor, child, _ = _one(tmp_path, STUBBORN)
    supervisor.step(0.0)
    assert child.process is not None
    process = child.process
    _until(lambda: "deaf" in child.log.read_text())
    supervisor.stop(grace_s=0.2)
    assert process.returncode == -signal.SIGKILL


def test_a_child_that_follows_its_parent_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    child = (
        "from res_federation.cli.process import follow_parent; import os, time, pathlib;"
        f"follow_parent(); pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()));"
        "time.sleep(60)"
    )
    parent = (
        "import sys, time, pathlib; from res_federation.cli.supervisor import *;"
        f"s = Supervisor([Child('c', (sys.executable, '-c', {child!r}), "
        f"pathlib.Path({str(tmp_path / 'c.log')!r}))], print); s.step(0); time.sleep(60)"
    )
    process = psutil.Popen([sys.executable, "-c", parent])
    try:
        _until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        pid = int((tmp_path / "pid").read_text())
    finally:
        process.kill()
        process.wait()
    _until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    fails = (sys.executable, "-c", "import sys; sys.exit('resfed: the port is taken')")
    with pytest.raises(Unavailable, match="the port is taken"), ready_server(fails, tmp_path / "l"):
        pass


def test_a_server_is_ready_when_it_says_so_and_ended_afterwards(tmp_path: Path) -> None:
    code = "import time; print('hello'); print('ready 127.0.0.1:5', flush=True); time.sleep(60)"
    says = (sys.executable, "-c", code)
    others = {child.pid for child in psutil.Process().children()}  # Ray's, of another test
    with ready_server(says, tmp_path / "log") as address:
        assert address == "127.0.0.1:5"
        (pid,) = {child.pid for child in psutil.Process().children()} - others
    assert not psutil.pid_exists(pid)
