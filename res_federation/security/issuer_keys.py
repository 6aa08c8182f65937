"""The public keys of an issuer: fetched, kept, and fetched again when it has new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from res_federation.errors import FederationError, Unauthenticated, Unavailable
from res_federation.model.issuers import Issuer
from res_federation.security import fetching

log = structlog.get_logger(__name__)

PublicKey = RSAKey | ECKey | OKPKey

_REFRESH_S = 600.0
"""Keys older than this are asked for again, in the background."""
_APART_S = 10.0
"""Between two attempts lie at least so many seconds, however many unknown keys are named."""
_STALE_S = 86_400.0
"""So long keys go on being used while their issuer does not answer."""
_FEWEST_RSA_BITS = 2048
_MOST_KEYS = 64
_TYPES = ("RSA", "EC", "OKP")


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(
        self, issuer: Issuer, now: Callable[[], float], *, apart_s: float = _APART_S
    ) -> None:
        """Fetch nothing yet.

        Args:
            issuer: Whose.
            now: Tells UTC seconds.
            apart_s: Least seconds between two attempts to fetch.

        """
        self._issuer = issuer
        self._now = now
        self._apart_s = apart_s
        self._keys: dict[str, PublicKey] = {}
        self._fetched = -1.0
        self._tried = -1.0
        self._fetching: asyncio.Task[None] | None = None
        self.fetches = 0
        """How often the issuer was asked."""

    async def key(self, kid: str) -> PublicKey:
        """Return the key called *kid*; "" means the only one.

        Raises:
            Unauthenticated: If the issuer has no such key.
            Unavailable: If its keys are not known, or were not heard of for a day.

        """
        age = self._now() - self._fetched
        found = self._find(kid)
        if found is not None and age <= _STALE_S and self._fetched >= 0:
            if age > _REFRESH_S:
                self._fetch()
            return found
        if (task := self._fetch()) is not None:
            # whoever waits for it may go away: others wait too
            await asyncio.shield(task)
        if self._fetched < 0 or self._now() - self._fetched > _STALE_S:
            raise Unavailable(
                f"the keys of issuer '{self._issuer.name}' are not to be had",
                way_out="try again when it answers",
            )
        found = self._find(kid)
        if found is None:
            raise Unauthenticated(
                f"the token is signed with a key that issuer '{self._issuer.name}' does not have",
                way_out="resfed login",
            )
        return found

    def _find(self, kid: str) -> PublicKey | None:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch that is under way; begin one if the last is long enough ago."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._tried >= 0 and self._now() - self._tried < self._apart_s:
            return None
        self._tried = self._now()
        self._fetching = asyncio.create_task(self._ask())
        return self._fetching

    async def _ask(self) -> None:
        self.fetches += 1
        try:
            keys = await asyncio.to_thread(fetched, self._issuer)
        except FederationError as error:
            log.warning("issuer_away", issuer=self._issuer.name, error=str(error))
            return
        if self._keys.keys() != keys.keys():
            log.info("issuer_keys", issuer=self._issuer.name, keys=len(keys))
        self._keys, self._fetched = keys, self._now()


def fetched(issuer: Issuer) -> dict[str, PublicKey]:
    """Return the keys that *issuer* signs with now, by their names. Blocks.

    Raises:
        FederationError: If they are not to be had.

    """
    local = issuer.allow_http_loopback
    where = fetching.discovered(issuer.url, allow_http_loopback=local).get("jwks_uri")
    if not isinstance(where, str):
        raise Unavailable(f"issuer '{issuer.name}' names no place of its keys")
    status, found = fetching.document(where, allow_http_loopback=local)
    listed = found.get("keys")
    if status != 200 or not isinstance(listed, list):
        raise Unavailable(f"{where} has no keys")
    keys = {}
    for one in listed[:_MOST_KEYS]:
        key = _public(one)
        if key is not None:
            keys[str(one.get("kid") or "")] = key
    if not keys:  # what it had is of more use
        raise Unavailable(f"{where} has no key that can be used")
    return keys


def _public(one: Any) -> PublicKey | None:
    """Return a key that verifies; a secret one, or one for other things, is left out."""
    if not isinstance(one, dict) or one.get("kty") not in _TYPES:
        return None
    if one.get("use", "sig") != "sig" or "d" in one:
        return None
    try:
        key = import_key(one)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _FEWEST_RSA_BITS:
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None
