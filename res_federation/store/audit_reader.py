"""Reads the audit log, beside who writes it or without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from res_federation.errors import NotFound
from res_federation.model.audit_chain import Head, Record, entry_of
from res_federation.store.audit import head_of
from res_federation.store.connect import database_url
from res_federation.store.failures import FIELD, Place, place_of
from res_federation.store.reading import reading
from res_federation.store.tables import audit, audit_heads

_A_PAGE = 500
_DISORDER_S = 120.0
"""Denials that were counted are told when their minute is over: so far entries are out of order."""


class AuditReader:
    """The log as it is on disk. Each method raises FederationError."""

    def __init__(self, engine: AsyncEngine, place: Place) -> None:
        """Read from *engine*, called *place* before people."""
        self._engine = engine
        self._place = place

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database at *url* for reading only; a broker may be writing it.

        Raises:
            NotFound: If there is none.

        """
        where = database_url(url)
        if where.get_backend_name() == "sqlite" and not Path(where.database or "").is_file():
            raise NotFound(f"there is no database {where.database}", field=FIELD)
        return cls(reading(where), place_of(where))

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def records(self, after: int, limit: int) -> list[Record]:
        """Return the next records after number *after*, in order."""
        query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        return [_record(row) for row in await self._all(query)]

    async def newest(self, before: int, limit: int) -> list[Record]:
        """Return records before number *before* (0 for all), the newest first."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before:
            query = query.where(audit.c.number < before)
        return [_record(row) for row in await self._all(query)]

    async def heads(self, first: int, last: int) -> list[Head]:
        """Return the signed heads of entries from *first* to *last*, in order."""
        query = select(audit_heads).where(audit_heads.c.number.between(first, last))
        return [head_of(row) for row in await self._all(query.order_by(audit_heads.c.index))]

    async def head(self) -> Head | None:
        """Return the newest signed head."""
        found = await self._all(select(audit_heads).order_by(audit_heads.c.index.desc()).limit(1))
        return head_of(found[0]) if found else None

    async def lines(self, first: int, last: int) -> AsyncIterator[list[Record | Head]]:
        """Yield records *first* to *last*, page by page, each head after what it is about."""
        after = first - 1
        while after < last:
            page = await self.records(after, min(_A_PAGE, last - after))
            if not page:
                return
            heads: dict[int, list[Head]] = {}
            for head in await self.heads(page[0].number, page[-1].number):
                heads.setdefault(head.number, []).append(head)
            mixed: list[Record | Head] = []
            for record in page:
                mixed.append(record)
                mixed += heads.get(record.number, ())
            after = page[-1].number
            yield mixed

    async def last(self) -> int:
        """Return the number of the newest entry; 0 where there is none."""
        return int((await self._all(select(func.max(audit.c.number))))[0][0] or 0)

    async def first_since(self, at: float) -> int:
        """Return the number of the first entry that is no older than *at* (UTC seconds)."""
        low, high = 1, await self.last() + 1
        while low < high:  # entries are in order, but for what was counted for a minute
            middle = (low + high) // 2
            if (await self._at(middle)) < at - _DISORDER_S:
                low = middle + 1
            else:
                high = middle
        while page := await self.records(low - 1, _A_PAGE):
            for record in page:
                if entry_of(record.entry).at >= at:
                    return record.number
            low = page[-1].number + 1
        return low

    async def _at(self, number: int) -> float:
        return entry_of((await self.records(number - 1, 1))[0].entry).at

    async def _all(self, query: Select[Any]) -> Sequence[Any]:
        with self._place.told():
            async with self._engine.connect() as connection:
                found: Sequence[Any] = (await connection.execute(query)).all()
                return found


def _record(row: Any) -> Record:
    return Record(row.number, bytes(row.previous), bytes(row.hash), bytes(row.entry))
