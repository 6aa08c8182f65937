"""The local batch system's own books: what it has accepted, under which number, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from res_federation.agent.disk import open_database, saying, transaction
from res_federation.agent.packed_spec import pack_spec, unpack_spec
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import JobSpec, TaskOutcome

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    token TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    partition TEXT NOT NULL,
    directory TEXT NOT NULL,
    submitted REAL NOT NULL,
    spec BLOB,
    outcomes BLOB,
    place INTEGER
);
CREATE INDEX IF NOT EXISTS job_running ON job (number) WHERE outcomes IS NULL;
CREATE TABLE IF NOT EXISTS counter (next INTEGER NOT NULL);
INSERT INTO counter SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM counter);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A job that was accepted and has not ended."""

    token: RunToken
    number: int
    partition: PartitionId
    directory: Path
    submitted: float
    spec: JobSpec


class Ledger:
    """Jobs in ``STATE/local.sqlite``; a job is accepted once its row is on disk.

    Every method raises ResourceExhausted if the disk is full or not writable.
    """

    def __init__(self, state: Path) -> None:
        """Open the books under *state*, or make them."""
        self._path = state / "local.sqlite"
        self._database = open_database(self._path, _SCHEMA)
        with transaction(self._database, self._path) as database:  # books of an earlier version
            columns = {row[1] for row in database.execute("PRAGMA table_info(job)")}
            if "place" not in columns:
                database.execute("ALTER TABLE job ADD COLUMN place INTEGER")

    def accept(
        self,
        token: RunToken,
        partition: PartitionId,
        directory: Path,
        spec: JobSpec,
        at: float,
    ) -> int:
        """Write a job down and return its number; array tasks have the numbers that follow."""
        with transaction(self._database, self._path) as database:
            known = database.execute("SELECT number FROM job WHERE token = ?", (token,)).fetchone()
            if known:
                return int(known[0])
            number = int(
                database.execute(
                    "UPDATE counter SET next = next + ? RETURNING next - ?",
                    (spec.tasks, spec.tasks),
                ).fetchone()[0]
            )
            database.execute(
                "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
                (token, number, partition, str(directory), at, pack_spec(spec), number),
            )
        return number

    def arrange(self, tokens: Sequence[RunToken]) -> None:
        """Give the places of these jobs to them in this order."""
        with transaction(self._database, self._path) as database:
            places = sorted(
                int(row[0])
                for token in tokens
                for row in database.execute(
                    "SELECT coalesce(place, number) FROM job WHERE token = ?", (token,)
                )
            )
            database.executemany(
                "UPDATE job SET place = ? WHERE token = ?", list(zip(places, tokens, strict=True))
            )

    def number(self, token: RunToken) -> int | None:
        """Return the number of a job that was accepted before, or None."""
        with saying(self._path):
            row = self._database.execute(
                "SELECT number FROM job WHERE token = ?", (token,)
            ).fetchone()
        return None if row is None else int(row[0])

    def finish(self, token: RunToken, outcomes: Sequence[TaskOutcome]) -> None:
        """Write down how a job ended."""
        with transaction(self._database, self._path) as database:
            database.execute(
                "UPDATE job SET outcomes = ?, spec = NULL WHERE token = ?",
                (msgspec.msgpack.encode(outcomes), token),
            )

    def finished(self, token: RunToken) -> tuple[int, tuple[TaskOutcome, ...]] | None:
        """Return number and outcomes of a job that has ended, or None."""
        with saying(self._path):
            row = self._database.execute(
                "SELECT number, outcomes FROM job WHERE token = ? AND outcomes IS NOT NULL",
                (token,),
            ).fetchone()
        if row is None:
            return None
        return int(row[0]), msgspec.msgpack.decode(row[1], type=tuple[TaskOutcome, ...])

    def open_jobs(self) -> list[Record]:
        """Return the jobs that have not ended, by their places in the queue."""
        with saying(self._path):
            rows = self._database.execute(
                "SELECT token, number, partition, directory, submitted, spec FROM job"
                " WHERE outcomes IS NULL ORDER BY coalesce(place, number), number"
            ).fetchall()
        return [
            Record(
                RunToken(token),
                number,
                PartitionId(partition),
                Path(directory),
                submitted,
                unpack_spec(spec),
            )
            for token, number, partition, directory, submitted, spec in rows
        ]

    def close(self) -> None:
        """Close the books."""
        self._database.close()
