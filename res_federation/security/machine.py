"""The tokens of machine accounts: made, known again, revoked at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from res_federation.errors import InvalidArgument, NotFound, Unauthenticated
from res_federation.model.identifiers import word
from res_federation.model.machine_account import MachineAccount
from res_federation.model.principal import MACHINE, Principal, Role
from res_federation.security.permissions import MACHINE_SCOPES

PREFIX = "resfed_"
"""Of every such token: scanners for secrets, and our own logs, know it by this."""
DAY_S = 86_400.0
USUAL_S = 30 * DAY_S
LONGEST_S = 366 * DAY_S
_SHORTEST_S = 60.0
_SEEN_APART_S = 3600.0
"""So far apart it is written down that a maker came."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_account(
    label: str, project: str, scopes: Iterable[str], owner: str, now: float, lifetime_s: float
) -> tuple[MachineAccount, str]:
    """Return a new account and its token.

    Args:
        label: What it is for, a word.
        project: Its project.
        scopes: Of `MACHINE_SCOPES`; at least one.
        owner: Who makes it.
        now: UTC seconds.
        lifetime_s: How long the token holds, 0 for `USUAL_S`.

    Raises:
        InvalidArgument: If one of them will not do.

    """
    chosen = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in chosen if scope not in MACHINE_SCOPES]
    if unknown or not chosen:
        what = f"'{unknown[0]}' is no scope" if unknown else "names no scope"
        raise InvalidArgument(what, field="scopes", way_out=f"of: {', '.join(MACHINE_SCOPES)}")
    seconds = lifetime_s or USUAL_S
    if not _SHORTEST_S <= seconds <= LONGEST_S:
        raise InvalidArgument("must be from a minute to 366 days", field="lifetime")
    name = word(label or "machine", "label")
    mark = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    token = PREFIX + secrets.token_urlsafe(32)
    account = MachineAccount(
        id=f"{name}-{mark}", digest=_digest(token), label=name, project=project, scopes=chosen,
        owner=owner, made=now, expires=now + seconds,
    )  # fmt: skip
    return account, token


class MachineAccounts:
    """All accounts, in memory: each call asks."""

    def __init__(self, accounts: Iterable[MachineAccount] = ()) -> None:
        """Know *accounts*."""
        self._by_id: dict[str, MachineAccount] = {}
        self._by_digest: dict[bytes, str] = {}
        self._by_owner: dict[str, set[str]] = {}
        for account in accounts:
            self.put(account)

    def put(self, account: MachineAccount) -> None:
        """Know *account*, in place of what was known of it."""
        self._by_id[account.id] = account
        self._by_digest[account.digest] = account.id
        self._by_owner.setdefault(account.owner, set()).add(account.id)

    def made_by(self, owner: str) -> list[MachineAccount]:
        """Return those that *owner* made and nobody revoked."""
        found = [self._by_id[name] for name in self._by_owner.get(owner, ())]
        return [account for account in found if account.revoked is None]

    def account(self, name: str) -> MachineAccount:
        """Return an account; raises NotFound."""
        found = self._by_id.get(name)
        if found is None:
            raise NotFound(f"there is no machine account '{name}'")
        return found

    def all(self) -> list[MachineAccount]:
        """Return all, by identifier, ended ones too."""
        return [self._by_id[name] for name in sorted(self._by_id)]

    def principal(self, token: str, now: float) -> tuple[MachineAccount, Principal]:
        """Return whose *token* is, and who makes calls with it.

        Raises:
            Unauthenticated: If it is nobody's, expired or revoked.

        """
        # the digest is looked up, not compared: its beginning says nothing of the token's
        name = self._by_digest.get(_digest(token))
        if name is None:
            raise Unauthenticated("the token is not one that this broker gave")
        account = self._by_id[name]
        why = account.refusal(now)
        if why:
            raise Unauthenticated(why, way_out="resfed admin token create makes another")
        who = Principal(
            MACHINE, account.id, projects={account.project: Role.USER},
            scopes=frozenset(account.scopes),
        )  # fmt: skip
        return account, who


def revoked(account: MachineAccount, now: float) -> MachineAccount:
    """Return *account* as it is once it has been revoked; the first time counts."""
    return account if account.revoked is not None else replace(account, revoked=now)


def seen(account: MachineAccount, *, member: bool, now: float) -> MachineAccount:
    """Return *account* once its maker came, by a claim a *member* of its project or not.

    It is the same object where that says nothing new.
    """
    if member and account.seen and now - account.seen < _SEEN_APART_S:
        return account
    if not member and account.seen == 0.0:
        return account
    return replace(account, seen=now if member else 0.0)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
