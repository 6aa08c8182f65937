"""kill -9 at any moment: what was acknowledged is there, and rows and log agree."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from res_federation.store.queries import Logged
from res_federation.store.store import Store

ROOT = Path(__file__).parents[2]


def _run_and_kill(url: str, lines: int) -> dict[str, tuple[int, str]]:
    """Kill a committer after so many lines; return what it acknowledged last of each job."""
    said: dict[str, tuple[int, str]] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.committer", url],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for read, line in enumerate(process.stdout):
            if read == lines:
                process.send_signal(signal.SIGKILL)  # and go on: what it still said counts
            words = line.split()
            if line.endswith("\n") and len(words) == 3:
                said[words[0]] = (int(words[1]), words[2])
    assert process.returncode == -signal.SIGKILL
    return said


@pytest.mark.parametrize("lines", [1, 40, 333])
async def test_what_was_acknowledged_outlives_a_kill(url: str, lines):
    said = await asyncio.to_thread(_run_and_kill, url, lines)
    said |= await asyncio.to_thread(_run_and_kill, url, lines)
    store = await Store.open(url)
    loaded = await store.load_live()
    rows = {str(job.id): job for job in loaded.jobs}
    log: list[Logged] = []
    while more := await store.events(after=len(log), limit=1000):
        log += more
    await store.close()

    for job, (revision, state) in said.items():
        assert rows[job].revision >= revision
        assert rows[job].state == state or rows[job].revision > revision
    assert [event.revision for event in log] == list(range(1, loaded.last_revision + 1))
    newest = {event.job: event.revision for event in log}
    assert newest == {job.id: job.revision for job in rows.values()}
    assert set(loaded.keys.values()) == set(rows)
