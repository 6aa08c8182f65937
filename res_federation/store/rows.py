"""Model to rows and back."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from res_federation.control.effects import JobChanged, SiteChanged
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.job_state import JobState

_encode = msgspec.msgpack.Encoder().encode
_spec = msgspec.msgpack.Decoder(JobSpec)
_runs = msgspec.msgpack.Decoder(list[Run])
_partitions = msgspec.msgpack.Decoder(tuple[PartitionId, ...])
_data = msgspec.msgpack.Decoder(dict[str, str | int | float])


def script_bytes(script: str) -> bytes:
    """Return a script's bytes; what was not UTF-8 comes back as it was."""
    return script.encode("utf-8", "surrogateescape")


def text_of(content: bytes) -> str:
    """Return a script's text."""
    return content.decode("utf-8", "surrogateescape")


def changing(job: Job) -> dict[str, Any]:
    """Return the columns that change in a job's life."""
    return {
        "state": str(job.state),
        "reason": _plain(job.reason),
        "site": job.site,
        "partition": job.partition,
        "started": job.started,
        "ended": job.ended,
        "exit_code": job.exit_code,
        "revision": job.revision,
        "cancel_asked": job.cancel_asked,
        "runs": _encode(job.runs),
        "refused": _encode(job.refused),
        "decision": job.decision,
        "decided_at": job.decided_at,
    }


def new(job: Job, digest: bytes) -> dict[str, Any]:
    """Return the whole row of a job that has none yet."""
    spec = job.spec
    return {
        **changing(job),
        "job": job.id,
        "name": _plain(spec.name),
        "user": _plain(spec.user),
        "submitted": job.submitted,
        "idempotency_key": _plain(job.idempotency_key) or None,
        "script": digest,
        "spec": _encode(replace(spec, script="")),
    }


def _plain(text: str) -> str:
    """Return text that every database takes: no NUL, no lone surrogate."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def digest_of(script: str) -> bytes:
    """Return the name under which a script is kept."""
    return sha256(script_bytes(script)).digest()


def job_of(row: RowMapping) -> Job:
    """Return the job of a row; the script stays in its own table."""
    return Job(
        id=JobId(row["job"]),
        spec=_spec.decode(row["spec"]),
        submitted=row["submitted"],
        state=JobState(row["state"]),
        reason=row["reason"],
        idempotency_key=row["idempotency_key"] or "",
        started=row["started"],
        ended=row["ended"],
        exit_code=row["exit_code"],
        runs=_runs.decode(row["runs"]),
        cancel_asked=row["cancel_asked"],
        refused=_partitions.decode(row["refused"]),
        revision=row["revision"],
        decision=row["decision"],
        decided_at=row["decided_at"],
    )


def event(change: JobChanged | SiteChanged) -> dict[str, Any]:
    """Return the log's row of a change."""
    job: str | None = None
    site: str | None = None
    data: dict[str, str | int | float]
    match change:
        case JobChanged():
            job, data = change.job.id, change.data
        case SiteChanged():
            site, data = change.site, {"reason": change.reason}
    return {
        "revision": change.revision,
        "kind": change.kind,
        "job": job,
        "site": site,
        "at": change.at,
        "data": _encode(data),
    }


def data_of(packed: bytes) -> dict[str, str | int | float]:
    """Return an event's data."""
    return _data.decode(packed)


def pack_frame(partitions: tuple[PartitionId, ...]) -> bytes:
    """Return a frame as bytes."""
    return _encode(partitions)


def frame_of(packed: bytes) -> tuple[PartitionId, ...]:
    """Return a frame."""
    return _partitions.decode(packed)
