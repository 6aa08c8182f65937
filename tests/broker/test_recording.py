"""What a broker was told is on disk, and `handle` and `place` decide the same from it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from res_federation.client import FederationClient
from res_federation.client.scripts import job_from_script
from res_federation.errors import InvalidArgument
from res_federation.model.job_state import JobState
from res_federation.placement.policy import Policy
from res_federation.simulator.production import repeat
from res_federation.simulator.traces.read import read_trace
from res_federation.store.recording import RECORDINGS, SUFFIX, export
from tests.broker.conftest import Running

DIRECTIVES = (
    "-t 5", "-t 50 --gres=gpu:1", "-t 9 -c 8 --mem=4G", "-t 7 -a 1-3", "-t 3 --gres=gpu:any-40gb:2",
    "-t 60 -N 2", "-t 4 --gres=gpu:no-such-model:1",
)  # fmt: skip


async def a_live_run(running: Running, jobs: int) -> Path:
    async with FederationClient(running.address) as client:
        ids = []
        for number in range(jobs):
            script = f"#!/bin/bash\n#SBATCH {DIRECTIVES[number % len(DIRECTIVES)]}\nsleep 0.2\n"
            job = await client.submit(job_from_script(script, name="secret-name"))
            ids.append(job.id)
            if number == jobs // 2:
                await running.disconnect("iac")
        running.connect("iac")
        await client.cancel(ids[-1])
        for one in ids:
            async with asyncio.timeout(60):
                assert (await client.wait([one]))[0].state.final
        await asyncio.sleep(1.1)  # flushed
    return running.home / RECORDINGS


def exported(directory: Path, file: Path, *, anonymous: bool = False) -> Path:
    with file.open("wb") as out:
        assert not export(directory, out, anonymous=anonymous).cut
    return file


async def test_a_live_run_is_decided_again_byte_for_byte(running: Running, tmp_path: Path) -> None:
    directory = await a_live_run(running, 70)
    file = exported(directory, tmp_path / "run.resfed")
    argv = [sys.executable, "-m", "res_federation.cli.main", "replay", str(file)]
    for seed in ("1", "2"):  # the order of sets of words is another one in each process
        done = await asyncio.to_thread(
            subprocess.run,
            [*argv, "--out", str(tmp_path / seed), "--json"],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["same"]
        assert told["jobs"] == 70
        assert told["decisions"] >= 69, "the one that was cancelled may never have been considered"
    first = (tmp_path / "1" / "decisions.csv").read_bytes()
    assert first == (tmp_path / "2" / "decisions.csv").read_bytes()
    assert first.count(b"\n") == told["decisions"] + 1

    other = repeat(file, Policy(seed=7, idle_accelerator_s=0.0))
    assert other.different, "another policy decides otherwise, so the comparison can fail"

    work = read_trace(file)
    assert len(work) >= 60
    assert work.dropped["never started"] >= 10, "no member has that model"

    nobody = exported(directory, tmp_path / "nobody.resfed", anonymous=True)
    assert not repeat(nobody).different
    assert b"secret-name" not in gzip.decompress(nobody.read_bytes())
    assert b"secret-name" in gzip.decompress(file.read_bytes())
    for content in (file.read_bytes(), nobody.read_bytes()):
        assert b"sleep 0.2" not in gzip.decompress(content), "scripts stay at home"

    whole = gzip.decompress(file.read_bytes())
    for cut in (0, 10, 30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.resfed").write_bytes(gzip.compress(whole[:cut]))
        with pytest.raises(InvalidArgument):
            repeat(tmp_path / "cut.resfed")


async def test_a_recording_that_cannot_be_written_harms_nobody(running: Running) -> None:
    directory = running.home / RECORDINGS
    (file,) = directory.glob(f"*{SUFFIX}")
    assert file.stat().st_mode & 0o077 == 0 or directory.stat().st_mode & 0o077 == 0
    async with FederationClient(running.address) as client:
        job = await client.submit(job_from_script("#!/bin/bash\n#SBATCH -t 5\ntrue\n", name="j"))
        assert (await client.wait([job.id]))[0].state is JobState.COMPLETED
