"""The books as rows and back: records, entries of the ledger, balances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, select

from res_federation.accounting.books import Balance, Books
from res_federation.accounting.ledger import Entry, Line
from res_federation.accounting.records import Grant, Membership, Pool, Project
from res_federation.control.effects import BooksChanged
from res_federation.store.rows import given, storable
from res_federation.store.tables import balances, books, ledger

COLUMNS = ("number", "at", "kind", "grant", "project", "run", "once", "note", "lines")
RECORD = ("kind", "name", "record")
BALANCE = ("account", "core_s", "accelerator_s", "units")
MOST_A_PAGE = 1000

_encode = msgspec.msgpack.Encoder().encode
_lines = msgspec.msgpack.Decoder(tuple[tuple[str, int, int, int], ...])
_pool = msgspec.msgpack.Decoder(Pool)
_project = msgspec.msgpack.Decoder(Project)
_member = msgspec.msgpack.Decoder(Membership)
_grant = msgspec.msgpack.Decoder(Grant)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are wanted; what is empty does not narrow.

    Attributes:
        grants: Of these grants.
        project: Of this project.
        after: With a higher number than this.

    """

    grants: tuple[str, ...] = ()
    project: str = ""
    after: int = 0


def entry_row(entry: Entry) -> Row:
    """Return the values of `COLUMNS`."""
    lines = [(one.account, one.core_s, one.accelerator_s, one.units) for one in entry.lines]
    return (
        entry.number, entry.at, entry.kind, entry.grant, entry.project, entry.run,
        storable(entry.once) or None, storable(entry.note), _encode(lines),
    )  # fmt: skip


def entry_of(row: RowMapping) -> Entry:
    """Return the entry of a row."""
    return Entry(
        row["number"], row["at"], row["kind"], row["grant"], row["project"], row["run"],
        tuple(Line(*one) for one in _lines.decode(row["lines"])),
        given(row["once"] or ""), given(row["note"]),
    )  # fmt: skip


def moved(entries: Iterable[Entry]) -> list[Row]:
    """Return what *entries* move in each account, as the values of `BALANCE`."""
    found: dict[str, Balance] = {}
    for entry in entries:
        for one in entry.lines:
            core_s, accelerator_s, units = found.get(one.account, (0, 0, 0))
            found[one.account] = (
                core_s + one.core_s, accelerator_s + one.accelerator_s, units + one.units,
            )  # fmt: skip
    return [(account, *amounts) for account, amounts in sorted(found.items())]


def records(changes: Iterable[BooksChanged]) -> list[Row]:
    """Return the records of *changes*, each as it stands at the end, as the values of `RECORD`."""
    found: dict[tuple[str, str], bytes] = {}
    for change in changes:
        for kind, one in (("pool", change.pool), ("project", change.project),
                          ("grant", change.grant)):  # fmt: skip
            if one is not None:
                found[kind, one.id] = _encode(one)
        member = change.member
        if member is not None:
            name = storable(f"{member.project}/{member.issuer}/{member.subject}")
            found["member", name] = _encode(member)
    return [(*key, record) for key, record in found.items()]


def load(connection: Connection) -> Books:
    """Return the books as they are on disk."""
    found = Books()
    for row in connection.execute(select(books).order_by(books.c.kind, books.c.name)).mappings():
        match row["kind"]:
            case "pool":
                pool = _pool.decode(row["record"])
                found.pools[pool.id] = pool
            case "project":
                project = _project.decode(row["record"])
                found.projects[project.id] = project
            case "grant":
                found.put_grant(_grant.decode(row["record"]))
            case _:
                member = _member.decode(row["record"])
                found.members[member.project, member.issuer, member.subject] = member
    for account, core_s, accelerator_s, units in connection.execute(select(balances)):
        found.balances[account] = (core_s, accelerator_s, units)
    newest = select(ledger.c.number).order_by(ledger.c.number.desc()).limit(1)
    found.entries = connection.execute(newest).scalar() or 0
    return found


def page(wanted: EntryFilter, limit: int) -> Select[Any]:
    """Return the question for the next *limit* entries, by number."""
    query = select(ledger).where(ledger.c.number > wanted.after)
    if wanted.grants:
        query = query.where(ledger.c.grant.in_(wanted.grants))
    if wanted.project:
        query = query.where(ledger.c.project == wanted.project)
    return query.order_by(ledger.c.number).limit(limit)


def names_there(names: Iterable[str]) -> Iterator[Select[Any]]:
    """Yield the questions which of *names* were posted once already."""
    listed = [storable(name) for name in sorted(names)]
    for at in range(0, len(listed), MOST_A_PAGE):
        yield select(ledger.c.once).where(ledger.c.once.in_(listed[at : at + MOST_A_PAGE]))
