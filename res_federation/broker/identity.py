"""Puts together what knows people and machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from res_federation.broker.federation import Federation
from res_federation.broker.sharing import Sharing
from res_federation.broker.standing import MakersSeen
from res_federation.config.security import SecuritySettings
from res_federation.model.audit import AuditEntry
from res_federation.model.principal import Principal, Role
from res_federation.security.authenticator import Authenticator
from res_federation.security.files import read_private, write_private
from res_federation.security.local_login import SignedIn
from res_federation.security.machine import MachineAccounts
from res_federation.security.oidc import TokenVerifier
from res_federation.security.pseudonyms import KEY_BYTES, Pseudonyms

_KEY_FILE = "pseudonyms.key"
_LOGIN_S = 3600.0


class KeptMemberships:
    """Members of projects, as the books have them now."""

    def __init__(self, federation: Federation) -> None:
        """Ask the state of *federation*."""
        self._federation = federation

    def of(self, issuer: str, subject: str) -> Mapping[str, Role]:
        """Return USER or LEAD, by project."""
        return dict(self._federation.state.books.memberships(issuer, subject))


class MachineLogins:
    """Puts the first call of a machine account in each hour into the audit log."""

    def __init__(self, federation: Federation) -> None:
        """Note them in the log of *federation*."""
        self._federation = federation
        self._noted: dict[str, float] = {}

    def __call__(self, who: Principal, now: float) -> None:
        """Note that *who* called at *now* (UTC seconds), unless that was said this hour."""
        last = self._noted.get(who.subject)
        if last is None or now - last >= _LOGIN_S:
            self._noted[who.subject] = now
            entry = AuditEntry(now, who.user, "machine_token.login", who.subject)
            self._federation.loop.note(entry)


async def know(parts: Federation, directory: Path) -> None:
    """Read accounts of machines, shares of jobs and the key of pseudonyms.

    The key is made in *directory* once.

    Raises:
        FederationError: If one of them cannot be read.

    """
    parts.machines = MachineAccounts(await parts.store.machine_accounts.all())

    def note(entry: AuditEntry) -> None:
        parts.loop.note(entry)  # the loop is put in later

    shares = parts.store.shares
    parts.sharing = Sharing(shares, await shares.all(), note)
    path = directory / _KEY_FILE
    try:
        key = read_private(path)
    except FileNotFoundError:
        key = os.urandom(KEY_BYTES)
        write_private(path, key)
    parts.pseudonyms = Pseudonyms(key)


def authenticator(
    parts: Federation, settings: SecuritySettings, local: SignedIn | None
) -> Authenticator:
    """Return what knows the callers of this broker: *local* in developer mode alone."""
    people = settings.people
    return Authenticator(
        local.principal if local else None,
        local.token if local else "",
        machines=parts.machines,
        people=TokenVerifier(people.issuers, parts.clock.now),
        bindings=people.bindings,
        memberships=KeptMemberships(parts),
        machine_came=MachineLogins(parts),
        maker_seen=MakersSeen(parts),
    )
