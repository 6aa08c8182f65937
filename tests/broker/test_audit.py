"""What the broker decides, does and denies is in the audit log, and an outsider verifies it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from res_federation.broker.auditing import Notes, told_of_job
from res_federation.broker.clock import SystemClock
from res_federation.broker.federation import Federation
from res_federation.broker.identity import MachineLogins
from res_federation.cli.main import execute
from res_federation.client import FederationClient
from res_federation.client.scripts import job_from_script
from res_federation.control.effects import JobChanged
from res_federation.control.events import Ticked
from res_federation.errors import InvalidArgument, NotFound, ResourceExhausted
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.audit_chain import Head, entry_of, line_of_head, line_of_record
from res_federation.model.issuers import Binding
from res_federation.model.principal import Role
from res_federation.security.authenticator import Authenticator
from res_federation.security.machine import MachineAccounts, new_account
from res_federation.store.audit_reader import AuditReader
from tests.agent.patience import PATIENCE_S
from tests.broker.conftest import Running
from tests.broker.test_loop import a_loop, a_submission
from tests.builders import a_job

SECRET = "the-word-that-only-the-script-has"


async def exported(client: FederationClient, file: Path) -> list[AuditEntry]:
    lines, entries = [], []
    async for item in client.audit.export():
        if isinstance(item, Head):
            lines.append(line_of_head(item))
        else:
            lines.append(line_of_record(item))
            entries.append(entry_of(item.entry))
    await asyncio.to_thread(file.write_bytes, b"\n".join(lines) + b"\n")
    return entries


async def test_decisions_and_acts_are_logged_and_verified_by_an_outsider(
    running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"#!/bin/bash\n#SBATCH -t 5 -M csuc\nexport X={SECRET}\nsleep 30\n"
    async with FederationClient(running.address) as client:
        job = await client.submit(job_from_script(script, name=SECRET))
        async for seen in client.watch([job.id]):
            if seen.run is not None:
                break
        await client.cancel(job.id)
        await client.wait([job.id])
        await client.drain("iac", "cooling")
        await client.resume("iac")
        log, key = tmp_path / "log.jsonl", tmp_path / "audit.pem"
        entries = await exported(client, log)
        key.write_text(await client.audit.key(), encoding="ascii")
        kept = tmp_path / "kept.jsonl"
        kept.write_bytes(line_of_head(await client.audit.head()) + b"\n")
        shown = [entry_of(one.entry) async for one in client.audit.entries(target=job.id)]

    acts = [(entry.act, entry.target) for entry in entries]
    assert acts[0] == ("broker.start", "")
    for act, target in (("submit", job.id), ("place", job.id), ("cancel", job.id),
                        ("site.drain", "iac"), ("site.resume", "iac")):  # fmt: skip
        assert acts.count((act, target)) == 1, act
    placed = next(entry for entry in entries if entry.act == "place")
    assert dict(placed.data)["partition"].startswith("csuc/")
    assert len(dict(placed.data)["decision"]) == 64
    assert dict(placed.data)["policy"] == "federated"
    drained = next(entry for entry in entries if entry.act == "site.drain")
    assert (drained.reason, drained.outcome) == ("cooling", "done")
    assert SECRET not in log.read_text()
    assert [entry.act for entry in shown] == ["cancel", "place", "submit"], "the newest first"

    words = ["audit", "verify", str(log), "--key", str(key), "--head", str(kept)]
    assert await asyncio.to_thread(execute, [*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["last"] == len(entries)
    log.write_bytes(log.read_bytes().replace(b"cooling", b"heating"))
    assert await asyncio.to_thread(execute, words) == 1
    number = entries.index(drained) + 1
    assert capsys.readouterr().err == f"resfed: entry {number} was changed: its hash does not fit\n"


def test_a_job_is_submitted_once_though_its_run_is_submitted_too() -> None:
    job = a_job(1)
    entry = told_of_job(JobChanged(job, 1, "submitted", 1.0, new=True), "federated")
    assert entry is not None
    assert (entry.act, entry.target) == ("submit", job.id)
    assert told_of_job(JobChanged(job, 2, "submitted", 2.0), "federated") is None


async def test_an_orderly_end_is_written_and_signed(running: Running) -> None:
    async with FederationClient(running.address) as client:
        await client.drain("iac", "night")
    await running.stop()
    reader = AuditReader.open(f"sqlite:///{running.home}/broker.db")
    last = (await reader.newest(0, 1))[0]
    head = await reader.head()
    await reader.close()
    assert entry_of(last.entry).act == "broker.stop"
    assert head is not None
    assert head.number == last.number


async def test_a_part_of_the_log_is_asked_for(running: Running) -> None:
    async with FederationClient(running.address) as client:
        await client.drain("iac", "one")
        since = (await client.site("iac")).id
        assert since == "iac"
        part = [item async for item in client.audit.export(first=2)]
        assert not isinstance(part[0], Head)
        assert part[0].number == 2
        assert isinstance(part[-1], Head)
        pages = [one.number async for one in client.audit.entries(act="site")]
        assert len(pages) == 5, "an act names all that begin with it and a dot"
        with pytest.raises(NotFound, match="no entry 999 yet"):
            _ = [item async for item in client.audit.export(first=999)]
        with pytest.raises(InvalidArgument, match="first"):
            _ = [item async for item in client.audit.export(first=-1)]


def a_denial(at: float, actor: str = "eve", target: str = "job-1") -> AuditEntry:
    return AuditEntry(at, actor, "GetJob", target, DENIED, "not yours")


def test_a_flood_of_denials_becomes_two_entries_a_caller_and_minute() -> None:
    notes = Notes()
    for number in range(100_000):
        notes.add(a_denial(60.0 + number / 10_000, target=f"job-{number}"))
    notes.add(a_denial(61.0, actor="mallory"))
    first = notes.take()
    assert [(one.actor, one.target) for one in first] == [("eve", "job-0"), ("mallory", "job-1")]
    notes.roll(119.0)
    assert notes.take() == [], "the minute is not over"
    notes.roll(120.0)
    (told,) = notes.take()
    assert (told.actor, told.target, told.data) == ("eve", "job-99999", (("more", "99999"),))
    notes.roll(1000.0)
    assert notes.take() == []


def test_a_flood_of_callers_is_counted_together() -> None:
    notes = Notes()
    for number in range(50_000):
        notes.add(a_denial(60.0, actor=f"peer:{number}"))
    notes.roll(120.0)
    told = notes.take()
    assert len(told) <= 1002
    assert dict(told[-1].data) == {"more": str(50_000 - 1001)}
    assert told[-1].actor == "others"


def test_what_is_done_is_never_rolled_up() -> None:
    notes = Notes()
    acts = [AuditEntry(60.0, "ana", "grant", f"g-{n}") for n in range(500)]
    for act in acts:
        notes.add(act)
    assert notes.take() == acts


async def test_a_note_is_on_disk_without_any_event(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        loop.note(AuditEntry(1.0, "ana", "login", "pipeline-1"))
        await loop.sign(2.0)
        told = [entry_of(one.entry) for one in await store.audit.records(0, 10)]
        assert [one.act for one in told] == ["login"]


async def test_what_could_not_be_written_is_written_once_there_is_room(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        store.fail(ResourceExhausted("the disk is full"), ResourceExhausted("still full"))
        loop.note(AuditEntry(1.0, "ana", "login", "pipeline-1"))
        loop.note(AuditEntry(2.0, "eve", "login", "pipeline-1", DENIED))
        async with asyncio.timeout(PATIENCE_S):
            while await store.audit.last() < 2:  # noqa: ASYNC110 - a database rings no bell
                await asyncio.sleep(0.05)
        told = [entry_of(one.entry) for one in await store.audit.records(0, 10)]
        assert [one.actor for one in told] == ["ana", "eve"]


async def test_a_log_that_is_behind_fails_no_event_and_forgets_no_state(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        before = loop.state
        store.fail(ResourceExhausted("the disk is full"))
        loop.note(AuditEntry(1.0, "eve", "login", "", DENIED))
        await loop.post(Ticked(2.0))
        assert loop.state is before
        store.fail(ResourceExhausted("the disk is full"))
        loop.note(AuditEntry(1.0, "ana", "login", ""))
        with pytest.raises(ResourceExhausted):
            await loop.sign(3.0)
        await loop.sign(4.0)
        assert [entry_of(one.entry).actor for one in await store.audit.records(0, 9)] == [
            "eve",
            "ana",
        ]


async def test_a_submission_and_its_entry_are_one_transaction(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        events = [a_submission() for _ in range(300)]
        await asyncio.gather(*(loop.post(event) for event in events))
        records = await store.audit.records(0, 1000)
        told = Counter(entry_of(one.entry).target for one in records)
        assert told == Counter(str(event.job) for event in events)


async def test_a_machine_account_is_noted_once_an_hour(tmp_path: Path) -> None:
    account, token = new_account(
        label="ci", project="p", scopes=["read"], owner="ana@people", now=900.0, lifetime_s=86_400.0
    )
    async with a_loop(tmp_path) as (loop, store, _):
        parts = Federation(store=store, clock=SystemClock())
        parts.loop = loop
        known = Authenticator(
            machines=MachineAccounts([account]), machine_came=MachineLogins(parts),
            bindings=[Binding(Role.USER, "people", subject="ana", project="p")],
        )  # fmt: skip
        for at in (1000.0, 1001.0, 4599.0, 4600.0, 4601.0):
            await known.login([("authorization", f"Bearer {token}")], at)
        await loop.sign(5000.0)
        told = [entry_of(one.entry) for one in await store.audit.records(0, 10)]
    assert [(one.at, one.act, one.target) for one in told] == [
        (1000.0, "machine_token.login", account.id), (4600.0, "machine_token.login", account.id),
    ]  # fmt: skip
    assert all(token not in str(one) for one in told)
