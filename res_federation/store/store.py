"""The store: one transaction a step, and the questions that services ask."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from res_federation.control.effects import SiteChanged
from res_federation.errors import InvalidArgument, NotFound
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job
from res_federation.model.job_state import FINAL
from res_federation.store import rows
from res_federation.store.connect import Hold, open_engine
from res_federation.store.failures import told
from res_federation.store.filters import JobFilter
from res_federation.store.migrate import upgrade
from res_federation.store.step import Step
from res_federation.store.tables import events, frames, jobs, scripts, sites

_MOST_A_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a broker begins with.

    Attributes:
        jobs: Those that have not ended; their scripts stay on disk.
        keys: Job by (user, idempotency key), ended ones too.
        drained: Reason by site.
        last_revision: Number of the newest event.
        frames: Partitions by frame identifier.

    """

    jobs: list[Job]
    keys: dict[tuple[str, str], JobId]
    drained: dict[str, str]
    last_revision: int
    frames: dict[bytes, tuple[PartitionId, ...]]


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log."""

    revision: int
    kind: str
    job: str
    site: str
    at: float
    data: dict[str, str | int | float]


class Store:
    """A database of one federation. `open` it; close it at the end."""

    def __init__(self, engine: AsyncEngine, hold: Hold) -> None:
        """Keep the engine and the lock that keeps other brokers out."""
        self._engine = engine
        self._hold = hold
        self._known_scripts: set[bytes] = set()

    @classmethod
    async def open(cls, url: str) -> Store:
        """Open or make the database at *url* and bring its tables up to date.

        Raises:
            InvalidArgument: If the URL is wrong or the place cannot be written.
            FailedPrecondition: If another broker uses it, or a newer version made it.
            Unavailable: If the server does not answer.
            ResourceExhausted: If the disk is full.

        """
        engine, hold = await open_engine(url)
        try:
            with told(engine.url):
                async with engine.begin() as connection:
                    await connection.run_sync(upgrade)
        except BaseException:
            await engine.dispose()
            await hold.release()
            raise
        return cls(engine, hold)

    async def close(self) -> None:
        """Close every connection and let other brokers in."""
        await self._engine.dispose()
        await self._hold.release()

    async def commit(self, step: Step) -> None:
        """Write *step* in one transaction; when this returns it is on disk.

        Raises:
            FederationError: If it could not be written; then nothing of it was.

        """
        fresh: dict[bytes, bytes] = {}
        with told(self._engine.url):
            async with self._engine.begin() as connection:
                await connection.run_sync(self._write, step, fresh)
        self._known_scripts |= fresh.keys()

    def _write(self, connection: Connection, step: Step, fresh: dict[bytes, bytes]) -> None:
        made, changed = [], []
        for job in step.jobs.values():
            if job.id in step.new:
                digest = rows.digest_of(job.spec.script)
                if digest not in self._known_scripts and digest not in fresh:
                    fresh[digest] = rows.script_bytes(job.spec.script)
                made.append(rows.new(job, digest))
            else:
                changed.append({"this": job.id, **rows.changing(job)})
        either = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        if fresh:
            connection.execute(
                either(scripts).on_conflict_do_nothing(),
                [{"sha256": digest, "content": content} for digest, content in fresh.items()],
            )
        if made:
            connection.execute(insert(jobs), made)
        if changed:
            connection.execute(update(jobs).where(jobs.c.job == bindparam("this")), changed)
        if step.events:
            connection.execute(insert(events), [rows.event(one) for one in step.events])
        for frame, partitions in step.frames.items():
            row = {"frame": frame, "partitions": rows.pack_frame(partitions)}
            connection.execute(either(frames).values(row).on_conflict_do_nothing())
        for one in step.events:
            if isinstance(one, SiteChanged):
                values = {"drained": one.drained, "reason": one.reason, "since": one.at}
                connection.execute(
                    either(sites)
                    .values(site=one.site, **values)
                    .on_conflict_do_update(index_elements=[sites.c.site], set_=values)
                )

    async def load_live(self) -> Loaded:
        """Return what a broker begins with; raises FederationError."""
        ended = [str(state) for state in FINAL]
        with told(self._engine.url):
            async with self._engine.connect() as connection:
                live = await connection.execute(select(jobs).where(jobs.c.state.not_in(ended)))
                keyed = await connection.execute(
                    select(jobs.c.user, jobs.c.idempotency_key, jobs.c.job).where(
                        jobs.c.idempotency_key.is_not(None)
                    )
                )
                drained = await connection.execute(select(sites).where(sites.c.drained))
                newest = await connection.execute(
                    select(events.c.revision).order_by(events.c.revision.desc()).limit(1)
                )
                framed = await connection.execute(select(frames))
        return Loaded(
            jobs=[rows.job_of(row) for row in live.mappings()],
            keys={(user, key): JobId(job) for user, key, job in keyed},
            drained={row["site"]: row["reason"] for row in drained.mappings()},
            last_revision=newest.scalar() or 0,
            frames={
                bytes(row["frame"]): rows.frame_of(row["partitions"]) for row in framed.mappings()
            },
        )

    async def job(self, job: JobId) -> Job | None:
        """Return a job, or None; raises FederationError."""
        with told(self._engine.url):
            async with self._engine.connect() as connection:
                found = await connection.execute(select(jobs).where(jobs.c.job == job))
        row = found.mappings().first()
        return None if row is None else rows.job_of(row)

    async def script(self, job: JobId) -> str:
        """Return a job's script; raises NotFound and FederationError."""
        wanted = (
            select(scripts.c.content)
            .join(jobs, jobs.c.script == scripts.c.sha256)
            .where(jobs.c.job == job)
        )
        with told(self._engine.url):
            async with self._engine.connect() as connection:
                content = (await connection.execute(wanted)).scalar()
        if content is None:
            raise NotFound(f"the script of job {job} is not in the store")
        return rows.text_of(content)

    async def jobs(
        self, wanted: JobFilter, page_size: int, page_token: str
    ) -> tuple[list[Job], str]:
        """Return a page of jobs, newest first, and the token of the next one ("" at the end).

        Pages are stable while jobs are added: newer ones belong before the first page.

        Raises:
            InvalidArgument: If the size or the token is wrong.

        """
        if not 1 <= page_size <= _MOST_A_PAGE:
            raise InvalidArgument(
                f"{page_size} is not between 1 and {_MOST_A_PAGE}", field="page_size"
            )
        query = _where(select(jobs), wanted).order_by(jobs.c.job.desc()).limit(page_size + 1)
        if page_token:
            query = query.where(jobs.c.job < _read_token(page_token))
        with told(self._engine.url):
            async with self._engine.connect() as connection:
                found = (await connection.execute(query)).mappings().all()
        page = [rows.job_of(row) for row in found[:page_size]]
        return page, _token(page[-1].id) if len(found) > page_size else ""

    async def events(
        self, after: int = 0, limit: int = 1000, job: JobId | None = None
    ) -> Sequence[Logged]:
        """Return events with a revision above *after*, in order."""
        query = select(events).where(events.c.revision > after)
        if job is not None:
            query = query.where(events.c.job == job)
        with told(self._engine.url):
            async with self._engine.connect() as connection:
                found = await connection.execute(query.order_by(events.c.revision).limit(limit))
        return [
            Logged(
                row["revision"], row["kind"], row["job"] or "", row["site"] or "", row["at"],
                rows.data_of(row["data"]),
            )
            for row in found.mappings()
        ]  # fmt: skip


def _where(query: Select[tuple[object, ...]], wanted: JobFilter) -> Select[tuple[object, ...]]:
    if wanted.states:
        query = query.where(jobs.c.state.in_(wanted.states))
    if wanted.active:
        query = query.where(jobs.c.state.not_in([str(state) for state in FINAL]))
    for column, value in (
        (jobs.c.user, wanted.user), (jobs.c.site, wanted.site), (jobs.c.name, wanted.name),
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    return query


def _token(job: JobId) -> str:
    return base64.urlsafe_b64encode(f"v1:{job}".encode()).decode()


def _read_token(token: str) -> str:
    try:
        version, _, job = base64.urlsafe_b64decode(token).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        version, job = "", ""
    if version != "v1" or len(job) != 26:
        raise InvalidArgument(
            "is not one that this broker gave out", field="page_token", way_out="begin again"
        )
    return job
