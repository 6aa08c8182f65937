"""The users' port measures every kind of call, and one caller's excess is not another's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio

from res_federation.api.v1 import jobs_pb2, jobs_pb2_grpc
from res_federation.broker.services import answers
from res_federation.errors import ResourceExhausted
from res_federation.model.limits import Limits
from res_federation.model.principal import LOCAL, Principal, Role
from res_federation.security.caller import Call, begin
from res_federation.security.limits import Meter
from res_federation.security.permissions import permit
from res_federation.security.warden import Warden
from res_federation.wire.status import from_rpc_error
from tests.agent.patience import PATIENCE_S

LIMITS = Limits(
    calls_per_s=0.001, calls_burst=4, submissions_per_s=0.001, submissions_burst=3,
    project_submissions_per_s=0.001, project_submissions_burst=5, streams=2,
)  # fmt: skip


class Jobs(jobs_pb2_grpc.JobServiceServicer):
    """Answers at once, or never ends a stream."""

    async def CreateJob(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        return jobs_pb2.Job()

    async def GetJob(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        return jobs_pb2.Job()

    @answers.unary
    async def CreateJobs(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        count = 0
        async for chunk in request_iterator:
            count += len(chunk.requests)
        return jobs_pb2.CreateJobsResponse(uids=["x"] * count)

    async def WatchJobs(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        yield jobs_pb2.WatchJobsResponse()
        await asyncio.Event().wait()


class Members(grpc.aio.ServerInterceptor):
    """Takes everybody for a member of two projects, by the name that they say."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        metadata = dict(handler_call_details.invocation_metadata)
        who = Principal(LOCAL, metadata["user"], projects={"health": Role.USER, "sea": Role.USER})
        method = handler_call_details.method
        begin(Call(method, permit(who, method)))
        return await continuation(handler_call_details)


@pytest_asyncio.fixture
async def stub() -> AsyncIterator[Any]:
    warden = Warden(Meter(LIMITS), lambda: 1000.0, answers.refuse, lambda _: None)
    server = grpc.aio.server(interceptors=(Members(), warden))
    jobs_pb2_grpc.add_JobServiceServicer_to_server(Jobs(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield jobs_pb2_grpc.JobServiceStub(channel)
    await server.stop(None)


def a_user(name: str) -> Any:
    return SimpleNamespace(metadata=(("user", name),))


async def _refused(call: Any) -> ResourceExhausted:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    told = from_rpc_error(error.value)
    assert isinstance(told, ResourceExhausted)
    return told


async def test_calls_over_the_rate_are_refused_with_when_to_try_again(stub: Any) -> None:
    ana, bob = a_user("ana").metadata, a_user("bob").metadata
    for _ in range(4):
        await stub.GetJob(jobs_pb2.GetJobRequest(), metadata=ana)
    told = await _refused(stub.GetJob(jobs_pb2.GetJobRequest(), metadata=ana))
    assert "ana is over the limit of 0.001 calls a second" in told.message
    assert told.retry_s == pytest.approx(1000, rel=0.01)
    await stub.GetJob(jobs_pb2.GetJobRequest(), metadata=bob)


async def test_submissions_are_counted_apart_by_user_and_project(stub: Any) -> None:
    request = jobs_pb2.CreateJobRequest()
    request.spec.project = "health"
    for user, times in (("ana", 3), ("bob", 2)):
        for _ in range(times):
            await stub.CreateJob(request, metadata=a_user(user).metadata)
    assert (
        "ana" in (await _refused(stub.CreateJob(request, metadata=a_user("ana").metadata))).message
    )
    told = await _refused(stub.CreateJob(request, metadata=a_user("bob").metadata))
    assert "project health" in told.message
    request.spec.project = "steel"  # not theirs: the service refuses it, nobody's rate is used
    await stub.CreateJob(request, metadata=a_user("bob").metadata)


async def test_every_message_of_a_batch_is_counted(stub: Any) -> None:
    async def chunks(count: int) -> AsyncIterator[Any]:
        for _ in range(count):
            one = jobs_pb2.CreateJobRequest()
            yield jobs_pb2.CreateJobsRequest(requests=[one, one])

    answer = await stub.CreateJobs(chunks(1), metadata=a_user("ana").metadata)
    assert len(answer.uids) == 2
    await _refused(stub.CreateJobs(chunks(3), metadata=a_user("ana").metadata))
    await stub.CreateJobs(chunks(1), metadata=a_user("bob").metadata)


async def test_streams_are_bounded_and_given_back(stub: Any) -> None:
    ana = a_user("ana").metadata
    request = jobs_pb2.WatchJobsRequest()
    first, second = (stub.WatchJobs(request, metadata=ana) for _ in range(2))
    await first.read()
    await second.read()
    third = stub.WatchJobs(request, metadata=ana)
    assert "2 streams open" in (await _refused(third.read())).message
    first.cancel()
    async with asyncio.timeout(PATIENCE_S):
        while True:  # until the broker has seen that the first one is gone
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.WatchJobs(request, metadata=ana).read()
                break
            await asyncio.sleep(0.05)
