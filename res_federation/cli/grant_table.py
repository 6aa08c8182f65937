"""Grants as a table: of each kind of hours what was granted, used, set aside, and is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant
from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.model.sentences import hours
from res_federation.wire.accounting import GrantView

_COLUMNS = (
    "GRANT", "PROJECT", "POOL", "MACHINE", "CLASS", "PERIOD", "HOURS", ">GRANTED", ">USED",
    ">RESERVED", ">LEFT", ">USED %",
)  # fmt: skip
_PROJECT = _COLUMNS.index("PROJECT")
_LAST = 253_402_300_799.0
_KINDS = ("core", "accelerator")


def show_grants(found: Iterable[GrantView], *, project: bool = True, empty: str) -> None:
    """Print a line for each grant and kind of hours that it has."""
    columns, rows = [*_COLUMNS], [[*row] for view in found for row in _rows(view)]
    if not project:
        for row in (columns, *rows):
            del row[_PROJECT]
    output.table(columns, rows, empty=empty)


def _rows(view: GrantView) -> Iterator[tuple[str, ...]]:
    grant = view.grant
    head: tuple[str, ...] = (
        grant.id, grant.project, grant.pool, grant.machine or "everywhere", grant.letter,
        "closed" if grant.closed else _period(grant),
    )  # fmt: skip
    granted = (grant.core_s, grant.accelerator_s)
    for unit, kind in enumerate(_KINDS):
        used, reserved, left = (one[unit] for one in (view.used, view.reserved, view.available))
        if unit and not (granted[unit] or used or reserved):
            continue
        bound = granted[unit] != UNLIMITED
        yield (
            *head, kind, hours(granted[unit]) if bound else "unlimited", hours(used),
            hours(reserved), hours(left) if bound else "unlimited",
            f"{100 * used / granted[unit]:.1f}" if bound and granted[unit] else "",
        )  # fmt: skip
        head = ("",) * len(head)


def _period(grant: Grant) -> str:
    if grant.begins <= 0 and grant.ends >= _LAST:
        return "always"
    return f"{_day(grant.begins)}..{_day(grant.ends)}"


def _day(at: float) -> str:
    """Return the day of a time, with the time of day where it is none of midnight's."""
    text = (instant(at) or "")[:16]
    return text.removesuffix("T00:00")


def hours_words(core_s: int, accelerator_s: int) -> str:
    """Say amounts as hours: of accelerators only where there are any."""
    accelerators = f" and {hours(accelerator_s)} accelerator-hours" if accelerator_s else ""
    return f"{hours(core_s)} core-hours{accelerators}"
