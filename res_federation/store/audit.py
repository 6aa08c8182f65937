"""Appends to the audit log, in the transaction of the step that it tells of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from sqlalchemy import Connection, insert, select

from res_federation.model.audit_chain import Head, Tail, link, microseconds, signed_part
from res_federation.store.tables import audit, audit_heads

Sign = Callable[[bytes], bytes]
_MOST_ROWS = 256  # of a statement


@dataclass(frozen=True, slots=True)
class Chain:
    """Where the log ends.

    Attributes:
        tail: Its newest entry.
        head: Its newest signed head, or None.

    """

    tail: Tail = field(default_factory=Tail)
    head: Head | None = None

    @property
    def unsigned(self) -> int:
        """How many entries are newer than the newest head."""
        return self.tail.number - (self.head.number if self.head else 0)


def chain(connection: Connection) -> Chain:
    """Return where the log ends on disk."""
    newest = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    tail = Tail() if row is None else Tail(row[0], bytes(row[1]))
    signed = select(audit_heads).order_by(audit_heads.c.index.desc()).limit(1)
    last = connection.execute(signed).first()
    return Chain(tail, None if last is None else head_of(last))


def head_of(row: Sequence[object]) -> Head:
    """Return the head of a row of `audit_heads`."""
    index, number, digest, at, signature = row
    assert isinstance(digest, bytes | memoryview)
    assert isinstance(signature, bytes | memoryview)
    assert isinstance(index, int)
    assert isinstance(number, int)
    assert isinstance(at, int)
    return Head(index, number, bytes(digest), at, bytes(signature))


def append(connection: Connection, known: Chain | None, entries: Sequence[bytes]) -> Chain:
    """Append packed *entries* after *known*, or after what is on disk where that is not known."""
    found = known or chain(connection)
    tail = found.tail
    flat: list[object] = []
    for entry in entries:
        after = link(tail, entry)
        flat += (after.number, tail.hash, after.hash, entry)
        tail = after
    width, at, dialect = 4, 0, connection.dialect.name
    while at < len(flat):
        count = min(_MOST_ROWS, 1 << (((len(flat) - at) // width).bit_length() - 1))
        values = tuple(flat[at : at + count * width])
        connection.exec_driver_sql(_insert(dialect, count), values)
        at += count * width
    return replace(found, tail=tail)


def sign_head(connection: Connection, known: Chain, sign: Sign, at: float) -> Chain:
    """Sign the tail and keep it, unless the newest head is about it already."""
    if not known.unsigned:
        return known
    index = known.head.index + 1 if known.head else 1
    head = Head(index, known.tail.number, known.tail.hash, microseconds(at))
    head = replace(head, signature=sign(signed_part(head)))
    connection.execute(
        insert(audit_heads).values(
            index=head.index, number=head.number, hash=head.hash, at=head.at,
            signature=head.signature,
        )
    )  # fmt: skip
    return replace(known, head=head)


@cache
def _insert(dialect: str, count: int) -> str:
    row = "(%s,%s,%s,%s)" if dialect == "postgresql" else "(?,?,?,?)"
    rows = ",".join([row] * count)
    return f"INSERT INTO audit (number, previous, hash, entry) VALUES {rows}"  # noqa: S608 - marks only
