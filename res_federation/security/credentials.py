"""What a client shows to the broker at an address, and how it knows that broker.

Looked for in this order: ``RESFED_TOKEN`` and ``RESFED_CA``, what `resfed login` saved, what a
broker in developer mode left for its own account. There is no way without TLS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from res_federation.errors import InvalidArgument
from res_federation.security import local_login, saved_login

TOKEN_VARIABLE, CA_VARIABLE = "RESFED_TOKEN", "RESFED_CA"
DEVELOPER_MODE = "developer mode"
"""Source of a login that a broker left for its own account."""
HEADER = "authorization"

TokenSupplier = Callable[[], str]
"""Called for each call; returns the bearer token of now, or "" for none."""
Options = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is found for an address.

    Attributes:
        ca_pem: Authorities that may have signed the broker, or None for those of the system.
        token: Supplies the bearer token.
        source: Where they are from: ``environment``, ``login``, ``developer mode``, or "" for
            nowhere.

    """

    ca_pem: bytes | None
    token: TokenSupplier
    source: str

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what goes with a call that is made now."""
        token = self.token()
        return ((HEADER, f"Bearer {token}"),) if token else ()

    def channel(self, address: str, options: Options) -> Any:
        """Return a TLS channel whose calls carry the token."""
        return _Signed(grpc.secure_channel(address, self._tls(), options=options), self)

    def aio_channel(self, address: str, options: Options) -> Any:
        """Return a TLS channel for asyncio whose calls carry the token."""
        return _Signed(grpc.aio.secure_channel(address, self._tls(), options=options), self)

    def _tls(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca_pem)


def find(address: str, environment: Mapping[str, str] | None = None) -> Credentials:
    """Return the credentials for the broker at *address* (``HOST:PORT``).

    Raises:
        InvalidArgument: If ``RESFED_CA`` names a file that cannot be read.
        PermissionDenied: If a login of developer mode is there that others could have made.

    """
    words = os.environ if environment is None else environment
    token, ca_file = words.get(TOKEN_VARIABLE, "").strip(), words.get(CA_VARIABLE, "")
    saved = None if token else saved_login.find(address, words)
    if saved is not None:
        signed_by = _read(ca_file) if ca_file else (saved.ca_pem.encode() or None)
        return Credentials(signed_by, lambda: saved_login.token(address, words), "login")
    local = None if token and ca_file else local_login.found(address, words)
    ca_pem = _read(ca_file) if ca_file else (local.ca_pem if local else None)
    if token:
        return Credentials(ca_pem, lambda: token, "environment")
    if local is not None:
        return Credentials(ca_pem, _local(address, words, local.token), DEVELOPER_MODE)
    return Credentials(ca_pem, lambda: "", "environment" if ca_file else "")


def _local(address: str, words: Mapping[str, str], first: str) -> TokenSupplier:
    """Return a supplier that reads the token anew: a broker that was restarted has another."""

    def token() -> str:
        login = local_login.found(address, words)
        return first if login is None else login.token

    return token


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgument(
            f"cannot read '{path}': {error.strerror}", field=CA_VARIABLE
        ) from None


class _Signed:
    """A channel whose calls carry a token.

    gRPC's own call credentials start a thread for each call; here a call costs no more than
    before.  Only TLS channels are ever wrapped.
    """

    def __init__(self, channel: Any, credentials: Credentials) -> None:
        self._channel, self._credentials = channel, credentials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, *words: Any, **more: Any) -> Any:
        return self._carrying(self._channel.unary_unary(*words, **more))

    def unary_stream(self, *words: Any, **more: Any) -> Any:
        return self._carrying(self._channel.unary_stream(*words, **more))

    def stream_unary(self, *words: Any, **more: Any) -> Any:
        return self._carrying(self._channel.stream_unary(*words, **more))

    def stream_stream(self, *words: Any, **more: Any) -> Any:
        return self._carrying(self._channel.stream_stream(*words, **more))

    def _carrying(self, call: Any) -> Callable[..., Any]:
        def carry(*words: Any, metadata: Any = (), **more: Any) -> Any:
            signed = (*(metadata or ()), *self._credentials.metadata())
            return call(*words, metadata=signed, **more)

        return carry

    def __enter__(self) -> Any:
        self._channel.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._channel.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        return await self._channel.__aexit__(*error)
