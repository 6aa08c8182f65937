"""From what a call carries to who makes it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from res_federation.errors import Unauthenticated
from res_federation.model.issuers import Binding, Issuer
from res_federation.model.machine_account import MachineAccount
from res_federation.model.principal import Principal
from res_federation.security.credentials import HEADER
from res_federation.security.machine import PREFIX, MachineAccounts, seen
from res_federation.security.membership import (
    Memberships,
    NoMemberships,
    claimed,
    principal_of,
    stands,
)
from res_federation.security.oidc import TokenVerifier, Verified

_SCHEME = "bearer "
_MOST_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who proved who they are.

    Attributes:
        principal: Who.
        expires: UTC seconds after which it does not hold; infinite where it has no end.
        rests_on: The person (`Principal.user`) on whose standing it rests: of a machine, its maker.
        again: Returns who they are at a time in UTC seconds, by what is known then; raises
            Unauthenticated where the login does not hold any more.
        claimed: Projects of which a claim of their issuer makes them a member.

    """

    principal: Principal
    expires: float
    rests_on: str
    again: Callable[[float], Principal]
    claimed: frozenset[str] = frozenset()


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
        maker_seen: Callable[[MachineAccount], None] | None = None,
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
            maker_seen: Told of accounts whose `seen` changed: it is to be written down.

        """
        self._local = local if local_token else None
        self._local_token = local_token
        self._machines = machines or MachineAccounts()
        self._people = people
        self._bindings = tuple(bindings)
        self._memberships = memberships or NoMemberships()
        self._machine_came = machine_came
        self._maker_seen = maker_seen

    async def login(self, metadata: Iterable[tuple[str, str | bytes]], now: float) -> Login:
        """Return who makes a call with *metadata* at *now* (UTC seconds).

        Raises:
            Unauthenticated: If there is no token, or none that this broker takes.
            Unavailable: If the keys that a token is verified with are not to be had.

        """
        token = bearer(metadata)
        local = self._local
        if local is not None and hmac.compare_digest(
            token.encode("utf-8", "surrogateescape"), self._local_token.encode()
        ):
            return Login(local, inf, local.user, lambda _now: local)
        if token.startswith(PREFIX):
            account, who = self._machine(token, now)
            if self._machine_came is not None:
                self._machine_came(who, now)
            again = partial(self._machine_again, token)
            return Login(who, account.expires, account.owner, again)
        if self._people is None or not self._people.issuers:
            raise Unauthenticated("the token is not one that this broker takes")
        found = await self._people.verify(token)
        who = self._person(found)
        by_claim = frozenset(claimed(found.issuer, found.claims, self._bindings))
        self._maker_came(who.user, by_claim, now)
        again = partial(self._person_again, found)
        return Login(who, found.expires, who.user, again, by_claim)

    def follow(self, issuers: Sequence[Issuer], bindings: Sequence[Binding]) -> None:
        """Take the word of these issuers, and read it by these bindings, from now on."""
        self._bindings = tuple(bindings)
        if self._people is not None:
            self._people.follow(issuers)

    def stands(self, account: MachineAccount, now: float) -> bool:
        """Tell whether who made *account* may still speak for its project, at *now*.

        The account that runs the broker may in developer mode, for as long as that lasts.
        """
        if self._local is not None and account.owner == self._local.user:
            return True
        return stands(account, self._bindings, self._memberships, now)

    def _machine(self, token: str, now: float) -> tuple[MachineAccount, Principal]:
        account, who = self._machines.principal(token, now)
        if not self.stands(account, now):
            raise Unauthenticated(
                f"who made the token of machine account '{account.id}' is not in project"
                f" '{account.project}' any more",
                way_out="a member of the project makes another: resfed admin token create",
            )
        return account, who

    def _machine_again(self, token: str, now: float) -> Principal:
        return self._machine(token, now)[1]

    def _person(self, found: Verified) -> Principal:
        return principal_of(found.issuer, found.claims, self._bindings, self._memberships)

    def _person_again(self, found: Verified, now: float) -> Principal:
        if now >= found.expires:
            raise Unauthenticated("the login is over", way_out="resfed login")
        if self._people is None or found.issuer not in self._people.issuers:
            raise Unauthenticated("the issuer of the token is not taken any more")
        return self._person(found)

    def _maker_came(self, user: str, by_claim: frozenset[str], now: float) -> None:
        """Note of the machines of *user* whether a claim still puts their maker in the project."""
        for account in self._machines.made_by(user):
            present = seen(account, member=account.project in by_claim, now=now)
            if present is not account:
                self._machines.put(present)
                if self._maker_seen is not None:
                    self._maker_seen(present)


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
