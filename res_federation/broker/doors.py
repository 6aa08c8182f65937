"""What each of the broker's ports shows of itself, and what it asks of who calls."""

from __future__ import annotations

from math import inf
from pathlib import Path

import grpc
import structlog

from res_federation.broker.watched_files import WatchedFiles
from res_federation.config.security import SecuritySettings
from res_federation.errors import InvalidArgument
from res_federation.security.authority import (
    AUTHORITY_ENDS_SOON_S,
    Authority,
    Pair,
    checked_pair,
    times_of,
)

log = structlog.get_logger(__name__)

_RENEWED_AT = 2 / 3
"""Of its life: the broker's own certificate is made anew then, by the broker itself."""
_DAY_S = 86_400.0
_ENDS_SOON_S = 14 * _DAY_S
"""A certificate of somebody else that ends so soon is told of, once a day."""


class Door:
    """What one port shows: another pair can be put in its place while it listens.

    gRPC asks `fresh` before each handshake, from threads of its own: that only hands over what
    was made ready before. A configuration of gRPC is used up by the first handshake that takes it.
    """

    def __init__(self, roots: bytes | None) -> None:
        """Ask callers for a certificate of *roots*, if there are any."""
        self._roots = roots
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._credentials: grpc.ServerCredentials | None = None

    def credentials(self, pair: Pair) -> grpc.ServerCredentials:
        """Return what gRPC listens with; it calls back for as long as it listens."""
        self._credentials = grpc.dynamic_ssl_server_credentials(
            self._made(pair),
            self.fresh,  # type: ignore[arg-type]  # the stub has not gRPC's None
            require_client_authentication=self._roots is not None,
        )
        return self._credentials

    def show(self, pair: Pair) -> None:
        """Show another pair, from the next handshake on."""
        self._fresh = self._made(pair)

    def fresh(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is to be shown from now on, None for what is shown already."""
        ready, self._fresh = self._fresh, None
        return ready

    def _made(self, pair: Pair) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(pair.key_pem, pair.certificate_pem)], root_certificates=self._roots
        )


class Doors:
    """Both ports: what they show is renewed while they listen."""

    def __init__(
        self, authority: Authority, settings: SecuritySettings, hosts: tuple[str, ...], now: float
    ) -> None:
        """Use the settings' files for users, and *authority* for everything else.

        Args:
            authority: Signs the server's certificate, and has signed the sites'.
            settings: May name a certificate of somebody else for the users' port.
            hosts: Names under which the broker is dialled.
            now: UTC seconds.

        Raises:
            InvalidArgument: If the settings' files cannot be read, or do not fit together.

        """
        self._authority, self._settings, self._hosts = authority, settings, hosts
        self._users, self._agents = Door(None), Door(authority.ca_pem)
        self._due, self._warned, self._again = inf, 0.0, False
        self._files = WatchedFiles(*_files(settings))
        self._theirs = _read(settings)
        self._own = self._signed(now)

    def users(self) -> grpc.ServerCredentials:
        """Return those of the users' port: TLS, and no certificate is asked for."""
        return self._users.credentials(self._theirs or self._own)

    def agents(self) -> grpc.ServerCredentials:
        """Return those of the agents' port: a certificate of the authority is required."""
        return self._agents.credentials(self._own)

    def follow(self, settings: SecuritySettings) -> None:
        """Go by other settings; the next `look` shows what they say."""
        was, self._settings = self._settings, settings
        if _files(was) != _files(settings):
            self._files, self._again = WatchedFiles(*_files(settings)), True
        if was.hosts != settings.hosts:
            self._due = 0.0

    def look(self, now: float) -> float:
        """Renew the own certificate where it is time, and read files that changed.

        Returns until when (UTC seconds) what the users' port shows from now on is good; 0.0 where
        it shows what it did.

        Raises:
            InvalidArgument: If the files do not fit together: what was shown before stays.

        """
        before = self._theirs or self._own
        if now >= self._due:
            self._own = self._signed(now)
            self._agents.show(self._own)
        if self._again or self._files.changed():
            self._again = False
            found = _read(self._settings)
            if not self._files.read_while_changing():
                self._theirs = found
        shown = self._theirs or self._own
        self._warn(shown, now)
        if shown == before:
            return 0.0
        self._users.show(shown)
        return times_of(shown.certificate_pem)[1]

    def _signed(self, now: float) -> Pair:
        try:
            pair = self._authority.server((*self._hosts, *self._settings.hosts), now)
        except ValueError as error:
            self._due = now + _DAY_S  # not at every look
            raise InvalidArgument(f"[tls] hosts: {error}", field="tls") from None
        ends = times_of(pair.certificate_pem)[1]
        # one that ends with the authority cannot be made to last longer
        last = ends >= self._authority.expires
        self._due = inf if last else now + (ends - now) * _RENEWED_AT
        return pair

    def _warn(self, shown: Pair, now: float) -> None:
        """Tell once a day of what ends soon and is not the broker's to renew."""
        if now - self._warned < _DAY_S:
            return
        self._warned = now
        ends = times_of(shown.certificate_pem)[1]
        if self._theirs is not None and ends - now < _ENDS_SOON_S:
            log.warning("certificate_ends", days=int((ends - now) // _DAY_S), door="users")
        left = self._authority.expires - now
        if left < AUTHORITY_ENDS_SOON_S:
            log.warning("authority_ends", days=int(left // _DAY_S))


def _files(settings: SecuritySettings) -> tuple[Path, ...]:
    found = (settings.tls_certificate, settings.tls_key)
    return tuple(file for file in found if file is not None)


def _read(settings: SecuritySettings) -> Pair | None:
    """Return what the settings' files hold, None where there are none."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return None
    try:
        return checked_pair(key.read_bytes(), certificate.read_bytes())
    except OSError as error:
        raise InvalidArgument(
            f"cannot read '{error.filename}': {error.strerror}", field="tls"
        ) from None
    except ValueError as error:
        raise InvalidArgument(f"'{certificate}' and '{key}': {error}", field="tls") from None
