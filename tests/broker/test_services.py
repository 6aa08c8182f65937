"""The broker's services over a real port, with real agents behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from res_federation.api.v1 import agents_pb2, jobs_pb2, specs_pb2
from res_federation.api.v1.agents_pb2_grpc import AgentServiceStub
from res_federation.client import FederationClient, SiteState, job_from_script
from res_federation.client.scripts import user_name
from res_federation.errors import InvalidArgument, NotFound
from res_federation.model.capacity import CapacityReport
from res_federation.model.identifiers import SiteId, new_job_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.security.credentials import find
from res_federation.wire import exchange
from tests.broker.conftest import Running


def a_script(body: str, *options: str) -> JobSpec:
    return job_from_script(f"#!/bin/sh\n{body}\n", options=("-t", "5", *options), user="ana")


async def _when(
    client: FederationClient, job: str, wanted: Callable[[Job], bool], seconds: float = 10.0
) -> Job:
    """Return the job as soon as it is as wanted."""
    seen = None
    async for seen in client.watch([job], timeout=seconds):
        if wanted(seen):
            return seen
    raise AssertionError(f"never as wanted; the last seen: {seen}")


async def test_a_job_runs_where_it_fits_and_its_output_comes_back(running: Running) -> None:
    async with FederationClient(running.address) as client:
        job = await client.submit(a_script("echo to out; echo to err >&2", "--gres=gpu:h100:2"))
        (ended,) = await client.wait([job.id])
        assert (ended.state, ended.exit_code) == (JobState.COMPLETED, 0)
        assert ended.partition == "csuc/pirineus3/gpu"
        assert b"".join([piece async for piece in client.output(job.id)]) == b"to out\n"
        errors = [piece async for piece in client.output(job.id, stderr=True)]
        assert b"".join(errors) == b"to err\n"


async def test_an_array_has_an_outcome_and_an_output_for_each_task(running: Running) -> None:
    async with FederationClient(running.address) as client:
        spec = a_script("echo task $SLURM_ARRAY_TASK_ID; exit $SLURM_ARRAY_TASK_ID", "-a", "0-2")
        (ended,) = await client.wait([(await client.submit(spec)).id])
        assert ended.state is JobState.FAILED
        assert {task.index: task.exit_code for task in ended.runs[0].tasks} == {0: 0, 1: 1, 2: 2}
        pieces = [piece async for piece in client.output(ended.id, 2)]
        assert b"".join(pieces) == b"task 2\n"


async def test_the_same_key_returns_the_same_job_whoever_the_request_says_one_is(
    running: Running,
) -> None:
    async with FederationClient(running.address) as client:
        first = await client.submit(a_script("true"), request_id="k")
        again = await client.submit(a_script("true"), request_id="k")
        other = await client.submit(
            job_from_script("#!/bin/sh\n", options=("-t", "5"), user="eva"), request_id="k"
        )
        assert again.id == other.id == first.id
        assert first.spec.user == user_name()  # who is logged in


@pytest.mark.parametrize(
    "wrong",
    [{"clusters": ("nowhere",)}, {"input_site": "nowhere"}, {"data_class": "nowhere"}],
    ids=lambda one: next(iter(one)),
)
async def test_of_a_chunk_with_a_wrong_job_none_is_taken(
    running: Running, wrong: dict[str, Any]
) -> None:
    good = job_from_script("#!/bin/sh\ntrue\n", options=["-t", "1"])
    async with FederationClient(running.address) as client:
        with pytest.raises(InvalidArgument, match="nowhere") as found:
            await client.submit_many([good, good, replace(good, **wrong)])
        assert "requests[2]" in found.value.field
        assert not [job async for job in client.jobs()]


async def test_bulk_submission_keeps_its_order_and_every_job_ends(running: Running) -> None:
    async with FederationClient(running.address) as client:
        specs = [a_script(f"echo {number}") for number in range(30)]
        ids = await client.submit_many(specs)
        assert ids == sorted(ids)
        assert {job.state for job in await client.wait(ids)} == {JobState.COMPLETED}
        output = [piece async for piece in client.output(ids[17])]
        assert b"".join(output) == b"17\n"


async def test_what_nobody_can_run_ends_at_once_and_says_why_for_every_member(
    running: Running,
) -> None:
    async with FederationClient(running.address) as client:
        job = await client.submit(a_script("true", "--gres=gpu:gaudi3:8"))
        (ended,) = await client.wait([job.id])
        assert ended.state is JobState.INFEASIBLE
        told = await client.explain(job.id)
        assert told.chosen is None
        assert {one.partition.split("/")[0] for one in told.candidates} == set(running.members)
        assert all(one.reasons for one in told.candidates)


async def test_a_cancelled_job_ends_and_its_payload_with_it(running: Running) -> None:
    mark = running.home / "mark"
    async with FederationClient(running.address) as client:
        job = await client.submit(a_script(f"sleep 30; touch {mark}"))
        await _when(client, job.id, lambda seen: seen.state is JobState.RUNNING)
        await client.cancel(job.id)
        (ended,) = await client.wait([job.id])
        assert ended.state is JobState.CANCELLED
        assert not mark.exists()


async def test_a_drained_site_takes_no_new_job_and_says_so(running: Running) -> None:
    async with FederationClient(running.address) as client:
        await client.drain("csuc", "new pumps")
        await client.drain("iac", "new pumps")
        job = await client.submit(a_script("true"))
        held = await _when(client, job.id, lambda seen: "drained" in seen.reason)
        assert held.state is JobState.QUEUED
        assert (await client.site("csuc")).state is SiteState.DRAINED
        await client.resume("iac")
        (ended,) = await client.wait([job.id])
        assert (ended.state, ended.site) == (JobState.COMPLETED, "iac")


async def test_a_job_waits_for_the_only_site_that_can_run_it(running: Running) -> None:
    async with FederationClient(running.address) as client:
        job = await client.submit(a_script("true", "-M", "uma"))
        held = await _when(client, job.id, lambda seen: "not connected" in seen.reason)
        assert held.state is JobState.QUEUED
        running.connect("uma")
        (ended,) = await client.wait([job.id])
        assert (ended.state, ended.site) == (JobState.COMPLETED, "uma")


async def test_an_agent_that_comes_back_finds_its_job_where_it_left_it(running: Running) -> None:
    mark = running.home / "mark"
    async with FederationClient(running.address) as client:
        job = await client.submit(a_script(f"echo x >> {mark}; sleep 1", "-M", "iac"))
        await _when(client, job.id, lambda seen: seen.state is JobState.RUNNING)
        await running.disconnect("iac")
        running.connect("iac")
        (ended,) = await client.wait([job.id])
        assert ended.state is JobState.COMPLETED
        assert mark.read_text() == "x\n"


async def test_lists_are_filtered_and_paged_newest_first(running: Running) -> None:
    async with running.jobs() as jobs:
        for number in range(5):
            spec = specs_pb2.JobSpec(
                name=f"n{number}", user="ana", script=b"#!/bin/sh\n", time_limit_s=60
            )
            await jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=spec))
        names, token = [], ""
        while True:
            page = await jobs.ListJobs(
                jobs_pb2.ListJobsRequest(
                    page_size=2, page_token=token, filter=f"user={user_name()}"
                )
            )
            names += [job.display_name for job in page.jobs]
            token = page.next_page_token
            if not token:
                break
        assert names == ["n4", "n3", "n2", "n1", "n0"]
        nobody = await jobs.ListJobs(jobs_pb2.ListJobsRequest(filter="user=nobody"))
        assert not nobody.jobs


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (specs_pb2.JobSpec(script=b"", time_limit_s=60), "spec.script"),
        (specs_pb2.JobSpec(script=b"#!/bin/sh", time_limit_s=0), "spec.time_limit_s"),
        (specs_pb2.JobSpec(script=b"#!/bin/sh", time_limit_s=9, clusters=["x"]), "spec.clusters"),
    ],
)
async def test_an_error_is_a_rich_status_with_the_field_that_is_wrong(
    running: Running, spec: specs_pb2.JobSpec, field: str
) -> None:
    async with running.jobs() as jobs:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=spec))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(raised.value)  # type: ignore[arg-type]
        assert status is not None
        bad = error_details_pb2.BadRequest()
        assert any(detail.Unpack(bad) for detail in status.details)
        assert [violation.field for violation in bad.field_violations] == [field]


async def test_what_does_not_exist_is_not_found(running: Running) -> None:
    missing = new_job_id(1, b"0123456789")
    async with FederationClient(running.address) as client:
        for question in (client.job, client.explain, client.cancel):
            with pytest.raises(NotFound, match=missing):
                await question(missing)
        with pytest.raises(NotFound, match="csuc"):
            await client.drain("nowhere")
        with pytest.raises(InvalidArgument):
            await client.job("not-a-ulid")


async def test_health_and_reflection_are_served(running: Running) -> None:
    async with find(running.address).aio_channel(running.address, ()) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        name = "res_federation.api.v1.JobService"
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        make: Any = reflection_pb2_grpc.ServerReflectionStub  # its stubs know no aio
        reflection = make(channel)
        message: Any = reflection_pb2.ServerReflectionRequest
        ask = message(list_services="")
        async for listed in reflection.ServerReflectionInfo(iter([ask])):
            assert name in {one.name for one in listed.list_services_response.service}
            break


async def test_a_stream_may_report_only_for_its_own_site(running: Running) -> None:
    def report(site: str) -> agents_pb2.ConnectRequest:
        capacity = CapacityReport(SiteId(site), 1, 1.0, 10.0, ())
        return agents_pb2.ConnectRequest(
            report=exchange.report_to_message(capacity, (), "journal", True)
        )

    async with running.door("uv") as channel:
        stub = AgentServiceStub(channel)
        for requests, code in (
            ([report("uv"), report("uam")], grpc.StatusCode.PERMISSION_DENIED),
            ([report("uam")], grpc.StatusCode.PERMISSION_DENIED),
            ([report("atlantis")], grpc.StatusCode.PERMISSION_DENIED),
        ):
            stream = stub.Connect()
            for request in requests:
                await stream.write(request)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                async for _ in stream:
                    pass
            assert raised.value.code() is code


async def test_a_well_agent_over_a_dead_batch_system_makes_its_site_stale_and_says_why(
    running: Running,
) -> None:
    told_at = time.time()
    measured = round(told_at - 3600.0)
    old = CapacityReport(
        SiteId("uv"), 1, told_at, 60.0, (),
        problem="slurmctld does not answer", measured_at=measured,
    )  # fmt: skip
    request = agents_pb2.ConnectRequest(report=exchange.report_to_message(old, (), "j", True))
    async with (
        FederationClient(running.address) as client,
        running.door("uv") as channel,
    ):
        stream = AgentServiceStub(channel).Connect()
        await stream.write(request)
        async for seen in client.watch_capacity(["uv"]):
            if seen.problem:
                break
        assert (seen.state, seen.problem) == (SiteState.STALE, "slurmctld does not answer")
        assert seen.measured == measured
        stream.cancel()


async def test_a_dry_run_says_where_and_leaves_nothing_behind(running: Running) -> None:
    async with FederationClient(running.address) as client:
        told = await client.dry_run(a_script("true", "--gres=gpu:h100:1"))
        assert told.chosen == "csuc/pirineus3/gpu"
        scores = [one.score_s for one in told.candidates if one.feasible]
        assert scores == sorted(scores, key=lambda score: score or 0.0)
        assert [job async for job in client.jobs()] == []
