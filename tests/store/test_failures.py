"""What goes wrong with a database is one line that names it, and costs nothing that was there."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from res_federation.errors import (
    FailedPrecondition,
    FederationError,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from res_federation.model.job_state import JobState
from res_federation.store.connect import database_url
from res_federation.store.failures import may_retry, place_of
from res_federation.store.store import Store
from tests.store.making import Log, a_job, an_id
from tests.store.postgres_server import PostgresServer

SECRET = "correct-horse"


async def _refusal(url: str) -> FederationError:
    with pytest.raises(FederationError) as refusal:
        await Store.open(url)
    assert "\n" not in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert refusal.value.field == "--db"
    return refusal.value


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.db",
        "mysql://somewhere/db",
        f"nonsense://ana:{SECRET}@somewhere/db",
        f"postgresql://ana:{SECRET}@somewhere:port/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite://somewhere/broker.db",
        "sqlite:///broker\0.db",
        "sqlite:///broker-\udcff.db",
        f"postgresql://ana:{SECRET}@here/db?port=x",
    ],
)
async def test_a_wrong_url_is_refused(url):
    refusal = await _refusal(url)
    assert isinstance(refusal, InvalidArgument)
    assert "sqlite:///PATH" in refusal.way_out


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ("mode=memory&uri=true", "'mode'"),  # would open a file of another name, without a lock
        ("isolation_level=DEFERRED", "'isolation_level'"),
        (f"two%0Alines={SECRET}", "'two"),
        ("timeout=soon", "timeout"),
        ("timeout=nan", "timeout"),
        ("timeout=-1", "timeout"),
        ("timeout=1&timeout=2", "timeout"),
    ],
)
async def test_an_option_that_sqlite_does_not_have_here_is_refused(tmp_path, options, culprit):
    refusal = await _refusal(f"sqlite:///{tmp_path}/broker.db?{options}")
    assert isinstance(refusal, InvalidArgument)
    assert culprit in refusal.message
    assert "timeout=" in refusal.way_out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rest", "culprit"),
    [
        ("localhost:1/db?connect_timeout=soon", "connect_timeout"),
        ("localhost:99999/db", "99999"),
        ("localhost:1/db?no_such_option=1", "no_such_option"),
    ],
)
async def test_a_server_s_url_that_makes_no_sense_is_the_callers_mistake(rest, culprit):
    refusal = await _refusal(f"postgresql://ana:{SECRET}@{rest}")
    assert isinstance(refusal, InvalidArgument)
    assert culprit in refusal.message
    assert "correct the URL" in refusal.way_out


async def test_a_place_that_cannot_be_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "ring").symlink_to("ring")
    ring = tmp_path / "ring"
    for place in (tmp_path / "file" / "broker.db", tmp_path, ring, ring / "broker.db"):
        refusal = await _refusal(f"sqlite:///{place}")
        assert isinstance(refusal, InvalidArgument)
        assert str(place) in refusal.message


async def test_another_kind_of_file_is_left_alone(tmp_path: Path):
    text = "#!/bin/sh\necho this is a script and no database\n" * 100
    (tmp_path / "script.sh").write_text(text)
    refusal = await _refusal(f"sqlite:///{tmp_path}/script.sh")
    assert isinstance(refusal, InvalidArgument)
    assert "not a database of this program" in refusal.message
    assert (tmp_path / "script.sh").read_text() == text


async def test_another_programs_tables_are_left_alone(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE jobs (salary)")
    refusal = await _refusal(f"sqlite:///{tmp_path}/other.db")
    assert isinstance(refusal, InvalidArgument)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("jobs",)]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second broker give up sooner; that it waits a while is for one that was killed."""
    monkeypatch.setattr("res_federation.store.writers._NOTICE_S", 0.2)


@pytest.mark.usefixtures("_impatient")
async def test_a_second_broker_is_kept_out_until_the_first_has_left(store: Store, url: str):
    await store.commit(Log().submit(a_job(1)))
    refusal = await _refusal(url)
    assert isinstance(refusal, FailedPrecondition)
    assert "another broker uses" in refusal.message
    await store.commit(Log(1).submit(a_job(2)))
    await store.close()
    await store.close()
    again = await Store.open(url)
    assert len((await again.load_live()).jobs) == 2
    await again.close()


async def test_another_name_of_the_file_is_the_same_database(tmp_path: Path):
    first = await Store.open(f"sqlite:///{tmp_path}/broker.db")
    (tmp_path / "alias.db").symlink_to("broker.db")
    assert isinstance(await _refusal(f"sqlite:///{tmp_path}/alias.db"), FailedPrecondition)
    await first.close()


async def test_a_full_disk_loses_nothing_and_the_step_fits_later(tmp_path: Path):
    store = await Store.open(f"sqlite:///{tmp_path}/broker.db")
    log = Log()
    first, big = a_job(1), a_job(2, script="#!/bin/sh\n" + "x" * 1_000_000)
    await store.commit(log.submit(first))
    await _limit(store, pages=100)
    first.state = JobState.PLACED
    step = log.change("placed", first)
    step.jobs[big.id], step.new = big, {big.id}
    with pytest.raises(ResourceExhausted, match=r"disk of .*broker\.db is full") as refusal:
        await store.commit(step)
    assert may_retry(refusal.value)
    assert "free some space" in str(refusal.value)
    assert [job.state for job in (await store.load_live()).jobs] == [JobState.QUEUED]
    assert await store.job(big.id) is None
    assert (await store.load_live()).last_revision == 1

    await _limit(store, pages=100_000)
    await store.commit(step)
    assert [job.state for job in (await store.load_live()).jobs] == ["PLACED", "QUEUED"]
    assert await store.script(big.id) == big.spec.script
    await store.close()


async def _limit(store: Store, pages: int) -> None:
    await store._writer.run(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").all())


async def test_a_locked_file_is_said_to_be_locked(tmp_path: Path):
    store = await Store.open(f"sqlite:///{tmp_path}/broker.db?timeout=0.05")
    with closing(sqlite3.connect(tmp_path / "broker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another program") as refusal:
            await store.commit(Log().submit(a_job(1)))
        assert may_retry(refusal.value)
        assert (await store.load_live()).jobs == []  # readers wait for nobody
        other.execute("ROLLBACK")
    await store.commit(Log().submit(a_job(1)))
    await store.close()


async def test_a_commit_that_is_given_up_still_ends_before_the_store_closes(store: Store, url: str):
    jobs = [a_job(number) for number in range(500)]
    writing = asyncio.create_task(store.commit(Log().submit(*jobs)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await store.close()
    again = await Store.open(url)
    loaded = await again.load_live()
    assert len(loaded.jobs) == loaded.last_revision  # all or nothing
    assert len(loaded.jobs) in (0, 500)
    await again.close()


async def test_a_server_that_is_not_there_does_not_answer(tmp_path: Path):
    refusal = await _refusal(f"postgresql://ana:{SECRET}@/db?host={tmp_path}")
    assert isinstance(refusal, Unavailable)
    assert str(tmp_path) in refusal.message
    assert may_retry(refusal)


def test_no_password_is_shown_wherever_it_stands():
    url = database_url(f"postgresql://ana:{SECRET}@here/db?sslpassword={SECRET}2")
    place = place_of(url)
    assert place.name == "postgresql://ana:***@here/db"
    with pytest.raises(FederationError) as refusal, place.told():
        raise OSError(errno.ECONNREFUSED, f"no way in with {SECRET} or {SECRET}2")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("number", "family"),
    [
        (errno.ENOSPC, ResourceExhausted),
        (errno.EROFS, InvalidArgument),
        (errno.EACCES, InvalidArgument),
    ],
)
def test_the_system_s_refusals_have_their_family(number, family):
    place = place_of(database_url("sqlite:///broker.db"))
    with pytest.raises(family), place.told():
        raise OSError(number, os.strerror(number))


@pytest.mark.postgres
async def test_postgresql_names_what_is_wrong(postgres: PostgresServer):
    missing = await _refusal(postgres.url("no_such_database"))
    assert isinstance(missing, InvalidArgument)
    assert "no_such_database" in missing.message
    stranger = await _refusal(postgres.url().replace("tester@", f"stranger:{SECRET}@"))
    assert isinstance(stranger, PermissionDenied)
    option = await _refusal(postgres.url(options="&no_such_option=1"))
    assert isinstance(option, InvalidArgument)
    latin = await _refusal(postgres.new_database("ENCODING 'LATIN1'"))
    assert isinstance(latin, FailedPrecondition)
    assert "LATIN1" in latin.message


@pytest.mark.postgres
async def test_postgresql_that_may_not_be_written_says_so(postgres: PostgresServer):
    url = postgres.new_database()
    name = database_url(url).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    refusal = await _refusal(url)
    assert isinstance(refusal, InvalidArgument)
    assert "may not be written" in refusal.message


@pytest.mark.postgres
async def test_postgresql_commits_are_durable_whatever_its_default_is(postgres: PostgresServer):
    url = postgres.new_database()
    name = database_url(url).database
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = await Store.open(url)
    shown = await store._writer.run(lambda c: c.exec_driver_sql("SHOW synchronous_commit").all())
    assert shown == [("on",)]
    await store.close()


def _end_sessions(postgres: PostgresServer, url: str) -> None:
    name = database_url(url).database
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


@pytest.mark.postgres
async def test_a_lost_session_writes_nothing_until_the_state_is_read_back(postgres: PostgresServer):
    url = postgres.new_database()
    store = await Store.open(url)
    log = Log()
    await store.commit(log.submit(a_job(1)))
    _end_sessions(postgres, url)
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            await store.commit(Log(1).submit(a_job(2)))
        assert may_retry(refusal.value)
    assert [job.id for job in (await store.load_live()).jobs] == [an_id(1)]
    await store.commit(Log(1).submit(a_job(2)))
    await store.close()


@pytest.mark.postgres
@pytest.mark.usefixtures("_impatient")
async def test_who_lost_the_session_stays_out_while_another_broker_is_in(postgres: PostgresServer):
    url = postgres.new_database()
    store = await Store.open(url)
    _end_sessions(postgres, url)
    other = await Store.open(url)
    with pytest.raises(Unavailable):
        await store.commit(Log().submit(a_job(1)))
    with pytest.raises(FailedPrecondition, match="another broker uses"):
        await store.load_live()
    with pytest.raises(Unavailable):
        await store.commit(Log().submit(a_job(1)))
    await other.close()
    assert (await store.load_live()).jobs == []
    await store.close()
