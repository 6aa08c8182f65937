"""The store: one transaction a step. Questions are asked as in `queries`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from res_federation.model.audit import AuditEntry
from res_federation.model.audit_chain import packed
from res_federation.store.audit import Chain, Sign, append, sign_head
from res_federation.store.audit_reader import AuditReader
from res_federation.store.certificates import Certificates
from res_federation.store.connect import database_url
from res_federation.store.failures import Place, place_of
from res_federation.store.machine_accounts import StoredAccounts
from res_federation.store.migrate import upgrade
from res_federation.store.queries import Loaded, Queries
from res_federation.store.reading import reading
from res_federation.store.shares import StoredShares
from res_federation.store.step import Step
from res_federation.store.transaction import Transaction, pack, write
from res_federation.store.writers import PostgresWriter, SqliteWriter, Writer

T = TypeVar("T")
_MOST_REMEMBERED = 100_000  # digests of scripts that need no second look


class Store(Queries):
    """A database of one federation. `open` it; close it at the end."""

    def __init__(self, engine: AsyncEngine, writer: Writer, place: Place) -> None:
        """Read from *engine*, write through *writer*.

        ``chain`` is where the audit log ends, None where that must be read anew; ``sign`` signs
        its heads: without it none is signed.
        """
        super().__init__(engine, place)
        self._writer = writer
        self._known_scripts: set[bytes] = set()
        self._turn = asyncio.Lock()
        self.chain: Chain | None = None
        self.sign: Sign | None = None
        self.audit = AuditReader(engine, place)
        self.machine_accounts = StoredAccounts(writer.run)
        self.shares = StoredShares(writer.run)
        self.certificates = Certificates(writer.run, self._audited)
        """Who the sites are."""

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open or make the database at *url* and bring its tables up to date.

        Raises:
            InvalidArgument: If the URL is wrong or the place cannot be written.
            PermissionDenied: If the server does not let us in.
            FailedPrecondition: If another broker uses it, or a newer version made it.
            Unavailable: If the server does not answer.
            ResourceExhausted: If the disk is full.

        """
        where = database_url(url)
        place = place_of(where)
        sqlite = where.get_backend_name() == "sqlite"
        writer: Writer = SqliteWriter(where, place) if sqlite else PostgresWriter(where, place)
        try:
            await writer.hold()
            await writer.run(upgrade)
        except BaseException:
            await writer.close()
            raise
        return cls(reading(where), writer, place)

    async def close(self) -> None:
        """Close every connection and let other brokers in."""
        await self._engine.dispose()
        await self._writer.close()

    async def commit(self, step: Step) -> None:
        """Write *step* in one transaction; when this returns it is on disk.

        Raises:
            FederationError: If it could not be written; then nothing of it was, unless the line
                to a server broke at the very end.  `failures.may_retry` says whether the same
                step may be tried again; `load_live` comes first, for it says what is on disk.

        """
        transaction = pack(step, self._known_scripts)
        async with self._turn:
            # Unknown until this is surely written: what is cut off may be on disk all the same.
            known, self.chain = self.chain, None
            work = partial(self._write, transaction=transaction, known=known, at=step.sign_at)
            self.chain = await self._writer.run(work)
        if len(self._known_scripts) > _MOST_REMEMBERED:
            self._known_scripts.clear()
        self._known_scripts |= transaction.scripts.keys()

    async def _audited(self, work: Callable[[Connection], tuple[T, Sequence[AuditEntry]]]) -> T:
        """Run *work* in a transaction of its own, with what it tells the audit log."""
        async with self._turn:
            known, self.chain = self.chain, None  # as in `commit`

            def both(connection: Connection) -> tuple[T, Chain | None]:
                found, entries = work(connection)
                if not entries:
                    return found, known
                return found, append(connection, known, [packed(one) for one in entries])

            result, self.chain = await self._writer.run(both)
        return result

    def _write(
        self,
        connection: Connection,
        transaction: Transaction,
        known: Chain | None,
        at: float | None,
    ) -> Chain | None:
        write(connection, transaction)
        if transaction.audit or at is not None:
            known = append(connection, known, transaction.audit)
            if at is not None and self.sign is not None:
                known = sign_head(connection, known, self.sign, at)
        return known

    async def load_live(self) -> Loaded:
        """Return what a broker begins with, surely the only one at this database.

        Raises:
            FailedPrecondition: If another broker came in while the session was lost.

        """
        await self._writer.hold()
        return await super().load_live()
