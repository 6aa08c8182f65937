"""From what a call carries to who makes it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from res_federation.errors import Unauthenticated
from res_federation.model.principal import Principal
from res_federation.security.credentials import HEADER

_SCHEME = "bearer "
_MOST_CHARACTERS = 16_384


class Authenticator:
    """Knows the tokens that this broker takes."""

    def __init__(self, local: Principal | None = None, local_token: str = "") -> None:
        """Take the local account's token in developer mode; without one nobody is known by it."""
        self._local = local if local_token else None
        self._local_token = local_token

    def principal(self, metadata: Iterable[tuple[str, str | bytes]], now: float) -> Principal:
        """Return who makes a call with *metadata* at *now* (UTC seconds).

        Raises:
            Unauthenticated: If there is no token, or none that this broker takes.

        """
        del now  # the local token has no end but the broker's
        token = bearer(metadata)
        if self._local is not None and hmac.compare_digest(
            token.encode(), self._local_token.encode()
        ):
            return self._local
        raise Unauthenticated("the token is not one that this broker takes")


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the one bearer token of a call.

    Raises:
        Unauthenticated: If there is none, more than one, or a malformed one.

    """
    given = [value for name, value in metadata if name.lower() == HEADER]
    if not given:
        raise Unauthenticated("nobody is logged in", way_out="resfed login, or set RESFED_TOKEN")
    value = given[0]
    if len(given) > 1 or not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
        raise Unauthenticated("the call carries no single bearer token")
    if not value.lower().startswith(_SCHEME):
        raise Unauthenticated("the call carries no bearer token")
    return value[len(_SCHEME) :].strip()
