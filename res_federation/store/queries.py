"""The questions that the broker asks of what is on disk. Each raises FederationError."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from res_federation.accounting.books import Books
from res_federation.accounting.ledger import Entry
from res_federation.errors import InvalidArgument, NotFound
from res_federation.model.forecast import ForecastError, Outcome
from res_federation.model.identifiers import JobId, PartitionId, SiteId
from res_federation.model.job import Job
from res_federation.model.job_state import FINAL, JobState
from res_federation.model.visible import EVERYTHING, Visible
from res_federation.placement import likely
from res_federation.store import ledger, rows
from res_federation.store.failures import Place
from res_federation.store.filters import JobFilter, page_token, read_page_token
from res_federation.store.ledger import EntryFilter
from res_federation.store.tables import (
    events,
    forecast_errors,
    forecasts,
    frames,
    jobs,
    outcomes,
    scripts,
    shares,
    sites,
    users,
)

_MOST_A_PAGE = 1000
_MOST_IN_A_QUESTION = 1000
_TOLD = select(jobs, forecasts.c.forecast).outerjoin(forecasts, jobs.c.job == forecasts.c.job)
# "Is one of these" finds the few live jobs by the index of states; "is none of those" reads all.
_LIVE = sorted(str(state) for state in JobState if state not in FINAL)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a broker begins with.

    Attributes:
        jobs: Those that have not ended, oldest first; their scripts stay on disk.
        keys: Job by (user, idempotency key), ended ones too.
        drained: Reason by site.
        last_revision: Number of the newest event.
        frames: Partitions by frame identifier.
        history: Run time over limit of each user's newest ended jobs.
        outcomes: The newest forecasts whose jobs have started, the oldest first.
        errors: How good all forecasts were, by site.
        books: Projects, grants and balances.

    """

    jobs: list[Job]
    keys: dict[tuple[str, str], JobId]
    drained: dict[str, str]
    last_revision: int
    frames: dict[bytes, tuple[PartitionId, ...]]
    history: dict[str, tuple[float, ...]]
    outcomes: list[Outcome]
    errors: dict[SiteId, ForecastError]
    books: Books


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log."""

    revision: int
    kind: str
    job: str
    site: str
    at: float
    data: dict[str, str | int | float]


class Queries:
    """Reads; never writes, and never waits for who does."""

    def __init__(self, engine: AsyncEngine, place: Place) -> None:
        """Read from *engine*, called *place* before people."""
        self._engine = engine
        self._place = place

    async def load_live(self) -> Loaded:
        """Return what a broker begins with."""
        live = _TOLD.where(jobs.c.state.in_(_LIVE)).order_by(jobs.c.job)
        newest_outcomes = (
            select(outcomes.c.outcome).order_by(outcomes.c.revision.desc()).limit(likely.WINDOW)
        )
        keys = select(jobs.c.user, jobs.c.idempotency_key, jobs.c.job)
        keys = keys.where(jobs.c.idempotency_key.is_not(None))
        newest = select(events.c.revision).order_by(events.c.revision.desc()).limit(1)
        with self._place.told():
            async with self._engine.connect() as connection:
                found = await connection.execute(live)
                keyed = await connection.execute(keys)
                drained = await connection.execute(select(sites).where(sites.c.drained))
                revision = await connection.execute(newest)
                framed = await connection.execute(select(frames))
                known = await connection.execute(select(users))
                seen = await connection.execute(newest_outcomes)
                erred = await connection.execute(select(forecast_errors))
                accounts = await connection.run_sync(ledger.load)
        return Loaded(
            jobs=[rows.job_of(row) for row in found.mappings()],
            keys={(rows.given(user), rows.given(key)): JobId(job) for user, key, job in keyed},
            drained={row["site"]: rows.given(row["reason"]) for row in drained.mappings()},
            last_revision=revision.scalar() or 0,
            frames={
                bytes(row["frame"]): rows.frame_of(row["partitions"]) for row in framed.mappings()
            },
            history={
                rows.given(row["user"]): rows.history_of(row["history"]) for row in known.mappings()
            },
            outcomes=[rows.outcome_of(packed) for (packed,) in reversed(seen.all())],
            errors={SiteId(site): rows.error_of(packed) for site, packed in erred},
            books=accounts,
        )

    async def job(self, job: JobId) -> Job | None:
        """Return a job without its script, or None."""
        found = await self._all(_TOLD.where(jobs.c.job == job))
        return rows.job_of(found[0]) if found else None

    async def present(self, wanted: Collection[JobId]) -> frozenset[JobId]:
        """Return those of *wanted* that the store has, ended ones too."""
        found: set[JobId] = set()
        listed = sorted(wanted)
        for at in range(0, len(listed), _MOST_IN_A_QUESTION):
            some = listed[at : at + _MOST_IN_A_QUESTION]
            query = select(jobs.c.job).where(jobs.c.job.in_(some))
            found.update(JobId(row["job"]) for row in await self._all(query))
        return frozenset(found)

    async def script(self, job: JobId) -> str:
        """Return a job's script; raises NotFound."""
        wanted = (
            select(scripts.c.content)
            .join(jobs, jobs.c.script == scripts.c.sha256)
            .where(jobs.c.job == job)
        )
        found = await self._all(wanted)
        if not found:
            raise NotFound(f"the script of job {job} is not in the store")
        return rows.text_of(found[0]["content"])

    async def jobs(
        self, wanted: JobFilter, page_size: int, token: str, seen: Visible = EVERYTHING
    ) -> tuple[list[Job], str]:
        """Return a page of jobs, newest first, and the token of the next one ("" at the end).

        Pages are stable while jobs are added: newer ones belong before the first page.
        Only jobs that somebody may see (*seen*) are in it; a filter for names finds none of those
        whose names they may not see.

        Raises:
            InvalidArgument: If the size or the token is wrong.

        """
        if not 1 <= page_size <= _MOST_A_PAGE:
            raise InvalidArgument(
                f"{page_size} is not between 1 and {_MOST_A_PAGE}", field="page_size"
            )
        named = bool(wanted.user or wanted.name or wanted.project)
        query = _seen_by(_where(_TOLD, wanted), seen, names=named)
        query = query.order_by(jobs.c.job.desc()).limit(page_size + 1)
        if token:
            query = query.where(jobs.c.job < read_page_token(token, wanted))
        found = await self._all(query)
        page = [rows.job_of(row) for row in found[:page_size]]
        return page, page_token(page[-1].id, wanted) if len(found) > page_size else ""

    async def events(
        self, after: int = 0, limit: int = 1000, job: JobId | None = None
    ) -> list[Logged]:
        """Return at most *limit* events with a revision above *after*, in order."""
        query = select(events).where(events.c.revision > after)
        if job is not None:
            query = query.where(events.c.job == job)
        return [
            Logged(
                row["revision"], row["kind"], row["job"] or "", row["site"] or "", row["at"],
                rows.data_of(row["data"]),
            )
            for row in await self._all(query.order_by(events.c.revision).limit(limit))
        ]  # fmt: skip

    async def entries(self, wanted: EntryFilter, limit: int) -> list[Entry]:
        """Return the first *limit* entries of the ledger that are *wanted*, by number."""
        return [ledger.entry_of(row) for row in await self._all(ledger.page(wanted, limit))]

    async def posted_once(self, names: Collection[str]) -> frozenset[str]:
        """Return those of *names* that were posted already."""
        found: set[str] = set()
        for question in ledger.names_there(names):
            found.update(rows.given(row["once"]) for row in await self._all(question))
        return frozenset(found)

    async def _all(self, query: Select[Any]) -> Sequence[Any]:
        with self._place.told():
            async with self._engine.connect() as connection:
                found: Sequence[Any] = (await connection.execute(query)).mappings().all()
                return found


def _seen_by(query: Select[Any], seen: Visible, *, names: bool) -> Select[Any]:
    if seen.everything or (seen.anonymised and not names):
        return query
    ways: list[ColumnElement[bool]] = [
        jobs.c.project.in_([rows.storable(name) for name in sorted(seen.projects)]),
    ]
    if seen.user:
        ways.append(jobs.c.user == rows.storable(seen.user))
    if seen.shared:
        given = [
            and_(shares.c.kind == str(kind), shares.c.name == rows.storable(name))
            for kind, name in sorted(seen.shared)
        ]
        ways.append(jobs.c.job.in_(select(shares.c.job).where(or_(*given))))
    if not names:
        ways.append(jobs.c.site.in_(sorted(seen.sites)))
    return query.where(or_(*ways))


def _where(query: Select[Any], wanted: JobFilter) -> Select[Any]:
    if wanted.states:
        query = query.where(jobs.c.state.in_(wanted.states))
    if wanted.active:
        query = query.where(jobs.c.state.in_(_LIVE))
    for column, value in (
        (jobs.c.user, wanted.user), (jobs.c.site, wanted.site), (jobs.c.name, wanted.name),
        (jobs.c.project, wanted.project),
    ):  # fmt: skip
        if value:
            query = query.where(column == rows.storable(value))
    return query
