"""Files and databases of the agent: written whole or not at all, failures said in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from res_federation.errors import FailedPrecondition, FederationError, ResourceExhausted

_IN_THE_WAY = frozenset(
    {errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT,
     errno.EBUSY}
)  # fmt: skip
"""What a run's own account can bring about in its directory; no other run is the worse for it."""


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
    if getattr(error, "errno", None) in _IN_THE_WAY:
        return FailedPrecondition(
            f"cannot write '{path}': {why}",
            way_out="something was put in the way there, or taken away: the run is on its own",
        )
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


def closed(directory: Path) -> None:
    """Check that nobody but root and the agent can put anything in the place of *directory*.

    It and all above it belong to them, and others cannot write there (or, as in ``/tmp``, cannot
    touch what is not theirs).

    Raises:
        FailedPrecondition: Naming the directory that others can write.

    """
    for each in (directory.resolve(), *directory.resolve().parents):
        with saying(each):
            found = each.lstat()
        others = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid != 0 else 0)
        free = bool(found.st_mode & others) and not found.st_mode & stat.S_ISVTX
        if free or found.st_uid not in (0, os.geteuid()):
            raise FailedPrecondition(
                f"others than root can write '{each}', and runs of several accounts lie below it",
                field="--state",
                way_out="give it to root and take the rights of others away, or name another one",
            )


def open_plain(path: Path, *, agents: bool = False) -> int:
    """Open a file of a run for reading; raises OSError for what may be a trap.

    Runs' directories belong to the accounts that payloads run as, and the agent may be root. So it
    opens no link, pipe or device, and nothing that belongs to others than the directory's owner: a
    hard link may be another name of what the agent alone may read. With *agents* it opens what the
    agent wrote, and nothing else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ELOOP, "not a plain file", str(path))
        whose = os.geteuid() if agents else path.parent.lstat().st_uid
        if found.st_uid != whose or (agents and found.st_nlink != 1):
            raise OSError(errno.EACCES, "belongs to somebody else", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: Path, limit: int, *, agents: bool = False) -> bytes:
    """Return a run's small file, at most *limit* bytes; raises OSError as `open_plain` does.

    A larger one is an error too: nothing of the kind was written by us.
    """
    with os.fdopen(open_plain(path, agents=agents), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, "is too large", str(path))
    return data


def there(path: Path) -> bool:
    """Tell whether a name is there, whatever it is; no link is followed."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Write a small file so that a reader sees all of it or its forerunner.

    Not flushed to the disk: what must outlive the machine is in the journal. Whatever lies in the
    way (a link, a directory) is not followed and is moved aside.

    Args:
        path: Where; its directory may belong to the account that the run runs as.
        data: What.
        mode: Its permissions.
        owner: Account and group that it is given to, or None for the agent's own.

    """
    fresh = path.with_name(f".{path.name}.new")
    _clear(fresh)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)
    try:
        fresh.replace(path)
    except IsADirectoryError:
        _clear(path)
        fresh.replace(path)


def _clear(path: Path) -> None:
    """Take away what bears a name: left by a death, or laid there by the run's own account."""
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):  # a directory, which may be full
        path.rename(path.with_name(f".aside.{secrets.token_hex(8)}"))
