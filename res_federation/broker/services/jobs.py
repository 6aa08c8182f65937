"""`JobService`: the users' door. Each method converts, posts or asks, converts back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from res_federation.api.v1 import jobs_pb2, jobs_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.control.events import JobCancelled, JobSubmitted
from res_federation.control.residency import classified
from res_federation.control.submission import acceptable
from res_federation.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from res_federation.model.identifiers import JobId, job_id
from res_federation.model.job import Job
from res_federation.model.share import Share, ShareKind, partner
from res_federation.security.caller import caller, permit
from res_federation.security.ownership import owned
from res_federation.security.permissions import Permit
from res_federation.security.sight import View, seen, view, visible
from res_federation.wire import jobs as wire
from res_federation.wire.specs import spec_from_message

_MOST_KEY = 200


class JobService(jobs_pb2_grpc.JobServiceServicer):
    """Users and programs come in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @answers.unary
    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Any) -> jobs_pb2.Job:  # noqa: N802, ARG002
        """Submit a job; it is on disk when this returns."""
        event = self._submitted(request)
        await self._federation.loop.post(event)
        return wire.job_to_message(await self._federation.submitted(event))

    @answers.unary
    async def CreateJobs(  # noqa: N802
        self,
        request_iterator: AsyncIterator[jobs_pb2.CreateJobsRequest],
        context: Any,  # noqa: ARG002
    ) -> jobs_pb2.CreateJobsResponse:
        """Submit many; all are on disk when this returns. A chunk is taken whole or not at all."""
        uids: list[JobId] = []
        async for chunk in request_iterator:
            most = self._federation.limits.chunk_jobs
            if len(chunk.requests) > most:
                raise ResourceExhausted(
                    f"a chunk of {len(chunk.requests)} jobs is over the limit of {most}",
                    field="requests",
                    way_out="send smaller chunks",
                )
            events = [self._of_chunk(number, one) for number, one in enumerate(chunk.requests)]
            self._federation.check_room(events)
            await self._federation.loop.post(*events)
            uids += [self._federation.identifier(event) for event in events]
        return jobs_pb2.CreateJobsResponse(uids=uids)

    def _of_chunk(self, number: int, request: jobs_pb2.CreateJobRequest) -> JobSubmitted:
        try:
            event = self._submitted(request)
            acceptable(self._federation.state, event.spec)
        except (InvalidArgument, ResourceExhausted) as error:
            error.field = f"requests[{number}].{error.field}"
            raise
        return event

    def _submitted(self, request: jobs_pb2.CreateJobRequest) -> JobSubmitted:
        if len(request.request_id) > _MOST_KEY:
            raise InvalidArgument(f"is longer than {_MOST_KEY} characters", field="request_id")
        spec = owned(permit(), spec_from_message(request.spec))
        federation = self._federation
        return JobSubmitted(federation.clock.now(), federation.ids.new(), spec, request.request_id)

    @answers.unary
    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> jobs_pb2.Job:  # noqa: N802, ARG002
        """Return one job."""
        least = View.WHOLE if request.with_script else View.ANONYMISED
        job, how = await self._seen(request.name, least)
        spec = await self._federation.full_spec(job) if request.with_script else None
        return wire.job_to_message(self._shown(job, how), spec=spec)

    @answers.unary
    async def ListJobs(  # noqa: N802
        self,
        request: jobs_pb2.ListJobsRequest,
        context: Any,  # noqa: ARG002
    ) -> jobs_pb2.ListJobsResponse:
        """Return a page of jobs, newest first."""
        mine = permit()
        page, token = await self._federation.jobs(
            request.filter, request.page_size or 100, request.page_token, visible(mine)
        )
        # one that went to another site since it was read may be out of sight
        found = ((job, self._view(mine, job)) for job in page)
        return jobs_pb2.ListJobsResponse(
            jobs=[wire.job_to_message(self._shown(job, how)) for job, how in found if how],
            next_page_token=token,
        )

    @answers.stream
    async def WatchJobs(  # noqa: N802
        self,
        request: jobs_pb2.WatchJobsRequest,
        context: Any,
    ) -> AsyncIterator[jobs_pb2.WatchJobsResponse]:
        """Stream changes; the newest state of each job, never a backlog.

        What the caller may see is asked of each change: it may be less than at the beginning.
        """
        names = [_uid(name) for name in request.names]
        if not request.with_current:
            for name in names:
                await self._seen(name)
        # The watch opens before the present state is read, so that no change falls between.
        with self._federation.job_watchers.watch(names) as watch:
            await context.send_initial_metadata(())  # who waits for it misses nothing from here on
            if request.with_current:
                for name in names:
                    job, how = await self._seen(name)
                    yield self._news(job, how)
            async for changed in watch.changes():
                how = self._view(permit(), changed)
                if how:
                    yield self._news(changed, how)

    @answers.unary
    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Any) -> jobs_pb2.Job:  # noqa: N802, ARG002
        """Cancel a job or one task; a job that has ended already is returned as it is."""
        job, how = await self._seen(request.name, View.NAMED)
        uid = job.id
        if not job.state.final:
            task = request.task if request.HasField("task") else None
            now = self._federation.clock.now()
            # one that ended just now is no longer live: it is returned as it is
            with contextlib.suppress(NotFound):
                await self._federation.loop.post(JobCancelled(now, uid, caller().user, task))
            job = await self._federation.job(uid)
        return wire.job_to_message(self._shown(job, how))

    @answers.unary
    async def ExplainJob(  # noqa: N802
        self,
        request: jobs_pb2.ExplainJobRequest,
        context: Any,  # noqa: ARG002
    ) -> jobs_pb2.Explanation:
        """Say why a job is where it is."""
        job, _ = await self._seen(request.name)
        return wire.explanation_to_message(await self._federation.explain(job))

    @answers.unary
    async def DryRunJob(  # noqa: N802
        self,
        request: jobs_pb2.DryRunJobRequest,
        context: Any,  # noqa: ARG002
    ) -> jobs_pb2.Explanation:
        """Say where a job would go."""
        now = self._federation.clock.now()
        spec = classified(self._federation.state, owned(permit(), spec_from_message(request.spec)))
        job = Job(self._federation.ids.new(), spec, now)
        return wire.explanation_to_message(await self._federation.dry_run(job))

    @answers.stream
    async def ReadOutput(  # noqa: N802
        self,
        request: jobs_pb2.ReadOutputRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[jobs_pb2.ReadOutputResponse]:
        """Stream what a job printed, to its end where it is followed."""
        found, _ = await self._seen(request.name, View.WHOLE)
        uid, offset = found.id, request.offset
        most = self._federation.limits.output_bytes
        task = request.task if request.HasField("task") else -1
        with self._federation.job_watchers.watch((uid,)) as watch:
            while True:
                job = await self._federation.job(uid)
                self._check_whole(job)
                ended = job.state.final
                if job.run is None:
                    if ended or not request.follow:
                        raise FailedPrecondition(
                            f"job {uid} has printed nothing: it is {job.state} ({job.reason})",
                            way_out="--follow waits for it",
                        )
                else:
                    pieces = self._federation.output(job, task, request.standard_error, offset)
                    async for piece in pieces:
                        self._check_whole(job)
                        offset = piece.offset + len(piece.data)
                        yield jobs_pb2.ReadOutputResponse(data=piece.data, offset=piece.offset)
                        if 0 < most <= offset - request.offset:
                            raise ResourceExhausted(
                                f"{offset - request.offset} bytes were read, the limit of one call"
                                f" is {most}",
                                way_out=f"read on from byte {offset}",
                            )
                if ended or not request.follow:
                    return
                await self._federation.pause(watch)

    @answers.unary
    async def ShareJob(self, request: jobs_pb2.ShareJobRequest, context: Any) -> jobs_pb2.Job:  # noqa: N802, ARG002
        """Share a job; when this returns, it is on disk."""
        job, how = await self._seen(request.name, View.WHOLE)
        await self._federation.sharing.begin(self._share(job, request))
        return wire.job_to_message(self._shown(job, how))

    @answers.unary
    async def UnshareJob(self, request: jobs_pb2.UnshareJobRequest, context: Any) -> jobs_pb2.Job:  # noqa: N802, ARG002
        """Take a share back; what is read by it ends at the next piece or change."""
        job, how = await self._seen(request.name, View.WHOLE)
        await self._federation.sharing.end(self._share(job, request))
        return wire.job_to_message(self._shown(job, how))

    def _share(
        self, job: Job, request: jobs_pb2.ShareJobRequest | jobs_pb2.UnshareJobRequest
    ) -> Share:
        kind, name = partner(request.user, request.project)
        if kind is ShareKind.USER and not permit().everything and "@" not in name:
            raise InvalidArgument(
                f"'{name}' is nobody's name here", field="user",
                way_out="SUBJECT@ISSUER, as their resfed whoami says it",
            )  # fmt: skip
        return Share(job.id, kind, name, caller().user, self._federation.clock.now())

    async def _seen(self, name: str, least: View = View.ANONYMISED) -> tuple[Job, View]:
        """Return a job and how much of it the caller sees.

        Raises:
            PermissionDenied: If that is less than *least*, or if there is no such job: who may
                not see a job does not learn whether it is there.
            NotFound: If there is none, and the caller sees all that are.

        """
        mine, uid = permit(), _uid(name)
        try:
            job = await self._federation.job(uid)
        except NotFound:
            if visible(mine).everything:
                raise
            raise _not_yours(uid) from None
        how = self._view(mine, job)
        if how < least:
            raise _not_yours(uid)
        return job, how

    def _view(self, mine: Permit, job: Job) -> View:
        return view(mine, job, self._federation.sharing.of(job.id))

    def _check_whole(self, job: Job) -> None:
        """Check that what a caller might read when a stream began they may read still."""
        if self._view(permit(), job) < View.WHOLE:
            raise _not_yours(job.id)

    def _shown(self, job: Job, how: View) -> Job:
        if how is View.WHOLE and (shares := self._federation.sharing.of(job.id)):
            job = replace(job, shared_with=shares)
        return seen(job, how, self._federation.pseudonyms)

    def _news(self, job: Job, how: View) -> jobs_pb2.WatchJobsResponse:
        return jobs_pb2.WatchJobsResponse(job=wire.job_to_message(self._shown(job, how)))


def _not_yours(uid: JobId) -> PermissionDenied:
    return PermissionDenied(
        f"job {uid} is not one about which you may ask this", field="name",
        way_out="resfed queue --all lists those that you see",
    )  # fmt: skip


def _uid(name: str) -> JobId:
    return job_id(name.removeprefix("jobs/"))
