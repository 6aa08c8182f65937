"""Accounts of machines on disk; the broker keeps them in memory beside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, insert, select, update

from res_federation.model.machine_account import MachineAccount
from res_federation.store import rows
from res_federation.store.tables import machine_accounts

T = TypeVar("T")


class Run(Protocol):
    """Runs work on the writing connection, in a transaction of its own."""

    def __call__(self, work: Callable[[Connection], T]) -> Awaitable[T]:
        """Return what *work* returns, when it is on disk; raises FederationError."""
        ...


class StoredAccounts:
    """Writes and reads accounts of machines."""

    def __init__(self, run: Run) -> None:
        """Write and read through *run*."""
        self._run = run

    async def all(self) -> list[MachineAccount]:
        """Return every account, ended ones too."""

        def work(connection: Connection) -> list[MachineAccount]:
            return [_read(row) for row in connection.execute(select(machine_accounts)).mappings()]

        return await self._run(work)

    async def add(self, account: MachineAccount) -> None:
        """Write a new account down; when this returns it is on disk."""

        def work(connection: Connection) -> None:
            connection.execute(insert(machine_accounts), _row(account))

        await self._run(work)

    async def revoke(self, account: str, now: float) -> None:
        """Write down that the account's token was revoked at *now*; the first time counts."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(machine_accounts)
                .where(machine_accounts.c.account == account)
                .where(machine_accounts.c.revoked.is_(None))
                .values(revoked=now)
            )

        await self._run(work)

    async def seen(self, account: str, at: float) -> None:
        """Write down when the account's maker was last seen in its project (`seen`)."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(machine_accounts)
                .where(machine_accounts.c.account == account)
                .values(seen=at)
            )

        await self._run(work)


def _row(account: MachineAccount) -> dict[str, Any]:
    return {
        "account": account.id, "digest": account.digest, "label": account.label,
        "project": rows.storable(account.project), "scopes": " ".join(account.scopes),
        "owner": rows.storable(account.owner), "made": account.made,
        "expires": account.expires, "revoked": account.revoked,
        "seen": account.seen,
    }  # fmt: skip


def _read(row: Any) -> MachineAccount:
    return MachineAccount(
        id=row["account"], digest=bytes(row["digest"]), label=row["label"],
        project=rows.given(row["project"]), scopes=tuple(row["scopes"].split()),
        owner=rows.given(row["owner"]), made=row["made"], expires=row["expires"],
        revoked=row["revoked"], seen=row["seen"],
    )  # fmt: skip
