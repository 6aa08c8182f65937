"""What happens on a real file system of two megabytes; run by `test_disk` under ``unshare``.

The file system is mounted in a name space of this process alone and goes away with it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from res_federation.errors import InvalidArgument, ResourceExhausted
from res_federation.store.failures import may_retry
from res_federation.store.step import Step
from res_federation.store.store import Store
from tests.store.making import Log, a_job

_SIZE = 2 * 1024 * 1024


def _mount(disk: Path, *options: str) -> None:
    subprocess.run(["mount", *options, disk], check=True)


def _fill(disk: Path, *, leave: int) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        _write_for_ever(file)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - leave)
    return filler


def _write_for_ever(file: IO[bytes]) -> None:
    while True:
        file.write(b"\0" * 4096)


async def full_while_running(disk: Path) -> None:
    store = await Store.open(f"sqlite:///{disk}/broker.db")
    log = Log()
    steps: list[Step] = []

    async def commit_for_ever() -> None:
        while True:
            script = f"#!/bin/sh\n# {log.revision}" + "x" * 5000
            steps.append(log.submit(a_job(log.revision, script=script)))
            await store.commit(steps[-1])

    with pytest.raises(ResourceExhausted, match=r"disk of .*broker\.db is full") as refusal:
        await commit_for_ever()
    assert may_retry(refusal.value)
    assert len(steps) > 10
    jobs = [job for step in steps for job in step.jobs]
    loaded = await store.load_live()
    assert [job.id for job in loaded.jobs] == jobs[:-1]
    assert loaded.last_revision == len(jobs) - 1

    _mount(disk, "-o", f"remount,size={4 * _SIZE}")
    await store.commit(steps[-1])
    await store.close()
    again = await Store.open(f"sqlite:///{disk}/broker.db")
    assert [job.id for job in (await again.load_live()).jobs] == jobs
    await again.close()


async def full_at_the_start(disk: Path) -> None:
    # The less is left, the earlier it fails: the file, its log, the index of the log.
    for leave in (0, 4096, 8192, 16384, 40960):
        filler = _fill(disk, leave=leave)
        with pytest.raises(ResourceExhausted) as refusal:
            await Store.open(f"sqlite:///{disk}/broker.db")
        assert f"{disk}/broker.db" in refusal.value.message
        assert "space" in refusal.value.way_out
        filler.unlink()
    await (await Store.open(f"sqlite:///{disk}/broker.db")).close()


async def read_only(disk: Path) -> None:
    await (await Store.open(f"sqlite:///{disk}/broker.db")).close()
    _mount(disk, "-o", "remount,ro")
    for path in ("broker.db", "new/broker.db"):
        with pytest.raises(InvalidArgument, match="may not be written: Read-only") as refusal:
            await Store.open(f"sqlite:///{disk}/{path}")
        assert f"{disk}/{path}" in refusal.value.message


async def read_only_file(disk: Path) -> None:
    store = await Store.open(f"sqlite:///{disk}/broker.db")
    log = Log()
    await store.commit(log.submit(a_job(1)))
    await store.close()
    # A file that this process may not write, though it is root: the directory may be written.
    file = disk / "broker.db"
    _mount(file, "--bind", str(file))
    _mount(file, "-o", "remount,bind,ro")
    with pytest.raises(InvalidArgument, match="may not be written"):
        await Store.open(f"sqlite:///{file}")


SCENARIOS = {
    one.__name__: one for one in (full_while_running, full_at_the_start, read_only, read_only_file)
}

if __name__ == "__main__":
    where = Path(sys.argv[2])
    _mount(where, "-t", "tmpfs", "-o", f"size={_SIZE}", "resfed-test")
    asyncio.run(SCENARIOS[sys.argv[1]](where))
