"""From what a person gave as URL to one that the drivers understand."""

from __future__ import annotations

import math
import os
import sqlite3

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from res_federation.errors import InvalidArgument, MissingComponent
from res_federation.store.failures import FIELD

WAIT_S = 10
"""How long to wait for a lock of SQLite or for a server to take the call."""
_LONGEST_WAIT_S = 3600
_OLDEST_SQLITE = (3, 33)  # UPDATE … FROM


def database_url(text: str) -> URL:
    """Read *text*; the driver's name may be left out.

    Raises:
        InvalidArgument: If it is not the URL of a database that outlives the process.
        MissingComponent: If the SQLite of this Python is too old.

    """
    try:
        if "\0" in text:
            raise ValueError(text)
        text.encode()  # a name that is not UTF-8 cannot be shown to people, nor asked of a server
        url = make_url(text)
        backend = url.get_backend_name()
        if backend == "sqlite":
            return _file(url)
        if backend in ("postgresql", "postgres"):
            return _server(url.set(drivername="postgresql+psycopg"))
    except (SQLAlchemyError, ValueError):
        pass
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
    _check_options(url)
    # Two names of one file are one database: the lock stands beside the file itself.
    url = url.set(drivername="sqlite", database=os.path.realpath(name))
    return url if "timeout" in url.query else _with(url, "timeout")


def _check_options(url: URL) -> None:
    """Refuse what would open another file than the one that is locked, or in another way."""
    for option, value in url.query.items():
        if option != "timeout":
            raise InvalidArgument(
                f"{option!r} is not an option of SQLite here",
                field=FIELD,
                way_out="the only one is timeout=SECONDS",
            )
        if not (isinstance(value, str) and _is_a_time(value)):
            raise InvalidArgument(
                "timeout is not a number of seconds", field=FIELD, way_out="such as ?timeout=10"
            )


def _is_a_time(text: str) -> bool:
    try:
        seconds = float(text)
    except ValueError:
        return False
    return math.isfinite(seconds) and 0 <= seconds <= _LONGEST_WAIT_S


def _server(url: URL) -> URL:
    url.get_dialect()().create_connect_args(url)  # raises where hosts and ports are no pairs
    return url if "connect_timeout" in url.query else _with(url, "connect_timeout")


def _with(url: URL, option: str) -> URL:
    return url.update_query_dict({option: str(WAIT_S)})
