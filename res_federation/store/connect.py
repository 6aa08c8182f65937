"""From what a person gave as URL to one that the drivers understand."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from res_federation.errors import InvalidArgument, MissingComponent
from res_federation.store.failures import FIELD

WAIT_S = 10
"""How long to wait for a lock of SQLite or for a server to take the call."""
_OLDEST_SQLITE = (3, 33)  # UPDATE … FROM


def database_url(text: str) -> URL:
    """Read *text*; the driver's name may be left out.

    Raises:
        InvalidArgument: If it is not the URL of a database that outlives the process.
        MissingComponent: If the SQLite of this Python is too old.

    """
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, SQLAlchemyError, ValueError):
        backend = ""
    if backend == "sqlite":
        return _file(url)
    if backend in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
        return url if "connect_timeout" in url.query else _with(url, "connect_timeout")
    raise InvalidArgument(
        "is not the URL of a database",
        field=FIELD,
        way_out="such as sqlite:///PATH or postgresql://USER@HOST/NAME",
    )


def _file(url: URL) -> URL:
    name = url.database or ""
    if url.host or not name or name.startswith((":", "file:")):
        raise InvalidArgument(
            "must be a file of this machine: a database in memory is not durable",
            field=FIELD,
            way_out="such as sqlite:///PATH, with a fourth slash where PATH begins with one",
        )
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise MissingComponent(
            f"SQLite {sqlite3.sqlite_version} of this Python is older than 3.33",
            field=FIELD,
            way_out="use a newer Python, or PostgreSQL",
        )
    # Two names of one file are one database: the lock stands beside the file itself.
    url = url.set(drivername="sqlite", database=str(Path(name).resolve()))
    return url if "timeout" in url.query else _with(url, "timeout")


def _with(url: URL, option: str) -> URL:
    return url.update_query_dict({option: str(WAIT_S)})
