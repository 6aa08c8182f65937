"""Intent before act: what the agent was told to run and how far that got, safe against kill -9.

A run moves ``intended -> submitting -> accepted | refused``, then ``ended``, then ``forgotten``.
A forgotten run stays as a tombstone, so that an old order can never start its token again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from res_federation.agent.disk import open_database, saying, transaction
from res_federation.agent.packed_spec import pack_spec, unpack_spec
from res_federation.errors import FailedPrecondition
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec, RunObservation

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run (
    token TEXT PRIMARY KEY,
    partition TEXT NOT NULL,
    phase TEXT NOT NULL,
    spec BLOB,
    fenced INTEGER NOT NULL DEFAULT 0,
    batch_id TEXT NOT NULL DEFAULT '',
    observation BLOB,
    changed REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_by_phase ON run (phase, changed);
"""


class Phase(StrEnum):
    """How far a run got."""

    INTENDED = "intended"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    ENDED = "ended"
    """Over, refused ones too; the observation says how."""
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Entry:
    """A run as the journal has it; the observation is there once it has ended."""

    token: RunToken
    partition: PartitionId
    phase: Phase
    spec: JobSpec
    batch_id: str = ""
    observation: RunObservation | None = None
    fenced: bool = False
    yields_s: float = 0.0
    """Not kept over a restart: a run that was not submitted by then gives way to nobody."""


def _take_lock(path: Path) -> int:
    """Hold *path* for this process alone; the descriptor does not pass to children."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise FailedPrecondition(
            f"the state directory '{path.parent}' is in use by another agent (process {owner})",
            field="--state",
            way_out="give each agent a directory of its own, or stop the other one",
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


class Journal:
    """The runs of one agent, in ``STATE/journal.sqlite``.

    Raises:
        FailedPrecondition: If another agent holds the directory, or it is another site's.
        ResourceExhausted: From every method, if the disk is full or not writable.

    """

    def __init__(self, state: Path, site: SiteId) -> None:
        """Open the journal under *state*, or make it."""
        self.path = state / "journal.sqlite"
        with saying(state):
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _take_lock(state / "lock")
        try:
            self._database = open_database(self.path, _SCHEMA)
            self._add_what_is_new()
            self.id = self._meta("journal", secrets.token_hex(16))
            self._check_owner(state, site)
        except BaseException:
            os.close(self._lock)
            raise

    def _add_what_is_new(self) -> None:
        """Give a journal of an earlier version its newer columns."""
        with transaction(self._database, self.path) as database:
            columns = {row[1] for row in database.execute("PRAGMA table_info(run)")}
            if "fenced" not in columns:
                database.execute("ALTER TABLE run ADD COLUMN fenced INTEGER NOT NULL DEFAULT 0")

    def _check_owner(self, state: Path, site: SiteId) -> None:
        owner = self._meta("site", site)
        if owner != site:
            raise FailedPrecondition(
                f"the state directory '{state}' belongs to site '{owner}', not to '{site}'",
                field="--state",
                way_out="give each site a directory of its own",
            )

    def _meta(self, key: str, value: str) -> str:
        """Return what is kept under *key*; the first call keeps *value*."""
        with transaction(self._database, self.path) as database:
            database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
            row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    def intend(
        self, runs: Iterable[tuple[RunToken, PartitionId, JobSpec, bool]], at: float
    ) -> list[RunToken]:
        """Write intents in one transaction; return the tokens that were not known before."""
        fresh: list[RunToken] = []
        with transaction(self._database, self.path) as database:
            for token, partition, spec, fenced in runs:
                done = database.execute(
                    "INSERT OR IGNORE INTO run (token, partition, phase, spec, fenced, changed)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (token, partition, Phase.INTENDED, pack_spec(spec), fenced, at),
                )
                if done.rowcount:
                    fresh.append(token)
        return fresh

    def submitting(self, tokens: Sequence[RunToken], at: float) -> None:
        """Say that these are about to be handed to the batch system."""
        with transaction(self._database, self.path) as database:
            database.executemany(
                "UPDATE run SET phase = ?, changed = ? WHERE token = ?",
                [(Phase.SUBMITTING, at, token) for token in tokens],
            )

    def accepted(self, numbers: dict[RunToken, str], at: float) -> None:
        """Keep the batch system's numbers of runs that it took."""
        with transaction(self._database, self.path) as database:
            database.executemany(
                "UPDATE run SET phase = ?, batch_id = ?, changed = ? WHERE token = ?",
                [(Phase.ACCEPTED, number, at, token) for token, number in numbers.items()],
            )

    def ended(self, observations: Iterable[RunObservation], at: float) -> None:
        """Keep how runs ended."""
        with transaction(self._database, self.path) as database:
            database.executemany(
                "UPDATE run SET phase = ?, observation = ?, changed = ? WHERE token = ?",
                [(Phase.ENDED, msgspec.msgpack.encode(o), at, o.token) for o in observations],
            )

    def forget(self, tokens: Iterable[RunToken], at: float) -> None:
        """Turn ended runs into tombstones; runs that have not ended stay."""
        with transaction(self._database, self.path) as database:
            database.executemany(
                "UPDATE run SET phase = ?, spec = NULL, observation = NULL, changed = ?"
                " WHERE token = ? AND phase = ?",
                [(Phase.FORGOTTEN, at, token, Phase.ENDED) for token in tokens],
            )

    def live(self) -> list[Entry]:
        """Return every run that is not forgotten, by token."""
        with saying(self.path):
            rows = self._database.execute(
                "SELECT token, partition, phase, spec, batch_id, observation, fenced FROM run"
                " WHERE phase <> ? ORDER BY token",
                (Phase.FORGOTTEN,),
            ).fetchall()
        return [
            Entry(
                token=RunToken(token),
                partition=PartitionId(partition),
                phase=Phase(phase),
                spec=unpack_spec(spec),
                batch_id=batch_id,
                observation=None
                if observation is None
                else msgspec.msgpack.decode(observation, type=RunObservation),
                fenced=bool(fenced),
            )
            for token, partition, phase, spec, batch_id, observation, fenced in rows
        ]

    def forgotten_before(self, at: float) -> list[RunToken]:
        """Return the tombstones that are older than *at*: their files may go."""
        with saying(self.path):
            rows = self._database.execute(
                "SELECT token FROM run WHERE phase = ? AND changed < ?", (Phase.FORGOTTEN, at)
            ).fetchall()
        return [RunToken(row[0]) for row in rows]

    def close(self) -> None:
        """Close the database and let the directory go."""
        self._database.close()
        os.close(self._lock)
