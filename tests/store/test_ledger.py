"""The books come back as they were, on both databases, and nothing is charged twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from res_federation.accounting import ledger
from res_federation.accounting.books import Books
from res_federation.accounting.ledger import Entry
from res_federation.accounting.records import Grant, Membership, Pool, PoolKind, Project
from res_federation.control.effects import BooksChanged
from res_federation.errors import AlreadyExists
from res_federation.model.principal import Role
from res_federation.store.ledger import EntryFilter
from res_federation.store.step import Step
from res_federation.store.store import Store

GRANT = Grant("a", "fusion", "res", "csuc", 100.0, 200.0, 1 << 52, 50, 1, "AECT-2026-3-0001")


def a_step(books: Books, number: int) -> Step:
    """Make and write what a step of many acts does."""
    entries: list[Entry] = []
    records = BooksChanged(
        "saved", 1.0, "op", Pool("res", PoolKind.RES, title="\0\x1a"), Project("fusion", "Ω\0"),
        Membership("fusion", "people", f"eva\0{number}", Role.LEAD), GRANT,
    )  # fmt: skip
    assert records.pool is not None
    assert records.project is not None
    assert records.member is not None
    books.pools["res"], books.projects["fusion"] = records.pool, records.project
    books.members["fusion", "people", f"eva\0{number}"] = records.member
    if GRANT.id not in books.grants:
        books.put_grant(GRANT)
        entries.append(ledger.adjust(books, GRANT, 1.0, "granted"))
    for run in range(300):  # more than one statement takes
        token = f"r{number}-{run}"
        entries.append(ledger.reserve(books, GRANT, (run + 1, 0), 2.0, token))
        entries.append(ledger.settle(
            books, GRANT, (run + 1, 0), (run, 0), 3.0, token, given=("csuc", f"s{run % 7}", run),
        ))  # fmt: skip
    entries.append(
        ledger.charge(books, GRANT, (5, 1), 4.0, once=f"csuc:{number}\0", note="by hand")
    )
    return Step(books=[records], entries=entries)


async def test_books_come_back_as_they_were(store: Store) -> None:
    books, posted = Books(), []
    for number in range(3):
        step = a_step(books, number)
        posted += step.entries
        await store.commit(step)
        assert (await store.load_live()).books == books
    assert await store.entries(EntryFilter(), 10_000) == posted
    later = EntryFilter(grants=("a",), project="fusion", after=600)
    assert await store.entries(later, 5) == posted[600:605]
    assert await store.entries(EntryFilter(project="climate"), 5) == []
    assert await store.posted_once({"csuc:1\0", "csuc:9\0"}) == {"csuc:1\0"}
    books.check()


async def test_what_was_charged_once_is_never_charged_again(store: Store) -> None:
    books = Books()
    await store.commit(a_step(books, 0))
    again = ledger.charge(books, GRANT, (5, 1), 5.0, once="csuc:0\0")
    with pytest.raises(AlreadyExists):
        await store.commit(Step(entries=[again], books=[BooksChanged("x", 5.0, "op")]))
    kept = (await store.load_live()).books
    assert kept.entries == again.number - 1
    same = replace(again, number=1, once="")
    with pytest.raises(AlreadyExists):  # nor does a number come twice
        await store.commit(Step(entries=[same], books=[BooksChanged("x", 5.0, "op")]))
    assert (await store.load_live()).books == kept
