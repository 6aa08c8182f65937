"""What each of the broker's ports shows of itself, and what it asks of who calls."""

from __future__ import annotations

import grpc

from res_federation.config.security import SecuritySettings
from res_federation.errors import InvalidArgument
from res_federation.security.authority import Authority


class Doors:
    """Server credentials, made anew at each start of the broker."""

    def __init__(
        self, authority: Authority, settings: SecuritySettings, hosts: tuple[str, ...], now: float
    ) -> None:
        """Use the settings' files for users, and *authority* for everything else.

        Args:
            authority: Signs the server's certificate, and has signed the sites'.
            settings: May name a certificate of somebody else for the users' port.
            hosts: Names under which the broker is dialled.
            now: UTC seconds.

        """
        self._authority, self._settings = authority, settings
        self._own = authority.server((*hosts, *settings.hosts), now)

    def users(self) -> grpc.ServerCredentials:
        """Return those of the users' port: TLS, and no certificate is asked for.

        Raises:
            InvalidArgument: If the settings' files cannot be read.

        """
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        pair = (self._own.key_pem, self._own.certificate_pem)
        if certificate is not None and key is not None:
            try:
                pair = (key.read_bytes(), certificate.read_bytes())
            except OSError as error:
                raise InvalidArgument(
                    f"cannot read '{error.filename}': {error.strerror}", field="tls"
                ) from None
        return grpc.ssl_server_credentials([pair])

    def agents(self) -> grpc.ServerCredentials:
        """Return those of the agents' port: a certificate of the authority is required."""
        return grpc.ssl_server_credentials(
            [(self._own.key_pem, self._own.certificate_pem)],
            root_certificates=self._authority.ca_pem,
            require_client_auth=True,
        )
