"""From nothing to the newest tables, whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from res_federation.errors import FailedPrecondition
from res_federation.store.connect import database_url
from res_federation.store.failures import place_of
from res_federation.store.migrate import configuration, upgrade
from res_federation.store.store import Store
from res_federation.store.tables import metadata
from res_federation.store.writers import PostgresWriter, SqliteWriter, Writer
from tests.store.making import Log, a_job, an_id


def _writer(url: str) -> Writer:
    where = database_url(url)
    kind = SqliteWriter if where.get_backend_name() == "sqlite" else PostgresWriter
    return kind(where, place_of(where))


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _difference(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_newest_tables_are_those_of_the_code(store: Store):
    assert await store._writer.run(_difference) == []


async def test_there_is_one_newest_version(store: Store):
    def heads(connection: Connection) -> tuple[list[str], str | None]:
        scripts = ScriptDirectory.from_config(configuration(connection))
        return scripts.get_heads(), MigrationContext.configure(connection).get_current_revision()

    known, present = await store._writer.run(heads)
    assert known == [present]


async def test_opening_again_changes_nothing(store: Store, url: str):
    await store.commit(Log().submit(a_job(1)))
    await store.close()
    again = await Store.open(url)
    assert [job.id for job in (await again.load_live()).jobs] == [an_id(1)]
    await again.close()


async def test_a_migration_that_is_cut_off_leaves_nothing(url: str):
    def cut_off(connection: Connection) -> None:
        upgrade(connection)
        assert "jobs" in _tables(connection)
        raise InterruptedError

    writer = _writer(url)
    await writer.hold()
    with pytest.raises(Exception, match="Interrupted"):
        await writer.run(cut_off)
    assert await writer.run(_tables) == set()
    await writer.close()
    await (await Store.open(url)).close()


async def test_a_newer_database_is_left_alone(store: Store, url: str):
    def age(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await store._writer.run(age)
    await store.close()
    with pytest.raises(FailedPrecondition, match="9999") as refusal:
        await Store.open(url)
    assert "newer version" in refusal.value.way_out
