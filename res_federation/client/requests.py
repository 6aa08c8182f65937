"""Messages that both clients send, made from what a user says. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from res_federation.api.v1 import jobs_pb2, sites_pb2
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import JobId, job_id, site_id
from res_federation.model.job import JobSpec
from res_federation.model.share import partner
from res_federation.wire.specs import spec_to_message

BATCH_JOBS = 10_000
"""Jobs of one bulk call: kept until it is answered, so that it can be sent again."""
CHUNK_BYTES = 4 * 1024 * 1024
"""A message of a bulk call is closed at this size…"""
CHUNK_JOBS = 500
"""…or at this number of jobs."""


def job_name(job: str) -> str:
    """Return ``jobs/ULID`` for a ULID with or without that prefix; raises InvalidArgument."""
    return f"jobs/{job_id(job.removeprefix('jobs/'))}"


def site_name(site: str) -> str:
    """Return ``sites/ID``; raises InvalidArgument."""
    return f"sites/{site_id(site.removeprefix('sites/'))}"


def create(spec: JobSpec, request_id: str) -> jobs_pb2.CreateJobRequest:
    """Return the request to submit; one without a key is given one, so that it can be repeated."""
    return jobs_pb2.CreateJobRequest(
        spec=spec_to_message(spec), request_id=request_id or uuid.uuid4().hex
    )


def create_batches(specs: Iterable[JobSpec]) -> Iterator[list[jobs_pb2.CreateJobsRequest]]:
    """Yield bulk calls, each a list of messages of bounded size, each job with a key of its own."""
    stem = uuid.uuid4().hex
    rest = iter(specs)
    number = 0
    while batch := list(islice(rest, BATCH_JOBS)):
        yield list(_chunks(batch, stem, number))
        number += len(batch)


def _chunks(
    specs: Sequence[JobSpec], stem: str, first: int
) -> Iterator[jobs_pb2.CreateJobsRequest]:
    chunk: list[jobs_pb2.CreateJobRequest] = []
    size = 0
    for number, spec in enumerate(specs, first):
        chunk.append(
            jobs_pb2.CreateJobRequest(spec=spec_to_message(spec), request_id=f"{stem}-{number}")
        )
        size += len(spec.script)
        if len(chunk) >= CHUNK_JOBS or size >= CHUNK_BYTES:
            yield jobs_pb2.CreateJobsRequest(requests=chunk)
            chunk, size = [], 0
    if chunk:
        yield jobs_pb2.CreateJobsRequest(requests=chunk)


def listing(
    text: str, *, state: str, user: str, site: str, name: str, active: bool, project: str
) -> jobs_pb2.ListJobsRequest:
    """Return the first request of a listing; the terms are joined by AND."""
    terms = [text] if text else []
    for key, value in (
        ("state", state), ("user", user), ("project", project), ("site", site), ("name", name),
    ):  # fmt: skip
        if value:
            if " AND " in value:
                raise InvalidArgument(f"'{value}' cannot be searched for", field=key)
            terms.append(f"{key}={value}")
    if active:
        terms.append("active=true")
    return jobs_pb2.ListJobsRequest(page_size=1000, filter=" AND ".join(terms))


def watching(jobs: Iterable[str]) -> jobs_pb2.WatchJobsRequest:
    """Return a request to watch; named jobs are told as they are now, first."""
    names = [job_name(job) for job in jobs]
    return jobs_pb2.WatchJobsRequest(names=names, with_current=bool(names))


def cancelling(job: str, task: int | None) -> jobs_pb2.CancelJobRequest:
    """Return a request to cancel a job or one task of it."""
    return jobs_pb2.CancelJobRequest(name=job_name(job), task=task)


def sharing(job: str, user: str, project: str) -> jobs_pb2.ShareJobRequest:
    """Return a request to share a job with a user or with a project; raises InvalidArgument."""
    request = jobs_pb2.ShareJobRequest(name=job_name(job))
    kind, name = partner(user, project)
    setattr(request, str(kind), name)
    return request


def unsharing(job: str, user: str, project: str) -> jobs_pb2.UnshareJobRequest:
    """Return a request to take that back; raises InvalidArgument."""
    request = jobs_pb2.UnshareJobRequest(name=job_name(job))
    kind, name = partner(user, project)
    setattr(request, str(kind), name)
    return request


def reading(
    job: str, task: int | None, *, stderr: bool, follow: bool, offset: int
) -> jobs_pb2.ReadOutputRequest:
    """Return a request to read output from *offset* bytes on."""
    return jobs_pb2.ReadOutputRequest(
        name=job_name(job), task=task, standard_error=stderr, follow=follow, offset=offset
    )


def capacity_watching(sites: Iterable[str]) -> sites_pb2.WatchCapacityRequest:
    """Return a request to watch capacity; no sites means all."""
    return sites_pb2.WatchCapacityRequest(names=[site_name(site) for site in sites])


def identifiers(answer: jobs_pb2.CreateJobsResponse) -> list[JobId]:
    """Return the identifiers of a bulk answer."""
    return [JobId(uid) for uid in answer.uids]
