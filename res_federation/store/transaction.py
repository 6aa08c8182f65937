"""A step as rows, and the few statements that write them.

Many rows go into one statement: the interpreter's lock is given up and taken again once a
statement, and a server is asked once a statement, not once a row.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from res_federation.control.effects import SiteChanged
from res_federation.errors import FailedPrecondition, InvalidArgument
from res_federation.model.audit_chain import packed
from res_federation.model.identifiers import JobId, site_of
from res_federation.model.job import Job, script_bytes
from res_federation.store import ledger as accounts
from res_federation.store import rows
from res_federation.store.failures import FIELD
from res_federation.store.step import Step
from res_federation.store.tables import (
    balances,
    books,
    events,
    forecast_errors,
    forecasts,
    frames,
    jobs,
    ledger,
    outcomes,
    scripts,
    sites,
    users,
)

_MOST_ROWS = 256  # of a statement; 20 columns of a job make 5,120 of SQLite's 32,766 values
_MOST_SCRIPTS = 16  # of a statement: 64 MiB when each is as large as may be

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Rows by table.

    Attributes:
        scripts: Content by digest, where it may not be there yet.
        made: Whole rows of jobs.
        changed: The identifier of a job and the columns that change.
        events: Of the log.
        sites: Values by site.
        frames: As they are packed.
        users: What is known of users, as it is packed.
        forecasts: What jobs were told of when they start.
        outcomes: What became of that.
        errors: How good all of them were, by site.
        records: Pools, projects, members and grants.
        entries: Of the ledger.
        balances: What these move, by account.
        audit: Entries of the audit log, packed.

    """

    scripts: dict[bytes, bytes]
    made: list[Row]
    changed: list[Row]
    events: list[Row]
    sites: dict[str, dict[str, Any]]
    frames: list[dict[str, bytes]]
    users: dict[str, bytes]
    forecasts: list[Row]
    outcomes: list[Row]
    errors: dict[str, bytes]
    records: list[Row]
    entries: list[Row]
    balances: list[Row]
    audit: list[bytes]


def pack(step: Step, known: Container[bytes]) -> Transaction:
    """Return *step* as rows, without the scripts whose digests are *known* to be there.

    Raises:
        InvalidArgument: If a job holds what cannot be written down (a lone surrogate).

    """
    fresh: dict[bytes, bytes] = {}
    made, changed = [], []
    new = step.new
    for job in step.jobs.values():
        try:
            if job.id in new:
                made.append(_made(job, known, fresh))
            else:
                changed.append((job.id, *rows.changing(job)))
        except (UnicodeError, OverflowError, TypeError) as error:
            raise _unfit(job.id, error) from error
    return Transaction(
        scripts=fresh,
        made=made,
        changed=changed,
        events=[rows.event(one) for one in step.events],
        sites={
            one.site: {
                "drained": one.drained,
                "reason": rows.storable(one.reason),
                "since": one.at,
            }
            for one in step.events
            if isinstance(one, SiteChanged)
        },
        frames=[
            {"frame": frame, "partitions": rows.pack_frame(partitions)}
            for frame, partitions in step.frames.items()
        ],
        users={
            rows.storable(user): rows.pack_history(ratios) for user, ratios in step.history.items()
        },
        forecasts=[(job, rows.pack_forecast(said)) for job, said in step.forecasts.items()],
        outcomes=[rows.outcome(revision, one) for revision, one in step.outcomes.items()],
        errors={
            site_of(one.partition): rows.pack_error(one.error) for one in step.outcomes.values()
        },
        records=accounts.records(step.books),
        entries=[accounts.entry_row(entry) for entry in step.entries],
        balances=accounts.moved(step.entries),
        audit=[packed(entry) for entry in step.audit],
    )


def _made(job: Job, known: Container[bytes], fresh: dict[bytes, bytes]) -> Row:
    content = script_bytes(job.spec.script)
    digest = rows.digest_of(content)
    if digest not in known:
        fresh[digest] = content
    return (*rows.fixed(job, digest), *rows.changing(job))


def _unfit(job: JobId, error: Exception) -> InvalidArgument:
    return InvalidArgument(f"job {job} cannot be written down: {error}", field="spec")


def write(connection: Connection, transaction: Transaction) -> None:
    """Write *transaction* on *connection*; its caller begins and commits.

    Raises:
        FailedPrecondition: If a job is to change that has no row.

    """
    dialect = connection.dialect.name
    for most, statement, values in (
        (_MOST_SCRIPTS, _insert_scripts, list(transaction.scripts.items())),
        (_MOST_ROWS, _insert_jobs, transaction.made),
        (_MOST_ROWS, _insert_events, transaction.events),
        (_MOST_ROWS, _insert_forecasts, transaction.forecasts),
        (_MOST_ROWS, _insert_outcomes, transaction.outcomes),
        (_MOST_ROWS, _insert_records, transaction.records),
        (_MOST_ROWS, _insert_entries, transaction.entries),
        (_MOST_ROWS, _add_to_balances, transaction.balances),
    ):
        _each(connection, most, statement, values)
    if transaction.changed:
        found = _each(connection, _MOST_ROWS, _update_jobs, transaction.changed)
        if found != len(transaction.changed):
            missing = len(transaction.changed) - found
            raise FailedPrecondition(
                f"{missing} of the jobs that change are not in the database: nothing was written",
                field=FIELD,
            )
    either = postgresql.insert if dialect == "postgresql" else sqlite.insert
    for frame in transaction.frames:
        connection.execute(either(frames).values(frame).on_conflict_do_nothing())
    for site, error in transaction.errors.items():
        connection.execute(
            either(forecast_errors)
            .values(site=site, error=error)
            .on_conflict_do_update(index_elements=[forecast_errors.c.site], set_={"error": error})
        )
    for user, history in transaction.users.items():
        connection.execute(
            either(users)
            .values(user=user, history=history)
            .on_conflict_do_update(index_elements=[users.c.user], set_={"history": history})
        )
    for site, values_of in transaction.sites.items():
        connection.execute(
            either(sites)
            .values(site=site, **values_of)
            .on_conflict_do_update(index_elements=[sites.c.site], set_=values_of)
        )


def _each(
    connection: Connection,
    most: int,
    statement: Callable[[str, int], str],
    values: Sequence[Row],
) -> int:
    """Write *values* in pieces of 2**n rows, so that few statements are ever prepared."""
    at = found = 0
    dialect = connection.dialect.name
    while at < len(values):
        count = min(most, 1 << ((len(values) - at).bit_length() - 1))
        flat = tuple(chain.from_iterable(values[at : at + count]))
        found += connection.exec_driver_sql(statement(dialect, count), flat).rowcount
        at += count
    return found


@cache
def _insert_scripts(dialect: str, count: int) -> str:
    return _insert(scripts, ("sha256", "content"), dialect, count) + " ON CONFLICT DO NOTHING"


@cache
def _insert_jobs(dialect: str, count: int) -> str:
    return _insert(jobs, rows.FIXED + rows.CHANGING, dialect, count)


@cache
def _insert_events(dialect: str, count: int) -> str:
    return _insert(events, rows.EVENT, dialect, count)


@cache
def _insert_forecasts(dialect: str, count: int) -> str:
    return _insert(forecasts, rows.FORECAST, dialect, count) + " ON CONFLICT DO NOTHING"


@cache
def _insert_outcomes(dialect: str, count: int) -> str:
    return _insert(outcomes, rows.OUTCOME, dialect, count)


@cache
def _insert_records(dialect: str, count: int) -> str:
    return (
        _insert(books, accounts.RECORD, dialect, count)
        + " ON CONFLICT (kind, name) DO UPDATE SET record = excluded.record"
    )


@cache
def _insert_entries(dialect: str, count: int) -> str:
    return _insert(ledger, accounts.COLUMNS, dialect, count)


@cache
def _add_to_balances(dialect: str, count: int) -> str:
    sums = ", ".join(f"{name} = balances.{name} + excluded.{name}" for name in accounts.BALANCE[1:])
    return (
        _insert(balances, accounts.BALANCE, dialect, count)
        + f" ON CONFLICT (account) DO UPDATE SET {sums}"
    )


@cache
def _update_jobs(dialect: str, count: int) -> str:
    # A column of VALUES that is null in every row has no type of its own on PostgreSQL.
    types: Dialect = (postgresql if dialect == "postgresql" else sqlite).dialect()
    changes = ", ".join(
        f'"{name}" = CAST(changed.column{number} AS {jobs.c[name].type.compile(types)})'
        for number, name in enumerate(rows.CHANGING, start=2)
    )
    values = _values(1 + len(rows.CHANGING), dialect, count)
    return (
        f"UPDATE jobs SET {changes}"  # noqa: S608 - our own names only
        f" FROM ({values}) AS changed WHERE jobs.job = changed.column1"
    )


def _insert(table: Table, columns: Sequence[str], dialect: str, count: int) -> str:
    return f"INSERT INTO {table.name} ({_names(columns)}) {_values(len(columns), dialect, count)}"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _values(width: int, dialect: str, count: int) -> str:
    mark = "%s" if dialect == "postgresql" else "?"
    row = f"({', '.join([mark] * width)})"
    return f"VALUES {', '.join([row] * count)}"
