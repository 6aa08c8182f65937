"""Model to rows and back. Rows are written as tuples: thousands a second pass here."""

from __future__ import annotations

import re
from dataclasses import fields
from hashlib import sha256
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from res_federation.control.effects import JobChanged, SiteChanged
from res_federation.model.forecast import Forecast, ForecastError, Outcome
from res_federation.model.identifiers import JobId, PartitionId, site_of
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.job_state import JobState

FIXED = ("job", "name", "user", "submitted", "idempotency_key", "script", "spec",
    "estimate_s", "project",
)  # fmt: skip
"""Columns of a job that never change."""
CHANGING = (
    "state", "reason", "site", "partition", "started", "ended", "exit_code", "revision",
    "cancel_asked", "runs", "refused", "decision", "decided_at",
)  # fmt: skip
"""Columns that change in a job's life."""
FORECAST = ("job", "forecast")
OUTCOME = ("revision", "job", "site", "outcome")
EVENT = ("revision", "kind", "job", "site", "at", "data")

_encode = msgspec.msgpack.Encoder().encode
_spec = msgspec.msgpack.Decoder(JobSpec)
_runs = msgspec.msgpack.Decoder(list[Run])
_partitions = msgspec.msgpack.Decoder(tuple[PartitionId, ...])
_forecast = msgspec.msgpack.Decoder(Forecast)
_outcome = msgspec.msgpack.Decoder(Outcome)
_error = msgspec.msgpack.Decoder(ForecastError)
_ratios = msgspec.msgpack.Decoder(tuple[float, ...])
_data = msgspec.msgpack.Decoder(dict[str, str | int | float])

_SPEC_FIELDS = tuple(one.name for one in fields(JobSpec))
_spec_values = attrgetter(*_SPEC_FIELDS)

_NONE = _encode(())
_NO_DATA = _encode({})


def text_of(content: bytes) -> str:
    """Return a script's text."""
    return content.decode("utf-8", "surrogateescape")


def digest_of(content: bytes) -> bytes:
    """Return the name under which a script is kept."""
    return sha256(content).digest()


def fixed(job: Job, digest: bytes) -> tuple[Any, ...]:
    """Return the values of `FIXED`."""
    spec = job.spec
    packed = dict(zip(_SPEC_FIELDS, _spec_values(spec), strict=True))
    packed["script"] = ""
    return (
        job.id,
        storable(spec.name),
        storable(spec.user),
        job.submitted,
        storable(job.idempotency_key) or None,
        digest,
        _encode(packed),
        job.estimate_s,
        storable(spec.project),
    )


def changing(job: Job) -> tuple[Any, ...]:
    """Return the values of `CHANGING`."""
    runs = job.runs
    site, partition = (runs[-1].site, runs[-1].partition) if runs else ("", "")
    return (
        str(job.state),
        storable(job.reason),
        site,
        partition,
        job.started,
        job.ended,
        job.exit_code,
        job.revision,
        job.cancel_asked,
        _encode(runs) if runs else _NONE,
        _encode(job.refused) if job.refused else _NONE,
        job.decision,
        job.decided_at,
    )


def job_of(row: RowMapping) -> Job:
    """Return the job of a row; the script stays in its own table.

    What it was told of its start is there if the row was read together with `forecasts`.
    """
    told = row.get("forecast")
    return Job(
        id=JobId(row["job"]),
        spec=_spec.decode(row["spec"]),
        submitted=row["submitted"],
        state=JobState(row["state"]),
        reason=given(row["reason"]),
        idempotency_key=given(row["idempotency_key"] or ""),
        started=row["started"],
        ended=row["ended"],
        exit_code=row["exit_code"],
        runs=_runs.decode(row["runs"]),
        cancel_asked=row["cancel_asked"],
        refused=_partitions.decode(row["refused"]),
        revision=row["revision"],
        decision=bytes(row["decision"]),
        decided_at=row["decided_at"],
        estimate_s=row["estimate_s"],
        forecast=None if told is None else _forecast.decode(told),
    )


def event(change: JobChanged | SiteChanged) -> tuple[Any, ...]:
    """Return the values of `EVENT`."""
    if isinstance(change, JobChanged):
        data = _encode(change.data) if change.data else _NO_DATA
        return (change.revision, change.kind, change.job.id, None, change.at, data)
    data = _encode({"reason": change.reason} if change.reason else {})
    return (change.revision, change.kind, None, change.site, change.at, data)


def data_of(packed: bytes) -> dict[str, str | int | float]:
    """Return an event's data."""
    return _data.decode(packed)


def pack_history(ratios: tuple[float, ...]) -> bytes:
    """Return what is known of a user as bytes."""
    return _encode(ratios)


def history_of(packed: bytes) -> tuple[float, ...]:
    """Return what is known of a user."""
    return _ratios.decode(packed)


def pack_forecast(forecast: Forecast) -> bytes:
    """Return what a job was told as bytes."""
    return _encode(forecast)


def outcome(revision: int, one: Outcome) -> tuple[Any, ...]:
    """Return the values of `OUTCOME`."""
    return (revision, one.job, site_of(one.partition), _encode(one))


def outcome_of(packed: bytes) -> Outcome:
    """Return what became of a forecast."""
    return _outcome.decode(packed)


def pack_error(error: ForecastError) -> bytes:
    """Return how good forecasts were as bytes."""
    return _encode(error)


def error_of(packed: bytes) -> ForecastError:
    """Return how good forecasts were."""
    return _error.decode(packed)


def pack_frame(partitions: tuple[PartitionId, ...]) -> bytes:
    """Return a frame as bytes."""
    return _encode(partitions)


def frame_of(packed: bytes) -> tuple[PartitionId, ...]:
    """Return a frame."""
    return _partitions.decode(packed)


# PostgreSQL's text has no NUL, and UTF-8 no lone surrogates: they are written as U+001A and four
# hexadecimal digits, and so is U+001A itself.  Two texts never become one, for keys are unique.
_FOREIGN = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPE = re.compile("\x1a([0-9a-f]{4})")


def storable(text: str) -> str:
    """Return *text* as every database takes it; `given` takes it back."""
    if text.isprintable() or not _FOREIGN.search(text):
        return text
    return _FOREIGN.sub(lambda found: f"\x1a{ord(found[0]):04x}", text)


def given(text: str) -> str:
    """Return the text that `storable` was given."""
    if "\x1a" not in text:
        return text
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
