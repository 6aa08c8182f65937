"""A live broker with two projects: grants pay, are short, grow; reports of sites come in."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.accounting.compare import used_by_run
from res_federation.accounting.records import Grant, Membership, Pool, PoolKind, Project
from res_federation.broker import main as broker_main
from res_federation.broker.clock import SystemClock
from res_federation.client import FederationClient
from res_federation.client.scripts import job_from_script
from res_federation.control.events import Usage
from res_federation.errors import FailedPrecondition, InvalidArgument, NotFound
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.principal import Role
from res_federation.model.reason import Code, Reason
from res_federation.model.sentences import moment
from res_federation.simulator.production import repeat
from res_federation.store.recording import RECORDINGS, export
from tests.agent.patience import PATIENCE_S
from tests.broker.conftest import Running, Told

HOUR = 3600
NOW = time.time()
GRANT = Grant("fusion-csuc", "fusion", "res", "csuc", NOW - HOUR, NOW + 1000 * HOUR, HOUR, 0)


def a_spec(project: str, minutes: int = 5) -> JobSpec:
    text = f"#!/bin/bash\n#SBATCH -t {minutes} -c 2\nsleep 0.2\n"
    return replace(job_from_script(text, name="secret-name"), project=project)


async def two_projects(client: FederationClient) -> None:
    books = client.accounting
    await books.save_pool(Pool("res", PoolKind.RES))
    await books.save_project(Project("fusion", "Secret title", home="iac"))
    await books.save_project(Project("climate", home="csuc"))
    await books.save_grant(GRANT)


async def waits(client: FederationClient, job: str, word: str) -> Job:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await client.job(job)
            if word in found.reason:
                return found
            await asyncio.sleep(0.1)


async def ended(client: FederationClient, job: str) -> Job:
    async with asyncio.timeout(PATIENCE_S):
        return (await client.wait([job]))[0]


async def test_a_grant_pays_where_it_is_for_and_a_job_without_one_waits(running: Running) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        done = await ended(client, (await client.submit(a_spec("fusion"))).id)
        assert (done.state, done.site) == (JobState.COMPLETED, "csuc")
        (run,) = done.runs
        assert (run.grant, run.settled, run.used_core_s) == (GRANT.id, True, 2)
        assert run.reserved_core_s == 2 * 300
        view = await client.accounting.grant(GRANT.id)
        assert (view.used, view.reserved) == ((2, 0), (0, 0)), "two cores for less than a second"
        assert view.available == (HOUR - 2, 0)
        used = used_by_run([one async for one in client.accounting.entries(grant=GRANT.id)])
        assert used == {done.runs[0].token: (2, 0)}
        exchange = await client.accounting.exchange()
        assert (exchange["csuc"], exchange["iac"]) == (2000, -2000)

        poor = await client.submit(a_spec("climate"))
        long = await client.submit(a_spec("fusion", minutes=40))  # 2 cores: more than an hour
        told = await waits(client, poor.id, "grant")
        assert told.state is JobState.INFEASIBLE, "it has none anywhere"
        told = await waits(client, long.id, "grant")
        assert told.state is JobState.QUEUED
        await client.accounting.save_grant(replace(GRANT, core_s=10 * HOUR))
        assert (await ended(client, long.id)).state is JobState.COMPLETED
        closed = await client.accounting.close_grant(GRANT.id)
        assert closed.available == (0, 0)
        with pytest.raises(FailedPrecondition):
            await client.accounting.save_grant(GRANT)


async def test_who_names_no_project_in_developer_mode_notices_nothing(running: Running) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        done = await ended(client, (await client.submit(a_spec(""))).id)
        assert done.state is JobState.COMPLETED
        (local,) = [one for one in await client.accounting.grants() if one.grant.id == "local"]
        assert local.used[0] == 2
        assert local.available == (0, 0), "it has no bound"


async def test_what_names_what_is_not_there_is_refused_and_changes_nothing(
    running: Running,
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        books = client.accounting
        for wrong, error in (
            (replace(GRANT, id="x", project="nobody"), NotFound),
            (replace(GRANT, id="x", pool="none"), NotFound),
            (replace(GRANT, id="x", machine="atlantis"), NotFound),
            (replace(GRANT, machine="iac"), FailedPrecondition),
            (replace(GRANT, core_s=-7), InvalidArgument),
        ):
            with pytest.raises(error):
                await books.save_grant(wrong)
        member = Membership("fusion", "people", "eva", Role.LEAD)
        assert await books.set_member(member) == member
        assert await books.members("fusion") == [member]
        await books.set_member(replace(member, role=None))
        assert await books.members("fusion") == []
        with pytest.raises(NotFound):
            await books.set_member(replace(member, project="nobody"))
        assert len([one async for one in books.entries(grant=GRANT.id)]) == 1


async def test_use_outside_of_the_federation_is_charged_once_in_all_time(
    running: Running,
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        usage = [Usage(GRANT.id, f"csuc:{number}:7", 100, 3) for number in range(3)]
        books = client.accounting
        assert await books.import_usage(usage[:2], dry_run=True) == (2, [])
        assert await books.import_usage(usage[:2]) == (2, [])
        assert await books.import_usage(usage) == (1, ["csuc:0:7", "csuc:1:7"])
        view = await books.grant(GRANT.id)
        assert view.used == (300, 9)
        assert view.available == (HOUR - 300, -9), "what was used is used, granted or not"


class MovedClock(SystemClock):
    """The machine's clock, ahead by what a test says."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    """Let the broker that starts after this go by a clock that the test moves."""
    found = MovedClock()
    monkeypatch.setattr(broker_main, "SystemClock", lambda: found)
    return found


async def test_a_job_waits_for_a_grant_that_begins_and_goes_when_it_does(
    clock: MovedClock, running: Running, tmp_path: Path
) -> None:
    begins = float(int(clock.now()) + HOUR)
    later = replace(GRANT, id="later", begins=begins, ends=begins + 2 * HOUR)
    past = replace(GRANT, id="past", begins=NOW - 2 * HOUR, ends=NOW - HOUR, project="climate")
    async with FederationClient(running.address) as client:
        await two_projects(client)
        await client.accounting.close_grant(GRANT.id)
        await client.accounting.save_grant(later)
        await client.accounting.save_grant(past)
        refused = await ended(client, (await client.submit(a_spec("climate"))).id)
        assert refused.state is JobState.INFEASIBLE
        assert f"past, for csuc, ended {moment(past.ends)}" in refused.reason

        waiting = await client.submit(a_spec("fusion"))
        told = await waits(client, waiting.id, "grant")
        assert told.state is JobState.QUEUED
        assert told.reason == f"waits: grant later begins {moment(begins)}"
        why = await client.explain(waiting.id)
        candidates = {one.partition.split("/")[0]: one for one in why.candidates}
        here = candidates["csuc"]
        assert (here.feasible, here.grant) == (False, "later")
        assert here.reasons == (Reason(Code.GRANT_NOT_BEGUN, have=int(begins)),)
        assert candidates["iac"].reasons[0].code is Code.NO_GRANT
        assert why.counterfactual is not None
        assert f"from {moment(begins)}, when grant later begins" in why.counterfactual.sentence

        clock.ahead_s = HOUR + 1.0  # nobody asks: the broker notices that it has begun
        done = await ended(client, waiting.id)
        assert (done.state, done.site, done.runs[0].grant) == (JobState.COMPLETED, "csuc", "later")

        await client.accounting.save_grant(replace(later, core_s=360))
        poor = await client.submit(a_spec("fusion"))
        told = await waits(client, poor.id, "grant")
        assert told.state is JobState.QUEUED
        assert "grant later has 0.1 core-hours left" in told.reason
        assert "needs more hours or a shorter limit" in told.reason
        clock.ahead_s = 3 * HOUR + 2.0  # it ends before the job could start
        told = await ended(client, poor.id)
        assert told.state is JobState.INFEASIBLE
        assert f"later, for csuc, ended {moment(later.ends)}" in told.reason
        await asyncio.sleep(1.1)  # flushed
    file = tmp_path / "all.resfed"
    with file.open("wb") as out:
        export(running.home / RECORDINGS, out, anonymous=False)
    assert not repeat(file).different


HEADS = "JobIDRaw|JobID|User|Account|Partition|State|ExitCode|Reason|Submit|Start|End|NodeList|AllocTRES|JobName|Comment"  # noqa: E501
LINE = "{n}|{n}|u|{account}|std|COMPLETED|0:0|None|2026-11-21T10:00:00|2026-11-21T10:00:00|2026-11-21T10:00:{s:02}|n1|cpu={cpus},mem=1G,node=1,gres/gpu=1|{name}|"  # noqa: E501


async def test_a_report_of_sacct_is_compared_and_the_rest_of_it_imported(
    running: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESFED_BROKER", running.address)
    async with FederationClient(running.address) as client:
        await two_projects(client)
        done = await ended(client, (await client.submit(a_spec("fusion"))).id)
    token = done.runs[0].token
    report = tmp_path / "sacct.txt"
    lines = [
        LINE.format(n=1, account="f", s=1, cpus=2, name=token),
        LINE.format(n=2, account="f", s=30, cpus=4, name="by-hand"),
        LINE.format(n=3, account="other", s=30, cpus=4, name="of-others"),
    ]
    report.write_text("\n".join((HEADS, *lines)) + "\n")

    async def told(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "res_federation.cli.main", *words],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, text = await told("ledger", "compare", str(report), "--site", "csuc", "--json")
    (differs,) = json.loads(text)["differ"]
    assert (code, differs) == (1, {"run": token, "ledger": [2, 0], "site": [2, 1]})
    report.write_text(report.read_text().replace(",gres/gpu=1", ""))
    assert (await told("ledger", "compare", str(report), "--site", "csuc"))[0] == 0
    words = ("ledger", "import", str(report), "--site", "csuc", "--grant", GRANT.id,
             "--account", "f", "--json")  # fmt: skip
    assert json.loads((await told(*words))[1]) == {"charged": 1, "known": 0, "dry_run": False}
    assert json.loads((await told(*words))[1]) == {"charged": 0, "known": 1, "dry_run": False}
    shown = json.loads((await told("grant", "show", GRANT.id, "--json"))[1])
    assert shown["used"] == {"core_s": 2 + 120, "accelerator_s": 0}

    grants = tmp_path / "grants.csv"
    grants.write_text((await told("grant", "export"))[1])
    assert (await told("grant", "import", str(grants)))[0] == 0
    again = json.loads((await told("grant", "show", GRANT.id, "--json"))[1])
    assert again == shown, "what was exported is there already"
    ledger = (await told("ledger", "export"))[1]
    assert ledger.startswith("number,time,kind")
    assert f",settled,{GRANT.id},fusion,{token}," in ledger


PERIOD = """grant,project,pool,kind,machine,begins,ends,core_hours,home,title
a,fusion,res,res,csuc,2026-11-01,2030-03-01,10,iac,Edge plasma
b,fusion,res,res,iac/cluster,2026-11-01,2030-03-01,20,iac,Edge plasma
c,climate,own,institution,,2026-11-01,2030-03-01,unlimited,csuc,
"""


async def test_a_file_of_grants_is_imported_whole_or_not_and_again_changes_nothing(
    running: Running, tmp_path: Path, told: Told
) -> None:
    file = tmp_path / "period.csv"
    file.write_text(
        PERIOD.replace("2030", "never", 1).replace("iac/cluster", "atlantis").replace(",own", ",")
    )
    code, _, said = await told("grant", "import", str(file))
    assert code == 2
    lines = [line.removeprefix(f"resfed: {file}:") for line in said.splitlines()]
    assert lines[0].startswith("2: ends: 'never-03-01' is not a time")
    assert lines[1] == "3: machine: no member is called 'atlantis'"
    assert lines[2].startswith("4: ")
    assert lines[3] == " 3 lines are wrong: nothing was imported"

    file.write_text(PERIOD)
    code, _, said = await told("grant", "import", str(file))
    assert (code, ":3: machine: there is no 'iac/cluster' (iac has iac/lapalma/" in said) == (
        2,
        True,
    )
    file.write_text(PERIOD.replace("/cluster", ""))
    code, said, _ = await told("grant", "import", str(file), "--dry-run", "--json")
    acts = {"dry_run": True, "grants": [
        {"grant": name, "project": project, "act": "new"}
        for name, project in (("a", "fusion"), ("b", "fusion"), ("c", "climate"))
    ]}  # fmt: skip
    assert (code, json.loads(said)) == (0, acts)
    async with FederationClient(running.address) as client:
        books = client.accounting
        assert [one.grant.id for one in await books.grants()] == ["local"], "only said"
        code, said, _ = await told("grant", "import", str(file))
        assert (code, said.splitlines()[-1]) == (0, "3 new")
        entries = [one async for one in books.entries()]
        assert [one.grant for one in entries if one.kind == "granted"] == ["a", "b", "c"]
        before = (await told("audit", "show", "--json", "--limit", "1000"))[1]
        code, said, _ = await told("grant", "import", str(file))
        assert (code, said.splitlines()[-1]) == (0, "3 as it is")
        assert [one async for one in books.entries()] == entries
        after = (await told("audit", "show", "--json", "--limit", "1000"))[1]
        for text in (before, after):  # who changes nothing has done nothing
            assert text.count('"accounting.grant-granted"') == 3
            assert text.count('"accounting.') == 3 + 2 + 2
        file.write_text(PERIOD.replace("/cluster", "").replace(",10,", ",11,"))
        assert "1 changed, 2 as it is" in (await told("grant", "import", str(file)))[1]
        file.write_text(PERIOD.replace("iac/cluster", "csuc"))
        code, _, said = await told("grant", "import", str(file))
        assert ":3: machine: grant 'b' has 'iac', which stays" in said


async def test_past_use_is_imported_from_csv_and_a_ledger_of_elsewhere_each_use_once(
    running: Running, tmp_path: Path, told: Told
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        done = await ended(client, (await client.submit(a_spec("fusion"))).id)
        books = client.accounting
        used = done.runs[0].used_core_s
        file = tmp_path / "used.csv"
        file.write_text(f"grant,once,core_hours\n{GRANT.id},old:1,0.5\nnone,old:2,1\n")
        code, _, said = await told("ledger", "import", str(file))
        assert (code, said.splitlines()[0]) == (
            2, f"resfed: {file}:3: grant: there is no grant 'none'"
        )  # fmt: skip
        file.write_text(f"grant,once,core_hours\n{GRANT.id},old:1,0.5\n{GRANT.id},old:2,0.1\n")
        for words, counts in (
            (("--dry-run",), (2, 0)), ((), (2, 0)), ((), (0, 2)), (("--dry-run",), (0, 2)),
        ):  # fmt: skip
            code, said, _ = await told("ledger", "import", str(file), "--json", *words)
            document = json.loads(said)
            assert (code, document["charged"], document["known"]) == (0, *counts)
        assert (await books.grant(GRANT.id)).used == (used + 1800 + 360, 0)

        ledger = tmp_path / "ledger.csv"
        ledger.write_text((await told("ledger", "export"))[1])
        said = (await told("ledger", "import", str(ledger)))[1]
        assert said.startswith("0 uses charged"), "this ledger has its own runs and imports"
        assert "3 were charged before" in said
        other = ledger.read_text().replace(done.runs[0].token, f"{'0' * 26}-1")
        ledger.write_text(other)
        for count in (1, 0):
            assert (await told("ledger", "import", str(ledger)))[1].startswith(f"{count} use")
        assert (await books.grant(GRANT.id)).used == (2 * used + 1800 + 360, 0)
        code, _, said = await told("ledger", "import", str(ledger), "--grant", GRANT.id)
        assert (code, "--grant" in said) == (2, True)


async def test_a_recording_with_grants_is_decided_again(running: Running, tmp_path: Path) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        first = [(await client.submit(a_spec("fusion"))).id for _ in range(8)]  # an hour pays six
        for one in first:
            assert (await ended(client, one)).state is JobState.COMPLETED
        await client.accounting.close_grant(GRANT.id)
        last = await client.submit(a_spec("fusion"))
        await waits(client, last.id, "grant")
        await client.cancel(last.id)
        await asyncio.sleep(1.1)  # flushed
    for anonymous in (False, True):
        file = tmp_path / f"{anonymous}.resfed"
        with file.open("wb") as out:
            assert not export(running.home / RECORDINGS, out, anonymous=anonymous).cut
        found = repeat(file)
        assert found.rounds > 2
        assert not found.different
    nobody = gzip.decompress((tmp_path / "True.resfed").read_bytes())
    for word in (b"fusion", b"Secret title", b"secret-name"):
        assert word not in nobody
        assert word in gzip.decompress((tmp_path / "False.resfed").read_bytes())
