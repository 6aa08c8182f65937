"""A broker of forty lines that keeps jobs in memory, on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from res_federation.api.v1 import jobs_pb2, jobs_pb2_grpc, sites_pb2, sites_pb2_grpc
from res_federation.errors import FederationError, NotFound
from res_federation.model.identifiers import new_job_id
from res_federation.wire.status import to_status
from res_federation.wire.times import to_timestamp
from tests.security.doors import SmallDoors


@dataclass
class SmallBroker(jobs_pb2_grpc.JobServiceServicer, sites_pb2_grpc.SiteServiceServicer):
    keys: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, jobs_pb2.Job] = field(default_factory=dict)
    page: int = 2
    printed: bytes = b""
    outages: int = 0
    calls: int = 0
    address: str = ""

    def _refuse_while_out(self, context: Any) -> None:
        self.calls += 1
        if self.outages > 0:
            self.outages -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "away for a moment")

    def _fail(self, context: Any, error: FederationError) -> None:
        context.abort_with_status(rpc_status.to_status(to_status(error)))

    def _create(self, request: jobs_pb2.CreateJobRequest) -> jobs_pb2.Job:
        if request.request_id not in self.keys:
            uid = new_job_id(len(self.jobs), b"0123456789")
            self.keys[request.request_id] = uid
            self.jobs[uid] = jobs_pb2.Job(
                name=f"jobs/{uid}",
                uid=uid,
                display_name=request.spec.name,
                user=request.spec.user,
                state=jobs_pb2.JOB_STATE_QUEUED,
                submit_time=to_timestamp(1000.0),
                revision=1,
            )
        return self.jobs[self.keys[request.request_id]]

    def CreateJob(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        answer = self._create(request)  # it is on disk before the line breaks
        self._refuse_while_out(context)
        return answer

    def CreateJobs(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        uids = [self._create(one).uid for chunk in request_iterator for one in chunk.requests]
        self._refuse_while_out(context)
        return jobs_pb2.CreateJobsResponse(uids=uids)

    def GetJob(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        self._refuse_while_out(context)
        uid = request.name.removeprefix("jobs/")
        if uid not in self.jobs:
            self._fail(context, NotFound(f"there is no job {uid}", way_out="resfed queue --all"))
        return self.jobs[uid]

    def ListJobs(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        self._refuse_while_out(context)
        at = int(request.page_token or 0)
        found = sorted(self.jobs.values(), key=lambda job: job.uid, reverse=True)
        more = at + self.page < len(found)
        return jobs_pb2.ListJobsResponse(
            jobs=found[at : at + self.page], next_page_token=str(at + self.page) if more else ""
        )

    def WatchJobs(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        self._refuse_while_out(context)
        for name in request.names:
            job = self.jobs[name.removeprefix("jobs/")]
            yield jobs_pb2.WatchJobsResponse(job=job)
            done = jobs_pb2.Job()
            done.CopyFrom(job)
            done.state = jobs_pb2.JOB_STATE_COMPLETED
            done.revision += 1
            self.jobs[job.uid] = done
            yield jobs_pb2.WatchJobsResponse(job=done)

    def ReadOutput(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        for at in range(request.offset, len(self.printed), 7):
            if at:
                self._refuse_while_out(context)
            yield jobs_pb2.ReadOutputResponse(data=self.printed[at : at + 7], offset=at)

    def ListSites(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        site = sites_pb2.Site(
            name="sites/csuc", uid="csuc", state=sites_pb2.SITE_STATE_READY, batch="local"
        )
        return sites_pb2.ListSitesResponse(sites=[site])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SmallBroker]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    small = SmallBroker()  # type: ignore[abstract]  # what these tests call, and no more
    jobs_pb2_grpc.add_JobServiceServicer_to_server(small, server)
    sites_pb2_grpc.add_SiteServiceServicer_to_server(small, server)
    doors = SmallDoors(tmp_path)  # type: ignore[abstract]  # what these tests call
    port = server.add_secure_port("127.0.0.1:0", doors.credentials())
    small.address = f"127.0.0.1:{port}"
    doors.login.publish(small.address)
    server.start()
    yield small
    server.stop(0).wait()
    doors.login.withdraw()
