"""Who vouches for people, and which of their claims mean which role: as the broker's file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from res_federation.model.principal import Role

ASYMMETRIC = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""Signatures that are taken. Never ``none``, nor HS: what verifies must not be able to sign."""
TOKEN_TYPES = ("at+jwt", "application/at+jwt")
"""Header ``typ`` of an access token (RFC 9068): an identity token is none."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OpenID provider whose word is taken.

    Attributes:
        name: Short, as it stands in the names of users (``subject@name``).
        url: Its identifier: claim ``iss``, to the letter.
        audience: Claim ``aud`` must have this.
        client_id: Of `resfed login`, a public client.
        scopes: That `resfed login` asks for.
        leeway_s: Seconds by which its clock may differ from ours.
        algorithms: Of `ASYMMETRIC`.
        token_types: Of the header ``typ``.
        allow_http_loopback: Whether its address may be http on this very machine.

    """

    name: str
    url: str
    audience: str
    client_id: str
    scopes: tuple[str, ...] = ("openid", "offline_access")
    leeway_s: int = 30
    algorithms: tuple[str, ...] = ASYMMETRIC
    token_types: tuple[str, ...] = TOKEN_TYPES
    allow_http_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """That some people of an issuer have a role.

    Attributes:
        role: Which.
        issuer: Short name.
        subject: This one, or "" where a claim says it.
        claim: A claim, or a path in it (``realm_access.roles``), or "".
        value: The claim is this, or has it among others.
        project: Where the role is USER or LEAD.
        site: Where it is SITE_ADMINISTRATOR.

    """

    role: Role
    issuer: str
    subject: str = ""
    claim: str = ""
    value: str = ""
    project: str = ""
    site: str = ""

    def holds(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Tell whether somebody with these *claims* of *issuer* has the role."""
        if issuer != self.issuer:
            return False
        if self.subject:
            return bool(claims.get("sub") == self.subject)
        if not self.claim:
            return False
        found = _claim(claims, self.claim)
        return self.value in found if isinstance(found, list) else found == self.value


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
