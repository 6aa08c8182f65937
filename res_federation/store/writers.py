"""The one connection that writes, and what keeps other brokers out while it is there."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from res_federation.errors import FailedPrecondition, Unavailable
from res_federation.store.failures import FIELD, Place

_LOCK = 0x5265_7346_6564  # "ResFed": the key of PostgreSQL's advisory lock
_NOTICE_S = 2
_LOCK_NOT_AVAILABLE = "55P03"
_DURABLE = text(
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)

T = TypeVar("T")


class Writer(Protocol):
    """Writes transactions, one at a time, on a database that no other broker writes."""

    async def hold(self) -> None:
        """Make sure that no other broker writes; raises FederationError."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns, once its transaction is on disk."""

    async def close(self) -> None:
        """Let other brokers in."""


class SqliteWriter:
    """A thread with one connection: a transaction is one visit to it.

    Through aiosqlite every statement would be several visits. Worse, sqlite3 gives up the
    interpreter's lock at each row, and on a busy broker gets it back after milliseconds.
    """

    def __init__(self, url: URL, place: Place) -> None:
        """Keep where; `hold` opens it."""
        self._path = Path(url.database or "")
        self._place = place
        self._lock: IO[str] | None = None
        self._engine = _sqlite_engine(url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def hold(self) -> None:
        """Make the file's directory and lock the file beside it, for as long as this lives.

        Who holds it already waits for what is being written, though nobody waits for that any
        more: what is read afterwards stays true.
        """
        if self._lock is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
            return
        with self._place.told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.with_name(self._path.name + ".lock").open("a", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise self._place.in_use() from None
        self._lock = file
        # SQLite opens a file that it may not write, and says so at the first change only.
        if self._path.exists() and not os.access(self._path, os.W_OK):
            with self._place.told():
                raise OSError(errno.EROFS, "the file is read-only")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns, once its transaction is on disk."""
        loop = asyncio.get_running_loop()
        with self._place.told():
            return await loop.run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """Finish what is being written, then let other brokers in. Closing twice is no harm."""
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        # Else sqlite3 begins transactions by itself, and not before CREATE TABLE: a migration
        # that is cut off would leave half of its tables.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # durable at every commit
        cursor.execute("PRAGMA cache_size=-32768")  # KiB
        cursor.close()

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


class PostgresWriter:
    """One session, which holds an advisory lock: what writes is what keeps others out.

    When the session breaks, nothing is written until `hold` has the lock again: another broker
    may have been there, and what this one knows may be old.
    """

    def __init__(self, url: URL, place: Place) -> None:
        """Keep where; `hold` connects."""
        self._engine: AsyncEngine = create_async_engine(url, pool_size=1)
        self._place = place
        self._session: AsyncConnection | None = None
        self._turn = asyncio.Lock()  # a session has one transaction at a time

    async def hold(self) -> None:
        """Connect and lock, unless both are done."""
        async with self._turn:
            await self._hold()

    async def _hold(self) -> None:
        if self._session is not None and not await self._alive(self._session):
            await self._drop()
        if self._session is not None:
            return
        with self._place.told():
            session = await self._engine.connect()
            try:
                await self._lock(session)
            except BaseException:
                await _end(session)
                raise
        self._session = session

    async def _lock(self, session: AsyncConnection) -> None:
        encoding = (await session.execute(text("SHOW server_encoding"))).scalar()
        if encoding != "UTF8":
            raise self._foreign(encoding)
        await session.execute(_DURABLE)
        # A broker that was killed a moment ago has a session until the server notices.
        await session.execute(text(f"SET LOCAL lock_timeout = '{_NOTICE_S}s'"))
        try:
            await session.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
                raise self._place.in_use() from None
            raise
        await session.commit()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns, once its transaction is on disk."""
        async with self._turn:
            return await self._run(work)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        session = self._session
        if session is None or session.closed or session.invalidated:
            raise Unavailable(
                f"the session at {self._place.name} was lost", field=FIELD, way_out="try again"
            )
        with self._place.told():
            async with session.begin():
                return await session.run_sync(work)

    async def close(self) -> None:
        """Let other brokers in."""
        await self._drop()
        await self._engine.dispose()

    async def _alive(self, session: AsyncConnection) -> bool:
        if session.invalidated:  # it would connect anew by itself, without the lock
            return False
        try:
            with self._place.told():
                await session.execute(text("SELECT 1"))
                await session.rollback()
        except Unavailable:
            return False
        return not session.invalidated

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await _end(session)

    def _foreign(self, encoding: object) -> FailedPrecondition:
        return FailedPrecondition(
            f"{self._place.name} stores text as {encoding}",
            field=FIELD,
            way_out="create the database with ENCODING 'UTF8'",
        )


async def _end(session: AsyncConnection) -> None:
    """End a session, not back to the pool: with it the server ends its locks."""
    await session.invalidate()
    await session.close()
