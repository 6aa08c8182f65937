"""From a URL to an engine that no other broker uses at the same time."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from res_federation.errors import FailedPrecondition, InvalidArgument
from res_federation.store.failures import told

_LOCK = 0x5265_7346_6564  # "ResFed": the key of PostgreSQL's advisory lock


class Hold:
    """Keeps other brokers out of a database until released."""

    def __init__(self, file: IO[str] | None = None, session: AsyncConnection | None = None) -> None:
        """Keep what holds: a locked file, or a session with an advisory lock."""
        self._file = file
        self._session = session

    async def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
        if self._session is not None:
            await self._session.invalidate()
            await self._session.close()
        self._file = self._session = None


async def open_engine(text_url: str) -> tuple[AsyncEngine, Hold]:
    """Return an engine and the hold on its database; raises FederationError."""
    url = _driver(text_url)
    if url.get_backend_name() == "sqlite":
        hold = _lock_file(url)
        engine = create_async_engine(url, connect_args={"timeout": 30})
        event.listen(engine.sync_engine, "connect", _pragmas)
        return engine, hold
    engine = create_async_engine(url, pool_pre_ping=True)
    with told(url):
        session = await engine.connect()
        taken = await session.execute(text(f"SELECT pg_try_advisory_lock({_LOCK})"))
        if not taken.scalar():
            await session.close()
            await engine.dispose()
            raise _in_use(url)
        await session.commit()
    return engine, Hold(session=session)


def _driver(text_url: str) -> URL:
    try:
        url = make_url(text_url)
        backend = url.get_backend_name()
    except (ArgumentError, SQLAlchemyError, ValueError):
        backend = ""
    if backend == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise InvalidArgument(
        "is not the URL of a database",
        field="--db",
        way_out="such as sqlite:///PATH or postgresql://USER@HOST/NAME",
    )


def _lock_file(url: URL) -> Hold:
    if not url.database or url.database == ":memory:":
        raise InvalidArgument(
            "a database in memory is not durable", field="--db", way_out="such as sqlite:///PATH"
        )
    path = Path(url.database)
    with told(url):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise _in_use(url) from None
    return Hold(file=file)


def _in_use(url: URL) -> FailedPrecondition:
    return FailedPrecondition(
        f"another broker uses {url.render_as_string(hide_password=True)}",
        field="--db",
        way_out="stop it, or give another database",
    )


def _pragmas(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    """Make SQLite durable at every commit, and let readers in while a step is written."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
