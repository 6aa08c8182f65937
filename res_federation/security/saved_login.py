"""Logins that `resfed login` saved: one file a broker, readable by its owner only.

A token that is about to expire is renewed before it is used. Issuers give a new renewal token each
time and take the old one for stolen if it comes again: so one process at a time renews.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from res_federation.errors import FailedPrecondition, Unauthenticated, Unavailable
from res_federation.security import flows
from res_federation.security.files import private_directory, read_private, write_private

_EARLY_S = 20.0
"""A token is renewed so many seconds before its end: it travels, and clocks differ."""
_WORD = re.compile(r"[^A-Za-z0-9.\-]")


class SavedLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A person's login at a broker.

    Attributes:
        address: ``HOST:PORT`` of the broker.
        ca_pem: Authority that signs the broker, or "" for those of the system.
        where: The issuer.
        access: Goes with calls.
        refresh: Gets new ones, or "".
        expires: UTC seconds, by this machine's clock.

    """

    address: str
    ca_pem: str
    where: flows.LoginAt
    access: str
    refresh: str
    expires: float

    def __repr__(self) -> str:
        """Say nothing of the tokens: this may come into a log."""
        return f"SavedLogin({self.address})"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SavedLogin).decode


def directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return where logins lie: under ``XDG_CONFIG_HOME``, else ``~/.config``.

    Raises:
        FailedPrecondition: If there is no home directory.

    """
    words = os.environ if environment is None else environment
    base = words.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):  # the standard: a relative one is ignored
        if not words.get("HOME"):
            raise FailedPrecondition("logins need a home directory", way_out="set HOME")
        base = f"{words['HOME']}/.config"
    return Path(base) / "resfed" / "logins"


def made(address: str, ca_pem: str, where: flows.LoginAt, tokens: flows.Tokens) -> SavedLogin:
    """Return a login of now."""
    return SavedLogin(
        address=address, ca_pem=ca_pem, where=where, access=tokens.access,
        refresh=tokens.refresh, expires=time.time() + tokens.expires_in_s,
    )  # fmt: skip


def save(login: SavedLogin, environment: Mapping[str, str] | None = None) -> Path:
    """Write *login* down, in place of an older one; return its file.

    Raises:
        FailedPrecondition: If it cannot be written.
        PermissionDenied: If others can write where it belongs.

    """
    folder = directory(environment)
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_directory(folder, make=True)
    path = folder / _name(login.address)
    write_private(path, _encode(login))
    return path


def find(address: str, environment: Mapping[str, str] | None = None) -> SavedLogin | None:
    """Return the login for the broker at *address*, or None.

    Raises:
        PermissionDenied: If there is one that others can read or write.
        FailedPrecondition: If it is not what was saved.

    """
    words = os.environ if environment is None else environment
    if not (words.get("XDG_CONFIG_HOME") or words.get("HOME")):
        return None
    path = directory(words) / _name(address)
    try:
        found = _decode(read_private(path))
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, NotADirectoryError):
        raise FailedPrecondition(f"'{path}' is no login", way_out="resfed login") from None
    return found if found.address == address else None


def forget(address: str, environment: Mapping[str, str] | None = None) -> bool:
    """Remove the login for the broker at *address*; tell whether there was one."""
    try:
        (directory(environment) / _name(address)).unlink()
    except FileNotFoundError:
        return False
    return True


def token(address: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a token for the broker at *address* that still holds for a while.

    Raises:
        Unauthenticated: If the login is over.

    """
    login = find(address, environment)
    if login is not None and not _ends_soon(login):
        return login.access
    with _alone(address, environment):
        login = find(address, environment)  # another process may have renewed it
        if login is None:
            raise Unauthenticated(f"nobody is logged in at {address}", way_out="resfed login")
        if _ends_soon(login):
            login = _renewed(login, environment)
        return login.access


def _renewed(login: SavedLogin, environment: Mapping[str, str] | None) -> SavedLogin:
    try:
        if not login.refresh:
            raise Unauthenticated("it has no renewal")
        tokens = flows.renewed(login.where, login.refresh)
    except Unauthenticated:
        if login.expires > time.time():
            return login
        raise Unauthenticated(
            f"your login at {login.address} is over", way_out="resfed login"
        ) from None
    except Unavailable:
        if login.expires > time.time():
            return login  # it holds for a moment; the issuer may be back by then
        raise
    fresh = made(login.address, login.ca_pem, login.where, tokens)
    save(fresh, environment)
    return fresh


def _ends_soon(login: SavedLogin) -> bool:
    return login.expires - time.time() < _EARLY_S


def _name(address: str) -> str:
    return f"{_WORD.sub('_', address)}.json"


@contextlib.contextmanager
def _alone(address: str, environment: Mapping[str, str] | None) -> Iterator[None]:
    """Keep other processes of this account from renewing the same login meanwhile."""
    folder = directory(environment)
    try:
        descriptor = os.open(
            folder / f".{_name(address)}.lock",
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
        )  # fmt: skip
    except FileNotFoundError:
        raise Unauthenticated(f"nobody is logged in at {address}", way_out="resfed login") from None
    except OSError as error:
        raise FailedPrecondition(f"cannot lock the login: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
