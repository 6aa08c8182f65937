"""From what a call carries to who makes it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from res_federation.errors import Unauthenticated
from res_federation.model.issuers import Binding
from res_federation.model.principal import Principal
from res_federation.security.credentials import HEADER
from res_federation.security.machine import PREFIX, MachineAccounts
from res_federation.security.membership import Memberships, NoMemberships, principal_of
from res_federation.security.oidc import TokenVerifier

_SCHEME = "bearer "
_MOST_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who proved who they are.

    Attributes:
        principal: Who.
        expires: UTC seconds after which it does not hold; infinite where it has no end.
        holds: Tells whether it holds at a time in UTC seconds: it may be revoked.

    """

    principal: Principal
    expires: float
    holds: Callable[[float], bool]


class Authenticator:
    """Knows the tokens that this broker takes: its own account's, of machines, of people."""

    def __init__(
        self,
        local: Principal | None = None,
        local_token: str = "",
        *,
        machines: MachineAccounts | None = None,
        people: TokenVerifier | None = None,
        bindings: Sequence[Binding] = (),
        memberships: Memberships | None = None,
        machine_came: Callable[[Principal, float], None] | None = None,
    ) -> None:
        """Take what is given; nobody else is known.

        Args:
            local: The account that runs the broker, in developer mode.
            local_token: Its token.
            machines: Accounts of machines.
            people: Verifies tokens of issuers.
            bindings: What people are here, by the broker's file.
            memberships: And by the projects that the broker keeps.
            machine_came: Told of each call of a machine account, and when (UTC seconds).

        """
        self._local = local if local_token else None
        self._local_token = local_token
        self._machines = machines or MachineAccounts()
        self._people = people
        self._bindings = tuple(bindings)
        self._memberships = memberships or NoMemberships()
        self._machine_came = machine_came

    async def login(self, metadata: Iterable[tuple[str, str | bytes]], now: float) -> Login:
        """Return who makes a call with *metadata* at *now* (UTC seconds).

        Raises:
            Unauthenticated: If there is no token, or none that this broker takes.
            Unavailable: If the keys that a token is verified with are not to be had.

        """
        token = bearer(metadata)
        if self._local is not None and hmac.compare_digest(
            token.encode("utf-8", "surrogateescape"), self._local_token.encode()
        ):
            return Login(self._local, inf, lambda _now: True)
        if token.startswith(PREFIX):
            who, until = self._machines.principal(token, now)
            if self._machine_came is not None:
                self._machine_came(who, now)
            return Login(who, until, partial(self._machine_holds, token))
        if self._people is None:
            raise Unauthenticated("the token is not one that this broker takes")
        found = await self._people.verify(token)
        who = principal_of(found.issuer, found.claims, self._bindings, self._memberships)
        return Login(who, found.expires, lambda now: now < found.expires)

    def _machine_holds(self, token: str, now: float) -> bool:
        try:
            self._machines.principal(token, now)
        except Unauthenticated:
            return False
        return True


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
