"""A full disk, a disk that is read only, a limit: real ones, in a process of their own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from res_federation.errors import ResourceExhausted
from res_federation.store.store import Store
from tests.store.making import Log, a_job
from tests.store.on_a_small_disk import SCENARIOS

ROOT = Path(__file__).parents[2]
_OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="session")
def own_mounts(requires) -> list[str]:
    """Give the words that run a command where it may mount what nobody else sees."""
    requires("unshare", "util-linux")
    requires("mount", "mount")
    ours = _OWN_MOUNTS[:1] + _OWN_MOUNTS[3:] if os.getuid() == 0 else _OWN_MOUNTS
    tried = subprocess.run(
        [*ours, "mount", "-t", "tmpfs", "resfed-test", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode != 0:
        # A container may well forbid it; `test_a_limit_…` and `test_failures` say the same then.
        pytest.skip(f"this machine does not let a test mount: {tried.stderr.decode().strip()}")
    return ours


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_small_disk(own_mounts, tmp_path: Path, scenario):
    done = subprocess.run(
        [*own_mounts, sys.executable, "-m", "tests.store.on_a_small_disk", scenario, tmp_path],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []  # all of it was on the small disk


async def test_a_limit_on_the_size_of_files_loses_nothing(tmp_path: Path):
    """Show that ``ulimit -f``, and a quota, are not called a broken disk."""
    store = await Store.open(f"sqlite:///{tmp_path}/broker.db")
    log = Log()
    await store.commit(log.submit(a_job(1)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    step = log.submit(a_job(2, script="#!/bin/sh\n" + "x" * 2_000_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(ResourceExhausted, match=r"broker\.db cannot grow") as refusal:
            await store.commit(step)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit -f" in refusal.value.way_out
    assert len((await store.load_live()).jobs) == 1
    await store.commit(step)
    assert len((await store.load_live()).jobs) == 2
    await store.close()
