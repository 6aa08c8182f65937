"""What a database says, as one line that a person can act on. Passwords are never shown."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from res_federation.errors import (
    AlreadyExists,
    FailedPrecondition,
    FederationError,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)

FIELD = "--db"

# (family, what is said of the place, way out); "{}" stands for the database's own words.
_Line = tuple[type[FederationError], str, str]
_FULL: _Line = (
    ResourceExhausted,
    "the disk of {place} is full: nothing was written",
    "free some space and try again",
)
_NO_ROOM: _Line = (
    ResourceExhausted,
    "{place} cannot grow: {words}: nothing was written",
    "look at the space of its disk, at quotas and at ulimit -f",
)
_READ_ONLY: _Line = (
    InvalidArgument,
    "{place} may not be written: {words}",
    "give a writable place",
)
_NO_PLACE: _Line = (InvalidArgument, "{place} cannot be opened: {words}", "give another place")
_NOT_OURS: _Line = (
    InvalidArgument,
    "{place} is not a database of this program: {words}",
    "give another database",
)
_LOCKED: _Line = (
    Unavailable,
    "{place} is locked by another program: nothing was written",
    "end that program's transaction and try again",
)
_TWICE: _Line = (AlreadyExists, "{place} has it already: {words}", "")
_NOT_ALLOWED: _Line = (PermissionDenied, "{place} does not let this program in: {words}", "")
_NO_DATABASE: _Line = (InvalidArgument, "{place}: {words}", "create it, or give another URL")
_WRONG_URL: _Line = (InvalidArgument, "{place}: {words}", "correct the URL")
_UNFIT: _Line = (InvalidArgument, "{place} cannot hold a value: {words}", "")
_SILENT: _Line = (Unavailable, "the database {place} does not answer: {words}", "is it running?")

# Result codes of SQLite: extended ones first, then primary ones (the low byte).
_SQLITE: dict[int, _Line] = {
    1: _NOT_OURS,  # ERROR: a table that is not as we made it
    3: _READ_ONLY,  # PERM
    5: _LOCKED,  # BUSY
    6: _LOCKED,  # LOCKED
    8: _READ_ONLY,  # READONLY
    10: (Unavailable, "the disk of {place} fails: {words}", "look at the system's log"),  # IOERR
    11: _NOT_OURS,  # CORRUPT
    13: _FULL,  # FULL
    14: _NO_PLACE,  # CANTOPEN
    18: _UNFIT,  # TOOBIG
    19: _TWICE,  # CONSTRAINT
    26: _NOT_OURS,  # NOTADB
    778: _NO_ROOM,  # IOERR_WRITE: of all that fails in a write, only ENOSPC is called FULL
    4874: _NO_ROOM,  # IOERR_SHMSIZE: no space for the index of the write-ahead log
}
# SQLSTATEs of PostgreSQL: whole ones first, then classes.
_POSTGRES: dict[str, _Line] = {
    "53100": _FULL,
    "23505": _TWICE,
    "25006": _READ_ONLY,
    "42501": _NOT_ALLOWED,
    "3D000": _NO_DATABASE,
    "28": _NOT_ALLOWED,
    "22": _UNFIT,
    "54": _UNFIT,  # a row of an index that is too long
    "42": _NOT_OURS,  # a table that is not as we made it
    "40": _LOCKED,  # deadlock, serialization
    "55": _LOCKED,
}
# A connection that never came to be has no SQLSTATE: libpq has only words for it.
_WORDS: dict[str, _Line] = {
    "authentication failed": _NOT_ALLOWED,
    "no password supplied": _NOT_ALLOWED,
    "no pg_hba.conf entry": _NOT_ALLOWED,
    'role "': _NOT_ALLOWED,
    'database "': _NO_DATABASE,
    "invalid connection option": _WRONG_URL,
    "invalid uri query parameter": _WRONG_URL,
    "invalid port number": _WRONG_URL,
    "bad value for": _WRONG_URL,
}
_ERRNO: dict[int, _Line] = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EROFS: _READ_ONLY}


@dataclass(frozen=True, slots=True)
class Place:
    """A database as it may be named to people.

    Attributes:
        name: URL without password and without options.
        secrets: What must never be printed.

    """

    name: str
    secrets: tuple[str, ...] = ()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the database raises into a `FederationError`."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise self._told(error) from error
        except (OverflowError, UnicodeError) as error:  # of the driver, before the database
            raise self._line(_UNFIT, str(error)) from error

    def _told(self, error: Exception) -> FederationError:
        origin = getattr(error, "orig", None) or error
        lines = str(origin).strip().splitlines()
        words = lines[0] if lines else type(origin).__name__
        if isinstance(origin, OSError):
            return self._line(_ERRNO.get(origin.errno or 0, _NO_PLACE), origin.strerror or words)
        code = getattr(origin, "sqlite_errorcode", None)
        if code is not None:
            return self._line(_SQLITE.get(code) or _SQLITE.get(code & 0xFF, _SILENT), words)
        state = getattr(origin, "sqlstate", None) or ""
        line = _POSTGRES.get(state) or _POSTGRES.get(state[:2])
        if line is None:
            low = str(origin).lower()
            line = next((one for mark, one in _WORDS.items() if mark in low), _SILENT)
        return self._line(line, words)

    def _line(self, line: _Line, words: str) -> FederationError:
        for secret in self.secrets:
            words = words.replace(secret, "***")
        family, message, way_out = line
        return family(message.format(place=self.name, words=words), field=FIELD, way_out=way_out)

    def in_use(self) -> FailedPrecondition:
        """Return the refusal of a second broker."""
        return FailedPrecondition(
            f"another broker uses {self.name}",
            field=FIELD,
            way_out="stop it, or give another database",
        )


def place_of(url: URL) -> Place:
    """Return what may be said of *url*."""
    options = [str(value) for key, value in url.query.items() if "pass" in key.lower()]
    secrets = tuple(word for word in (url.password or "", *options) if word)
    shown = url.set(drivername=url.get_backend_name(), query={})
    return Place(shown.render_as_string(hide_password=True), secrets)


def may_retry(error: FederationError) -> bool:
    """Tell whether the same step may be written later, once what *error* tells of is over.

    After ``Unavailable`` a step may be on disk all the same (the line broke while it was being
    committed): look with `Store.load_live` before writing it again.
    """
    return isinstance(error, Unavailable | ResourceExhausted)
