"""The audit log in the database: appended with its step, whole after every kill, never changed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from res_federation.errors import DataLoss, FailedPrecondition, FederationError
from res_federation.model.audit import AuditEntry
from res_federation.model.audit_chain import Head, entry_of
from res_federation.model.audit_verify import Verified, Verifier
from res_federation.security.audit_key import AuditKey, checking
from res_federation.store.audit_reader import AuditReader
from res_federation.store.step import Step
from res_federation.store.store import Store
from tests.store.making import Log, a_job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def key(tmp_path: Path) -> AuditKey:
    return AuditKey.at(tmp_path / "audit.key")


@pytest.fixture
async def signing(store: Store, key: AuditKey) -> Store:
    """A store with nine entries in three steps, of which two are signed."""
    store.sign = key.sign
    for turn in range(3):
        entries = [an_entry(3 * turn + n + 1) for n in range(3)]
        await store.commit(Step(audit=entries, sign_at=float(turn) if turn else None))
    return store


def an_entry(number: int) -> AuditEntry:
    return AuditEntry(100.0 * number, "ana", "submit", f"job-{number}")


async def verified(reader: AuditReader, key: AuditKey, *kept: Head) -> Verified:
    verifier = Verifier(checking(key.public_pem.encode(), name="key"), kept=kept)
    async for page in reader.lines(1, await reader.last()):
        for item in page:
            if isinstance(item, Head):
                verifier.head(item)
            else:
                verifier.record(item)
    return verifier.end(signed=False)


async def test_what_was_appended_is_whole_and_signed(signing: Store, key: AuditKey):
    found = await verified(signing.audit, key)
    assert (found.tail.number, found.heads, found.unsigned) == (9, 2, 0)
    told = [entry_of(record.entry) for record in await signing.audit.records(0, 100)]
    assert told == [an_entry(number) for number in range(1, 10)]


async def test_the_chain_goes_on_after_a_restart(signing: Store, url: str, key: AuditKey):
    await signing.close()
    again = await Store.open(url)
    again.sign = key.sign
    await again.commit(Step(audit=[an_entry(10)], sign_at=9.0))
    found = await verified(again.audit, key)
    await again.close()
    assert (found.tail.number, found.heads) == (10, 3)


async def test_a_head_is_signed_once_of_an_entry(signing: Store):
    await signing.commit(Step(sign_at=9.0))
    assert len(await signing.audit.heads(1, 100)) == 2


async def test_a_step_that_is_not_written_leaves_no_entry(signing: Store, key: AuditKey):
    missing = Log().change("running", a_job(1))
    missing.audit = [an_entry(10)]
    with pytest.raises(FailedPrecondition):
        await signing.commit(missing)
    assert await signing.audit.last() == 9
    await signing.commit(Step(audit=[an_entry(10)]))
    assert (await verified(signing.audit, key)).tail.number == 10


async def test_a_commit_whose_caller_went_away_breaks_no_chain(signing: Store, key: AuditKey):
    for number in range(10, 40):
        commit = asyncio.create_task(signing.commit(Step(audit=[an_entry(number)])))
        await asyncio.sleep(0.0001 * (number % 7))
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)
        await signing._writer.hold()
        await signing.commit(Step(audit=[an_entry(number)]))
    assert (await verified(signing.audit, key)).tail.number >= 9 + 30


async def test_commits_at_once_make_one_chain(signing: Store, key: AuditKey):
    steps = [Step(audit=[an_entry(number)]) for number in range(10, 60)]
    await asyncio.gather(*(signing.commit(step) for step in steps))
    assert (await verified(signing.audit, key)).tail.number == 59


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET entry = entry WHERE number = 2",
        "DELETE FROM audit WHERE number = 9",
        "DELETE FROM audit",
        "UPDATE audit_heads SET at = 0",
        "DELETE FROM audit_heads",
    ],
)
async def test_the_database_itself_refuses_changes(signing: Store, statement: str):
    with pytest.raises(FederationError):
        await signing._writer.run(lambda connection: connection.execute(text(statement)))
    assert await signing.audit.last() == 9
    assert len(await signing.audit.heads(1, 9)) == 2


def _drop_triggers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for table in ("audit", "audit_heads"):
            connection.execute(text(f"DROP TRIGGER {table}_append_only ON {table}"))
        return
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    for (name,) in names.all():
        connection.execute(text(f"DROP TRIGGER {name}"))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET entry = (SELECT entry FROM audit WHERE number = 3) WHERE number = 4",
         "entry 4 was changed"),
        ("UPDATE audit SET previous = hash WHERE number = 5", "entry 5 does not follow"),
        ("UPDATE audit SET hash = previous WHERE number = 5", "entry 5 was changed"),
        ("DELETE FROM audit WHERE number = 1", "entry 1 is missing"),
        ("DELETE FROM audit WHERE number = 6", "entry 6 is missing"),
        ("UPDATE audit SET number = 20 WHERE number = 7", "entry 7 is missing"),
        ('DELETE FROM audit_heads WHERE "index" = 1', "head 2 follows entry 9 where head 1"),
        ('UPDATE audit_heads SET at = 7 WHERE "index" = 2', "head 2 .* is not signed"),
        (
            'UPDATE audit_heads SET number = 8 WHERE "index" = 2',
            "head 2 was signed of another entry 8",
        ),
        (("INSERT INTO audit_heads SELECT 3, number, hash, at, signature FROM audit_heads"
         ' WHERE "index" = 2'), "head 3 .* is not signed"),
    ],
)  # fmt: skip
async def test_what_is_changed_without_the_triggers_is_found(
    signing: Store, key: AuditKey, statement: str, said: str
):
    await signing._writer.run(_drop_triggers)
    await signing._writer.run(lambda connection: connection.execute(text(statement)))
    with pytest.raises(DataLoss, match=said):
        await verified(signing.audit, key)


async def test_an_end_that_was_cut_off_with_its_head_is_found_by_who_kept_it(
    signing: Store, key: AuditKey
):
    def cut(connection: Connection) -> None:
        connection.execute(text("DELETE FROM audit WHERE number > 6"))
        connection.execute(text("DELETE FROM audit_heads WHERE number > 6"))

    kept = await signing.audit.head()
    assert kept is not None
    await signing._writer.run(_drop_triggers)
    await signing._writer.run(cut)
    assert (await verified(signing.audit, key)).tail.number == 6
    with pytest.raises(DataLoss, match="a head of entry 9 was kept"):
        await verified(signing.audit, key, kept)


async def test_two_processes_cannot_fork_it(signing: Store, url: str, key: AuditKey):
    with pytest.raises(FailedPrecondition, match="another broker uses"):
        await Store.open(url)

    def fork(connection: Connection) -> None:
        connection.execute(
            text("INSERT INTO audit SELECT number, previous, hash, entry FROM audit WHERE number=9")
        )

    with pytest.raises(FederationError, match="has it already"):
        await signing._writer.run(fork)
    assert (await verified(signing.audit, key)).tail.number == 9


async def test_entries_since_a_time_leave_none_out(signing: Store):
    # What was counted for a minute is told late.
    late = AuditEntry(855.0, "eve", "ListJobs", "", "denied")
    await signing.commit(Step(audit=[late, an_entry(10)]))
    assert await signing.audit.first_since(0.0) == 1
    assert await signing.audit.first_since(850.0) == 9
    assert await signing.audit.first_since(950.0) == 11
    assert await signing.audit.first_since(5000.0) == 12


async def test_it_is_read_without_a_broker(signing: Store, url: str, key: AuditKey):
    await signing.close()
    reader = AuditReader.open(url)
    assert (await verified(reader, key)).tail.number == 9
    await reader.close()


def _run_and_kill(url: str, key: Path, lines: int) -> int:
    argv = [sys.executable, "-m", "tests.store.audit_committer", url, str(key)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = 0
    with subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for read, line in enumerate(process.stdout):
            if read == lines:
                process.send_signal(signal.SIGKILL)  # and go on: what it still said counts
            if line.endswith("\n"):
                said = int(line)
    assert process.returncode == -signal.SIGKILL
    return said


async def test_a_kill_at_any_moment_leaves_a_whole_chain(url: str, tmp_path: Path):
    path = tmp_path / "audit.key"
    said = 0
    for lines in (1, 23, 60):
        said = await asyncio.to_thread(_run_and_kill, url, path, lines)
    reader = AuditReader.open(url)
    found = await verified(reader, AuditKey.at(path))
    await reader.close()
    assert found.tail.number >= said
    assert found.heads > 20
