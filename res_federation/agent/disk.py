"""Files and databases of the agent: written whole or not at all, failures said in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from res_federation.errors import FailedPrecondition, FederationError, ResourceExhausted


def _spoken(path: Path, error: OSError | sqlite3.Error) -> FederationError:
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in str(error)
    if full:
        return ResourceExhausted(
            f"the disk that holds '{path}' is full: nothing was started without its intent on disk",
            way_out="free some space; the agent goes on by itself",
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return FailedPrecondition(
            f"'{path}' is not a sound database: {error}",
            way_out="restore it, or give the agent a new --state directory",
        )
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ResourceExhausted(
        f"cannot write '{path}': {why}",
        way_out="make the agent's state directory writable for it",
    )


@contextlib.contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turn failures of the disk under *path* into one clear line.

    Raises:
        ResourceExhausted: If the disk is full or not writable.
        FailedPrecondition: If a database is damaged.

    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _spoken(path, error) from error


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open or make a database whose commits are on disk when they return.

    Raises:
        ResourceExhausted: If the disk is full or not writable.
        FailedPrecondition: If the file is not a sound database.

    """
    with saying(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)  # users' scripts are in it, and others may pass through the directory
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(schema)
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Commit everything inside at once, or nothing of it; errors as `saying` says them."""
    with saying(path):
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise


def open_plain(path: Path) -> int:
    """Open a file for reading; raises OSError for links, pipes and devices.

    Runs' directories belong to the accounts that payloads run as: what lies there may be a trap.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "not a plain file", str(path))
    return descriptor


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a small file so that a reader sees all of it or its forerunner.

    Not flushed to the disk: what must outlive the machine is in the journal.
    """
    fresh = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # left by a death, or laid there by the run's own account
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    fresh.replace(path)
