"""The embedded batch system runs each payload as the account that its user is mapped to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.agent.accounts import Bounds, mapped_account
from res_federation.agent.batch import RunRequest
from res_federation.agent.identity import Identity
from res_federation.agent.local.records import read_begun, start_of
from res_federation.agent.payload import boot
from res_federation.agent.rundir import RunDirectory
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.site import Site
from tests.agent.conftest import Bench
from tests.agent.local_accounts import People
from tests.agent.patience import PATIENCE_S, comes


class Site2(Bench):
    """Such a bench for several accounts."""

    async def submit_as(self, who: str, spec: JobSpec) -> RunToken:
        self.count += 1
        token = RunToken(f"01J{self.count:023d}-1")
        run = RunDirectory.of(self.state / "runs", token)
        run.prepare(spec)
        run.write_lease(time.time() + 60.0)
        identity = Identity(mapped_account(who, Bounds()))
        request = RunRequest(token, self.cpu, spec, run.path, identity=identity)
        await self.batch.submit(request)
        return token

    async def over(self, token: RunToken) -> TaskOutcome:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = (await self.batch.find([token], since=0.0)).found[token]
                if found.tasks and found.tasks[0].state.final:
                    return found.tasks[0]
                await asyncio.sleep(0.05)

    def said(self, token: RunToken, *, error: bool = False) -> str:
        run = RunDirectory.of(self.state / "runs", token)
        return run.read_output(-1, error=error, offset=0, limit=10_000)[0].decode()

    async def until_begun(self, token: RunToken) -> None:
        up = self.state / "runs" / token / "work" / "up"
        await comes(up.exists, "the payload")


@pytest.fixture
async def several(site: Site, people: People) -> AsyncIterator[Site2]:
    assert people.one
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    root.chmod(0o711)  # noqa: ASYNC240
    (root / "state").mkdir()
    made = Site2(replace(site, identity=str(root / "accounts.toml")), root / "state")
    yield made
    await made.batch.close()
    shutil.rmtree(root)


async def test_each_runs_as_themselves(several: Site2, people: People) -> None:
    first = await several.submit_as(
        people.one, Bench.spec("id -un; id -Gn; echo $USER $LOGNAME; echo x > made")
    )
    assert (await several.over(first)).state is JobState.COMPLETED
    name, groups, words = several.said(first).splitlines()
    assert (name, words) == (people.one, f"{people.one} {people.one}")
    assert set(groups.split()) == {people.one, people.group}
    run = several.state / "runs" / first
    spy = await several.submit_as(
        people.two, Bench.spec(f"cat {run}/out.batch; ls {run} {run.parent} {several.state}")
    )
    await several.over(spy)
    assert several.said(spy) == ""
    assert several.said(spy, error=True).count("Permission denied") == 4
    assert (run / "work" / "made").owner() == people.one


async def test_a_job_of_another_account_is_cancelled_and_found_again(
    several: Site2, people: People
) -> None:
    token = await several.submit_as(people.one, Bench.spec("touch up; sleep 300"))
    await several.until_begun(token)
    await several.restart()
    mark = read_begun(several.state / "runs" / token, -1)
    assert mark is not None
    assert mark.alive
    await several.batch.cancel(token, None)
    assert (await several.over(token)).state is JobState.CANCELLED


async def test_a_forged_mark_ends_no_process_of_others(several: Site2, people: People) -> None:
    """The mark says which process to end: the run's own account could write any number there."""
    victim = subprocess.Popen(["/bin/sleep", "60"])  # noqa: ASYNC220
    try:
        words = f"{victim.pid} {start_of(victim.pid)} {boot()} {time.time():.3f}"
        body = f"touch up; rm ../begun.batch; echo {words} > ../begun.batch; kill -9 $PPID"
        token = await several.submit_as(people.one, Bench.spec(body))
        await several.until_begun(token)
        await several.restart()
        await several.batch.cancel(token, None)
        assert (await several.over(token)).state.final
        await asyncio.sleep(0.2)
        assert victim.poll() is None
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()


async def test_output_names_and_logs_lead_nowhere(several: Site2, people: People) -> None:
    target = several.state.parent / "target"
    target.write_text("")
    target.chmod(0o600)
    body = (
        f"ln -sf {target} ../wrapper.log; ln -sfn {target.parent} deep; echo $SLURM_ARRAY_TASK_ID"
    )
    spec = replace(Bench.spec(body), array=(1, 2, 3), array_throttle=1, output="deep/er/out-%a.txt")
    token = await several.submit_as(people.one, spec)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = (await several.batch.find([token], since=0.0)).found[token]
            if len([task for task in found.tasks if task.state.final]) == 3:
                break
            await asyncio.sleep(0.1)
    assert {task.state for task in found.tasks} == {JobState.COMPLETED}
    assert target.read_text() == ""
    assert target.stat().st_uid == os.geteuid()
    assert sorted(each.name for each in several.state.parent.iterdir()) == ["state", "target"]
