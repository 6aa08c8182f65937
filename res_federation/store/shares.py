"""With whom jobs are shared, on disk; the broker keeps it in memory beside."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from res_federation.model.identifiers import JobId
from res_federation.model.share import Share, ShareKind
from res_federation.store import rows
from res_federation.store.machine_accounts import Run
from res_federation.store.tables import shares


class StoredShares:
    """Writes and reads shares. A name is as `rows.storable` makes it."""

    def __init__(self, run: Run) -> None:
        """Write and read through *run*."""
        self._run = run

    async def all(self) -> list[Share]:
        """Return every share, the oldest first."""

        def work(connection: Connection) -> list[Share]:
            query = select(shares).order_by(shares.c.at, shares.c.job)
            return [_read(row) for row in connection.execute(query).mappings()]

        return await self._run(work)

    async def add(self, share: Share) -> None:
        """Write a share down; when this returns it is on disk. One that is there stays as it is."""

        def work(connection: Connection) -> None:
            there = select(shares.c.job).where(*_this(share))
            if connection.execute(there).first() is None:
                connection.execute(insert(shares), _row(share))

        await self._run(work)

    async def remove(self, share: Share) -> bool:
        """Strike a share out; return whether it was there."""

        def work(connection: Connection) -> bool:
            return connection.execute(delete(shares).where(*_this(share))).rowcount > 0

        return await self._run(work)


def _this(share: Share) -> tuple[Any, ...]:
    return (
        shares.c.job == share.job,
        shares.c.kind == str(share.kind),
        shares.c.name == rows.storable(share.name),
    )


def _row(share: Share) -> dict[str, Any]:
    return {
        "job": share.job, "kind": str(share.kind), "name": rows.storable(share.name),
        "by": rows.storable(share.by), "at": share.at,
    }  # fmt: skip


def _read(row: Any) -> Share:
    return Share(
        JobId(row["job"]), ShareKind(row["kind"]), rows.given(row["name"]),
        rows.given(row["by"]), row["at"],
    )  # fmt: skip
