"""Files of the accounting: grants and ledgers as CSV, factors of the exchange as TOML.

Hours are decimal and exact to the second; times are ISO 8601, in UTC where they name no zone.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from res_federation.accounting.books import USED, of_grant
from res_federation.accounting.exchange import ACCELERATOR, CORE
from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.ledger import Entry, Line
from res_federation.accounting.records import (
    MOST,
    AccessMode,
    Grant,
    Pool,
    PoolKind,
    Project,
    checked_grant,
    checked_pool,
    checked_project,
)
from res_federation.control.events import RUN, Usage
from res_federation.errors import FederationError, InvalidArgument

GRANT_COLUMNS = (
    "grant", "project", "pool", "kind", "mode", "machine", "begins", "ends", "core_hours",
    "accelerator_hours", "priority", "activity", "home", "title",
)  # fmt: skip
"""One grant a line; *kind* and *mode* are of its pool, *home* and *title* of its project."""
LEDGER_COLUMNS = (
    "number", "time", "kind", "grant", "project", "run", "once", "account", "core_s",
    "accelerator_s", "units", "note",
)  # fmt: skip
"""One line of an entry a line; an entry without lines has one with an empty account."""
USAGE_COLUMNS = ("grant", "once", "core_hours", "accelerator_hours", "note")
"""What was used elsewhere, a use a line; *once* names it for all time."""
WITHOUT_BOUND = "unlimited"
_HOUR = 3600

T = TypeVar("T", bound=StrEnum)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Read(Generic[R]):
    """What a file says.

    Attributes:
        rows: Each with its line.
        wrong: Lines that are not understood, and why.

    """

    rows: list[tuple[int, R]]
    wrong: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Granted:
    """A line of a file of grants: the grant, its pool and its project."""

    grant: Grant
    pool: Pool
    project: Project


def read_grants(text: str, name: str) -> Read[Granted]:
    """Read a file of grants that is called *name*.

    Raises:
        InvalidArgument: If its first line is wrong; of other lines the answer says what is.

    """
    rows = _rows(text, name, GRANT_COLUMNS, required=("grant", "project", "pool"))
    found = _read(rows, _granted)
    first: dict[tuple[str, str], tuple[int, object]] = {}
    for number, one in [*found.rows]:
        for what, key, value in (
            ("grant", one.grant.id, one.grant), ("pool", one.pool.id, one.pool),
            ("project", one.project.id, one.project),
        ):  # fmt: skip
            line, before = first.setdefault((what, key), (number, value))
            if before != value:
                found.wrong.append((number, f"{what} '{key}' is otherwise on line {line}"))
    return found


def read_usage(text: str, name: str) -> Read[Usage]:
    """Read a file of what was used outside of the federation; raises as `read_grants`."""
    rows = _rows(text, name, USAGE_COLUMNS, required=("grant", "once"))
    return _each_once(_read(rows, _used))


def _used(row: dict[str, str]) -> Usage:
    core_s = seconds(row["core_hours"], "core_hours")
    accelerator_s = seconds(row["accelerator_hours"], "accelerator_hours")
    if UNLIMITED in (core_s, accelerator_s) or not (core_s or accelerator_s):
        raise InvalidArgument("no hours were used", field="core_hours", way_out="such as 12.5")
    for field in ("grant", "once"):
        if not row[field]:
            raise InvalidArgument("is empty", field=field)
    return Usage(row["grant"], row["once"], core_s, accelerator_s, row["note"])


def _each_once(found: Read[Usage]) -> Read[Usage]:
    first: dict[str, tuple[int, Usage]] = {}
    for number, one in found.rows:
        line, before = first.setdefault(one.once, (number, one))
        if before != one:
            found.wrong.append((number, f"once: '{one.once}' is otherwise on line {line}"))
    return found


def usage_of(ledger: Read[Entry]) -> Read[Usage]:
    """Return what runs and imports used, of a ledger that was read: names as `RUN` has it."""
    found: Read[Usage] = Read([], [*ledger.wrong])
    for number, entry in ledger.rows:
        if sum(one.core_s for one in entry.lines) or sum(one.accelerator_s for one in entry.lines):
            found.wrong.append((number, f"entry {entry.number} does not sum to zero"))
        used = [one for one in entry.lines if one.account == of_grant(entry.grant, USED)]
        core_s = sum(one.core_s for one in used)
        accelerator_s = sum(one.accelerator_s for one in used)
        once = entry.once or (f"{RUN}{entry.run}" if entry.run else "")
        if once and (core_s or accelerator_s):
            found.rows.append((number, Usage(entry.grant, once, core_s, accelerator_s, entry.note)))
    return _each_once(found)


def _read(
    rows: Iterable[tuple[int, dict[str, str] | FederationError]],
    make: Callable[[dict[str, str]], R],
) -> Read[R]:
    found: Read[R] = Read([], [])
    for number, row in rows:
        try:
            if isinstance(row, FederationError):
                raise row
            found.rows.append((number, make(row)))
        except FederationError as error:
            found.wrong.append((number, str(error)))
    return found


def _rows(
    text: str, name: str, columns: tuple[str, ...], *, required: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str] | FederationError]]:
    """Yield the rows with their lines; spreadsheets may have put semicolons between cells."""
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    between = ";" if ";" in first and "," not in first else ","
    reader = csv.DictReader(
        io.StringIO(text, newline=""), restkey="", restval="", delimiter=between
    )
    heads = reader.fieldnames or ()
    unknown = [head for head in heads if head not in columns]
    missing = [head for head in required if head not in heads]
    if unknown or missing:
        what = f"no column '{missing[0]}'" if missing else f"an unknown column '{unknown[0]}'"
        raise InvalidArgument(
            f"has {what} in its first line", field=name, way_out=f"columns: {', '.join(columns)}"
        )
    for row in reader:
        if "" in row:
            yield reader.line_num, InvalidArgument("has too many cells")
        else:
            yield reader.line_num, {head: row.get(head, "") for head in columns}


def _granted(row: dict[str, str]) -> Granted:
    pool = Pool(
        row["pool"], _one_of(PoolKind, row["kind"] or "res", "kind"),
        _one_of(AccessMode, row["mode"], "mode"),
    )  # fmt: skip
    project = Project(row["project"], row["title"], row["home"])
    grant = Grant(
        row["grant"], project.id, pool.id, row["machine"], instant(row["begins"], "begins"),
        instant(row["ends"], "ends"), seconds(row["core_hours"], "core_hours"),
        seconds(row["accelerator_hours"], "accelerator_hours"), priority(row["priority"]),
        row["activity"],
    )  # fmt: skip
    return Granted(checked_grant(grant), checked_pool(pool), checked_project(project))


def _one_of(kind: type[T], text: str, field: str) -> T:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(one for one in kind if one)
        raise InvalidArgument(f"'{text}' is not one of {known}", field=field) from None


def write_grants(granted: Iterable[Granted]) -> str:
    """Return a file of grants."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(GRANT_COLUMNS)
    for one in granted:
        grant, pool, project = one.grant, one.pool, one.project
        writer.writerow((
            grant.id, grant.project, grant.pool, pool.kind, pool.mode, grant.machine,
            written_instant(grant.begins), written_instant(grant.ends), hours(grant.core_s),
            hours(grant.accelerator_s), grant.letter, grant.activity, project.home, project.title,
        ))  # fmt: skip
    return out.getvalue()


def priority(text: str) -> int:
    """Read a priority class: a letter; A where none is given."""
    if not text:
        return 0
    if len(text) != 1 or not "A" <= text.upper() <= "Z":
        raise InvalidArgument(f"'{text}' is not a letter from A to Z", field="priority")
    return ord(text.upper()) - ord("A")


def seconds(text: str, field: str) -> int:
    """Read hours as seconds; nothing is 0, `WITHOUT_BOUND` is `UNLIMITED`."""
    if not text or text == WITHOUT_BOUND:
        return UNLIMITED if text else 0
    try:
        whole, *rest = text.split(":")
        found = Decimal(whole) * _HOUR
        if rest:
            minutes, second = rest
            found += int(minutes) * 60 + int(second)
    except (InvalidOperation, ValueError):
        found = Decimal("NaN")
    if not (found.is_finite() and 0 <= found < MOST) or found != int(found):
        raise InvalidArgument(
            f"'{text}' is not a number of hours, exact to the second", field=field,
            way_out=f"such as 1000, 0.25 or 12:30:00, or {WITHOUT_BOUND}",
        )  # fmt: skip
    return int(found)


def hours(amount: int) -> str:
    """Write seconds as hours that `seconds` reads back."""
    if amount == UNLIMITED:
        return WITHOUT_BOUND
    whole, rest = divmod(amount, _HOUR)
    return str(whole) if rest == 0 else f"{whole}:{rest // 60:02}:{rest % 60:02}"


def instant(text: str, field: str) -> float:
    """Read a time as UTC seconds."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"'{text}' is not a time", field=field, way_out="such as 2026-11-01 or 2026-11-01T12:00"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def written_instant(at: float) -> str:
    """Write a time so that `instant` reads it back."""
    return datetime.fromtimestamp(min(at, _LAST), UTC).isoformat()


_LAST = 253_402_300_799.0


def write_ledger(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the lines of a ledger as CSV, headings first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(LEDGER_COLUMNS)
    for entry in entries:
        for one in entry.lines or (Line(""),):
            writer.writerow((
                entry.number, written_instant(entry.at), entry.kind, entry.grant, entry.project,
                entry.run, entry.once, one.account, one.core_s, one.accelerator_s, one.units,
                entry.note,
            ))  # fmt: skip
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def read_ledger(text: str, name: str) -> Read[Entry]:
    """Read a ledger that `write_ledger` wrote, each entry by its first line; raises as others."""
    lines = _read(_rows(text, name, LEDGER_COLUMNS, required=LEDGER_COLUMNS), _entry)
    found: dict[int, tuple[int, Entry]] = {}
    for number, one in lines.rows:
        line, old = found.get(one.number, (number, None))
        entry = one if old is None else replace(old, lines=(*old.lines, *one.lines))
        found[one.number] = (line, entry)
    return Read([*found.values()], lines.wrong)


def _entry(row: dict[str, str]) -> Entry:
    amounts = []
    for field in ("number", "core_s", "accelerator_s", "units"):
        try:
            amounts.append(int(row[field]))
        except ValueError:
            raise InvalidArgument(f"'{row[field]}' is no number", field=field) from None
    number, *rest = amounts
    lines = (Line(row["account"], *rest),) if row["account"] else ()
    return Entry(
        number, instant(row["time"], "time"), row["kind"], row["grant"], row["project"],
        row["run"], lines, row["once"], row["note"],
    )  # fmt: skip


class _Factor(BaseModel):
    model_config = ConfigDict(extra="forbid")
    of: str
    thousandths: Annotated[int, Field(ge=0, le=10**9)]
    confidence: str
    note: str


class _Factors(BaseModel):
    model_config = ConfigDict(extra="forbid")
    unit: str
    core: list[_Factor] = Field(default_factory=list)
    accelerator: list[_Factor] = Field(default_factory=list)


def load_factors(directory: Path) -> dict[str, int]:
    """Read ``exchange.toml`` of a catalogue: thousandths of a unit, as `exchange.units` reads them.

    Raises:
        InvalidArgument: If the file is wrong; one that is not there gives no factors.

    """
    path = directory / "exchange.toml"
    if not path.is_file():
        return {}
    try:
        found = _Factors.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError) as error:
        raise InvalidArgument(f"{error}".splitlines()[0], field=str(path)) from None
    rates = {one.of or CORE: one.thousandths for one in found.core}
    return rates | {one.of or ACCELERATOR: one.thousandths for one in found.accelerator}
