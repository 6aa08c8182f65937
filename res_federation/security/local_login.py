"""Developer mode: a broker signs its own account in, through a directory that only it can read.

The directory is found by the broker's port, so that ``RESFED_BROKER=127.0.0.1:PORT resfed …``
works whatever home the broker has. Who can read the account's files is that account anyway.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from res_federation.errors import FederationError, InvalidArgument
from res_federation.model.identifiers import SiteId
from res_federation.model.principal import LOCAL, Principal, Role
from res_federation.security.files import private_directory, read_private, write_private

VARIABLE = "RESFED_RUNTIME_DIR"
_CA_FILE, _TOKEN_FILE = "ca.pem", "token"


@dataclass(frozen=True, slots=True)
class LocalLogin:
    """What a broker in developer mode left for its own account.

    Attributes:
        ca_pem: Its authority.
        token: Bearer token of the local account.

    """

    ca_pem: bytes
    token: str


def runtime_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return where logins lie: ``RESFED_RUNTIME_DIR``, else ``resfed-UID`` under ``/tmp``.

    Raises:
        InvalidArgument: If the variable is not an absolute path.

    """
    words = os.environ if environment is None else environment
    given = words.get(VARIABLE, "")
    if given:
        if not given.startswith("/"):
            raise InvalidArgument(f"'{given}' is not an absolute path", field=VARIABLE)
        return Path(given)
    # not TMPDIR: clients, agents and the broker of one account must meet in one place
    return Path("/tmp") / f"resfed-{os.geteuid()}"  # noqa: S108 - owner and mode are checked


class SignedIn:
    """The account that runs the broker, signed in by it for as long as it serves."""

    def __init__(self, ca_pem: bytes, sites: Iterable[SiteId]) -> None:
        """Draw a token; nothing is published yet.

        Args:
            ca_pem: The broker's authority.
            sites: Those that the account administers: all.

        """
        self.token = secrets.token_urlsafe(32)
        self.principal = Principal(
            issuer=LOCAL,
            subject=pwd.getpwuid(os.geteuid()).pw_name,
            roles=frozenset(Role),
            projects={LOCAL: Role.LEAD},
            sites=frozenset(sites),
        )
        self._login = LocalLogin(ca_pem, self.token)
        self._port: int | None = None

    def publish(self, address: str) -> None:
        """Leave the login for this account's clients of the broker at *address*.

        Raises:
            FailedPrecondition: If it cannot be written.
            PermissionDenied: If the place is not this account's alone.

        """
        self._port = int(address.rpartition(":")[2])
        publish(self._login, self._port)

    def withdraw(self) -> None:
        """Remove it again."""
        if self._port is not None:
            withdraw(self._login, self._port)


def publish(login: LocalLogin, port: int, environment: Mapping[str, str] | None = None) -> None:
    """Leave *login* for clients of the broker at *port*; an older one is replaced.

    Raises:
        FailedPrecondition: If it cannot be written.
        PermissionDenied: If the place is not this account's alone.

    """
    directory = _of_port(port, environment)
    private_directory(directory.parent, make=True)
    private_directory(directory, make=True)
    # the authority first: who reads between the two gets an old token and is turned away once
    write_private(directory / _CA_FILE, login.ca_pem)
    write_private(directory / _TOKEN_FILE, login.token.encode())


def withdraw(login: LocalLogin, port: int, environment: Mapping[str, str] | None = None) -> None:
    """Remove *login* again, unless another broker has put its own in its place."""
    directory = _of_port(port, environment)
    with contextlib.suppress(OSError, FederationError):
        if read_private(directory / _TOKEN_FILE).decode() == login.token:
            for name in (_TOKEN_FILE, _CA_FILE):
                (directory / name).unlink()
            directory.rmdir()


def found(address: str, environment: Mapping[str, str] | None = None) -> LocalLogin | None:
    """Return the login that a broker left that this machine knows as *address*, or None.

    Raises:
        PermissionDenied: If there is one, but others could have put it there.

    """
    host, _, port = address.rpartition(":")
    if host.strip("[]") not in ("127.0.0.1", "::1", "localhost"):
        return None
    directory = _of_port(int(port), environment)
    try:
        private_directory(directory.parent)
        private_directory(directory)
        return LocalLogin(
            read_private(directory / _CA_FILE), read_private(directory / _TOKEN_FILE).decode()
        )
    except FileNotFoundError:
        return None


def _of_port(port: int, environment: Mapping[str, str] | None) -> Path:
    return runtime_directory(environment) / f"loopback-{port}"
