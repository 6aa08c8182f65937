"""Who leaves a project: their open streams are looked at again, and the tokens they made end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from res_federation.accounting.records import Membership
from res_federation.broker.federation import Federation
from res_federation.errors import FederationError
from res_federation.model.audit import AuditEntry
from res_federation.model.machine_account import MachineAccount
from res_federation.security.authenticator import Authenticator
from res_federation.security.machine import revoked

log = structlog.get_logger(__name__)

_BROKER = "broker"


class Behind:
    """Writes down what holds in memory already; what fails is told, and found out anew later."""

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self._writing: set[asyncio.Task[None]] = set()

    def write(self, work: Coroutine[Any, Any, None]) -> None:
        """Write, beside whoever asked for it."""
        task = asyncio.create_task(_told(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)


async def _told(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except FederationError as error:
        log.warning("machine_account_not_written", why=str(error))


class MakersSeen:
    """Writes down when makers of machine accounts came with a claim of membership."""

    def __init__(self, federation: Federation) -> None:
        """Write to the store of *federation*."""
        self._federation, self._behind = federation, Behind()

    def __call__(self, account: MachineAccount) -> None:
        """Write down when the maker of *account* was seen; without a claim its streams end."""
        if not account.seen:
            self._federation.streams.look_again(account.owner)
        accounts = self._federation.store.machine_accounts
        self._behind.write(accounts.seen(account.id, account.seen))


class Standing:
    """Hears of changes of who is what, once they are on disk, and draws the conclusions."""

    def __init__(self, federation: Federation, authenticator: Authenticator) -> None:
        """Keep the parts."""
        self._federation, self._authenticator = federation, authenticator
        self._behind = Behind()

    def changed(self, member: Membership) -> None:
        """Follow a change of a membership."""
        person = f"{member.subject}@{member.issuer}"
        if member.role is None:
            self._left(person, member.project)
        self._federation.streams.look_again(person)

    def begin(self) -> None:
        """End the tokens of those who left just before the broker was killed."""
        for member in self._federation.state.books.members.values():
            if member.role is None:
                self._left(f"{member.subject}@{member.issuer}", member.project)

    def _left(self, person: str, project: str) -> None:
        """Revoke for good: a token does not come back to life with a new membership."""
        now = self._federation.clock.now()
        for account in self._federation.machines.made_by(person):
            if account.project != project or self._authenticator.stands(account, now):
                continue
            # memory first: from here on the token opens nothing, even if the disk is slow
            self._federation.machines.put(revoked(account, now))
            log.info("machine_token.revoke", account=account.id, by=_BROKER, project=project)
            reason = f"{person}, who made it, left project '{project}'"
            self._federation.loop.note(
                AuditEntry(now, _BROKER, "machine_token.revoke", account.id, "done", reason)
            )
            self._behind.write(self._federation.store.machine_accounts.revoke(account.id, now))
