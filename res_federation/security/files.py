"""Secrets on disk: whole or not at all, for their owner only, and never through somebody's link."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from res_federation.errors import FailedPrecondition, PermissionDenied

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
_MOST_BYTES = 1 << 20


def write_private(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Write a file of this account; a reader sees all of it or its forerunner, and so does a crash.

    Raises:
        FailedPrecondition: If it cannot be written.

    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()  # left by a death
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(fresh, flags, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        flush_directory(path.parent)
    except OSError as error:
        raise FailedPrecondition(
            f"cannot write '{path}': {error.strerror}", way_out="make its directory writable"
        ) from None


def flush_directory(path: Path) -> None:
    """Let names that were made or replaced in *path* outlive the machine; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """Return what a file of this account holds that no other account can read or write.

    Raises:
        FileNotFoundError: If there is none.
        PermissionDenied: If it is a link, no plain file, another account's, or open to others.

    """
    return _read(path, forbidden=0o077)


def read_own(path: Path) -> bytes:
    """Return what a file of this account holds; others may read it, but not write it.

    Raises:
        FileNotFoundError: If there is none.
        PermissionDenied: If it is a link, no plain file, another account's, or others can write it.

    """
    return _read(path, forbidden=0o022)


def _read(path: Path, *, forbidden: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unsafe(path, error.strerror or "it cannot be read") from None
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _unsafe(path, "it is not a plain file")
        if found.st_uid != os.geteuid():
            raise _unsafe(path, "it belongs to another account")
        if found.st_mode & forbidden:
            raise _unsafe(path, f"its mode is {stat.S_IMODE(found.st_mode):04o}")
        return stream.read(_MOST_BYTES)


def private_directory(path: Path, *, make: bool = False) -> None:
    """Check that *path* is a directory of this account alone, and no link; *make* it at need.

    Raises:
        FileNotFoundError: If there is none, and none was to be made.
        FailedPrecondition: If it cannot be made.
        PermissionDenied: If it is a link, another account's, or open to others.

    """
    if make:
        try:
            path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        except FileExistsError:
            raise _unsafe(path, "it is not a directory") from None
        except OSError as error:
            raise FailedPrecondition(f"cannot make '{path}': {error.strerror}") from None
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise _unsafe(path, "it is not a directory")
    if found.st_uid != os.geteuid():
        raise _unsafe(path, "it belongs to another account")
    if found.st_mode & 0o077:
        raise _unsafe(path, f"its mode is {stat.S_IMODE(found.st_mode):04o}, not 0700")


def _unsafe(path: Path, why: str) -> PermissionDenied:
    return PermissionDenied(
        f"'{path}' is not trusted: {why}",
        way_out="look who made it; RESFED_RUNTIME_DIR names another place for local logins",
    )
