"""The ledger: double entry. What one account gets another gives; nothing is ever rewritten.

Amounts are integers, so that sums are exact.  Each function posts to the books and returns the
entry, which its caller writes down in the same transaction as what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from res_federation.accounting.books import (
    AVAILABLE,
    RESERVED,
    USED,
    Books,
    of_grant,
    of_member,
    of_pool,
)
from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant

Amount = tuple[int, int]
"""Core-seconds and accelerator-seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one account gets (or gives, below zero).

    Attributes:
        account: Its name.
        core_s: Core-seconds.
        accelerator_s: Accelerator-seconds.
        units: Thousandths of exchange units.

    """

    account: str
    core_s: int = 0
    accelerator_s: int = 0
    units: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """Lines that sum to zero.

    Attributes:
        number: Unique, ascending without a gap.
        at: UTC seconds.
        kind: granted, changed, closed, reserved, settled, released, imported, exchanged.
        grant: Which grant it is about, or "".
        project: Whose that is.
        run: Token of the run that it is about, or "".
        once: What may be posted only once in all time, or "".
        note: For people.
        lines: Where from and where to.

    """

    number: int
    at: float
    kind: str
    grant: str
    project: str
    run: str
    lines: tuple[Line, ...]
    once: str = ""
    note: str = ""


def post(
    books: Books, grant: Grant | None, at: float, kind: str, lines: Iterable[Line], *,
    run: str = "", once: str = "", note: str = "",
) -> Entry:  # fmt: skip
    """Post *lines*, which sum to zero, and return them as an entry; lines of nothing are left out.

    Raises:
        AssertionError: If they do not sum to zero.

    """
    kept = tuple(one for one in lines if one.core_s or one.accelerator_s or one.units)
    for unit in ("core_s", "accelerator_s", "units"):
        assert sum(getattr(one, unit) for one in kept) == 0, f"{kind} does not balance in {unit}"
    for one in kept:
        core_s, accelerator_s, units = books.balance(one.account)
        books.balances[one.account] = (
            core_s + one.core_s, accelerator_s + one.accelerator_s, units + one.units,
        )  # fmt: skip
    books.entries += 1
    name, project = ("", "") if grant is None else (grant.id, grant.project)
    return Entry(books.entries, at, kind, name, project, run, kept, once, note)


def _from_source(grant: Grant, amount: Amount, *, back: bool = False) -> tuple[Line, ...]:
    """Return lines that take *amount* from where the grant's hours are, or give it *back* there.

    What has no bound comes out of the pool itself; what comes back to a closed grant goes there.
    """
    core_s, accelerator_s = amount
    available, pool = of_grant(grant.id, AVAILABLE), of_pool(grant.pool)

    def source(granted: int, taken: int) -> str:
        returned = back and grant.closed and taken < 0
        return pool if granted == UNLIMITED or returned else available

    return (
        Line(source(grant.core_s, core_s), core_s=-core_s),
        Line(source(grant.accelerator_s, accelerator_s), accelerator_s=-accelerator_s),
    )


def adjust(books: Books, grant: Grant, at: float, kind: str) -> Entry:
    """Give a new or changed grant what it should have, less what is used and reserved.

    Of one that is closed the rest goes back to its pool; an overdraft stays where it is.
    """
    parts = books.accounts_of(grant.id)
    more = []
    for unit, granted in enumerate((grant.core_s, grant.accelerator_s)):
        have = parts[AVAILABLE][unit]
        if grant.closed:
            more.append(-max(0, have))
        elif granted == UNLIMITED:
            more.append(-have)
        else:
            more.append(granted - parts[USED][unit] - parts[RESERVED][unit] - have)
    return post(
        books, grant, at, kind,
        (
            Line(of_pool(grant.pool), -more[0], -more[1]),
            Line(of_grant(grant.id, AVAILABLE), more[0], more[1]),
        ),
        note=grant.activity,
    )  # fmt: skip


def reserve(books: Books, grant: Grant, amount: Amount, at: float, run: str) -> Entry:
    """Set *amount* aside for a run."""
    lines = (*_from_source(grant, amount), Line(of_grant(grant.id, RESERVED), *amount))
    return post(books, grant, at, "reserved", lines, run=run)


def settle(
    books: Books, grant: Grant, reserved: Amount, used: Amount, at: float, run: str, *,
    note: str = "", given: tuple[str, str, int] | None = None,
) -> Entry:  # fmt: skip
    """Charge a run with what it *used*; the rest of what was *reserved* is available again.

    What it used beyond that is taken as well: what is available may go below zero, and is seen.

    Args:
        books: The books.
        grant: Which pays.
        reserved: What was set aside.
        used: What the run used.
        at: UTC seconds.
        run: Its token.
        note: For people.
        given: Member that gave, member that took, and thousandths of units; None for neither.

    """
    more = (used[0] - reserved[0], used[1] - reserved[1])
    lines = [
        Line(of_grant(grant.id, RESERVED), -reserved[0], -reserved[1]),
        Line(of_grant(grant.id, USED), *used),
        *_from_source(grant, more, back=True),
    ]
    if given is not None:
        giver, taker, units = given
        lines += [Line(of_member(giver), units=units), Line(of_member(taker), units=-units)]
    kind = "settled" if used != (0, 0) else "released"
    return post(books, grant, at, kind, _merged(lines), run=run, note=note)


def charge(
    books: Books, grant: Grant, used: Amount, at: float, *, once: str, note: str = ""
) -> Entry:
    """Charge what did not pass through the federation; *once* names it for all time."""
    lines = (*_from_source(grant, used), Line(of_grant(grant.id, USED), *used))
    return post(books, grant, at, "imported", lines, once=once, note=note)


def exchange(
    books: Books, giver: str, taker: str, units: int, at: float, *, note: str = ""
) -> Entry:
    """Note that a member gave *units* (thousandths) to another outside of any run."""
    lines = (Line(of_member(giver), units=units), Line(of_member(taker), units=-units))
    return post(books, None, at, "exchanged", lines, note=note)


def _merged(lines: Iterable[Line]) -> list[Line]:
    """Return one line an account."""
    found: dict[str, Line] = {}
    for one in lines:
        old = found.get(one.account, Line(one.account))
        found[one.account] = Line(
            one.account, old.core_s + one.core_s, old.accelerator_s + one.accelerator_s,
            old.units + one.units,
        )  # fmt: skip
    return list(found.values())
