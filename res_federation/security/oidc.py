"""Verifies access tokens of people, offline: signature, issuer, audience, times, subject."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from res_federation.errors import Unauthenticated
from res_federation.model.issuers import ASYMMETRIC, Issuer
from res_federation.security.issuer_keys import IssuerKeys, PublicKey

MOST_CHARACTERS = 16_384
_MOST_SUBJECT = 255
_FAR_S = 400 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that holds.

    Attributes:
        issuer: Whose it is.
        claims: What it says.
        expires: UTC seconds, leeway and all, after which it does not hold any more.

    """

    issuer: Issuer
    claims: Mapping[str, Any]
    expires: float


class TokenVerifier:
    """Verifies the tokens of several issuers."""

    def __init__(
        self, issuers: Sequence[Issuer], now: Callable[[], float], *, apart_s: float | None = None
    ) -> None:
        """Take the word of *issuers*; *now* tells UTC seconds."""
        self._now = now
        self._more = {} if apart_s is None else {"apart_s": apart_s}
        self._issuers: dict[str, Issuer] = {}
        self.keys: dict[str, IssuerKeys] = {}
        self.follow(issuers)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """Those whose word is taken."""
        return tuple(self._issuers.values())

    def follow(self, issuers: Sequence[Issuer]) -> None:
        """Take the word of these from now on; keys of those that are as they were are kept."""
        known, keys = self._issuers, self.keys
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self.keys = {
            url: keys[url] if known.get(url) == one else IssuerKeys(one, self._now, **self._more)
            for url, one in self._issuers.items()
        }

    async def verify(self, token: str) -> Verified:
        """Return what *token* says.

        Raises:
            Unauthenticated: If it does not hold; the message says why, never what was in it.
            Unavailable: If its issuer's keys are not to be had.

        """
        header, claims = _peek(token)
        # Unsigned so far: the claimed issuer only says whose keys to try, and an unknown one none.
        issuer = self._issuers.get(claims.get("iss", "")) if _text(claims.get("iss")) else None
        if issuer is None:
            raise _no("is of an issuer that this federation does not know")
        algorithm = header.get("alg")
        if algorithm not in issuer.algorithms or algorithm not in ASYMMETRIC:
            raise _no("is signed in a way that is not taken")
        if "crit" in header or str(header.get("typ", "")).lower() not in issuer.token_types:
            raise _no("is not an access token")
        kid = header.get("kid", "")
        if not isinstance(kid, str):
            raise _no("is malformed")
        key = await self.keys[issuer.url].key(kid)
        claims = _signed(token, key, str(algorithm))
        return Verified(issuer, claims, _check(claims, issuer, self._now()))


def _no(what: str) -> Unauthenticated:
    return Unauthenticated(f"the token {what}", way_out="resfed login")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims as they are written, without any trust in them."""
    parts = token.split(".")
    if len(token) > MOST_CHARACTERS or len(parts) != 3 or not token.isascii():
        raise _no("is malformed")
    return _json(parts[0]), _json(parts[1])


def _json(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _no("is malformed")
    return found


def _signed(token: str, key: PublicKey, algorithm: str) -> dict[str, Any]:
    """Return the claims once the signature has been verified."""
    try:
        # other fields of the header (x5t and the like) are ignored, as RFC 7515 has it
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        found = jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise _no("has a signature that does not hold") from None
    claims = json.loads(found.payload)
    if not isinstance(claims, dict):
        raise _no("is malformed")
    return claims


def _check(claims: Mapping[str, Any], issuer: Issuer, now: float) -> float:
    """Check every claim; return until when the token holds."""
    if claims.get("iss") != issuer.url:
        raise _no("is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if issuer.audience not in audiences:
        raise _no("is meant for somebody else (claim aud)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MOST_SUBJECT:
        raise _no("names no subject")
    if not subject.isprintable() or subject != subject.strip():
        raise _no("names a subject with characters that do not print")
    expires = _time(claims, "exp")
    issued = _time(claims, "iat")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if now >= expires + issuer.leeway_s:
        raise _no("has expired")
    if max(issued, begins) > now + issuer.leeway_s:
        raise _no("is not valid yet")
    return expires + issuer.leeway_s


def _time(claims: Mapping[str, Any], claim: str) -> float:
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _no(f"has no claim {claim} that is a time")
    # NaN and infinities are numbers to Python's reader of JSON: they are not between these
    if not 0 <= value < _FAR_S:
        raise _no(f"has a claim {claim} far from any time")
    return float(value)
