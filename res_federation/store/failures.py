"""What a database says, as one line that a person can act on. Passwords are never shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from res_federation.errors import (
    FailedPrecondition,
    FederationError,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn what the database raises into a `FederationError`."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise _told(error, url) from error


def _told(error: Exception, url: URL) -> FederationError:
    place = url.render_as_string(hide_password=True)
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    low = text.lower()
    if "disk is full" in low or "no space left" in low or "disk i/o error" in low:
        return ResourceExhausted(
            f"the disk of {place} is full: nothing was written",
            field="--db",
            way_out="free some space and try again",
        )
    if "readonly" in low or "read-only" in low or "permission denied" in low:
        return InvalidArgument(
            f"{place} may not be written: {text}", field="--db", way_out="give a writable place"
        )
    if "not a database" in low or "malformed" in low:
        return InvalidArgument(
            f"{place} is not a database of this program: {text}",
            field="--db",
            way_out="give another file",
        )
    if "unable to open" in low or "no such file" in low or "not a directory" in low:
        return InvalidArgument(
            f"{place} cannot be opened: {text}", field="--db", way_out="give another place"
        )
    if "password authentication" in low or "does not exist" in low:
        return InvalidArgument(f"{place}: {text}", field="--db")
    if "locked" in low:
        return FailedPrecondition(f"{place} is in use by another program", field="--db")
    return Unavailable(
        f"the database {place} does not answer: {text}", field="--db", way_out="is it running?"
    )
