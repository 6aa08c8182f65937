"""Floods from outside and from one user: the others are served, and what is too much is refused."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import AsyncIterator

import grpc
import pytest

from res_federation.api.v1 import agents_pb2, jobs_pb2
from res_federation.api.v1.agents_pb2_grpc import AgentServiceStub
from res_federation.broker import hardening
from res_federation.broker.services import agents
from res_federation.broker.watchers import Watch
from res_federation.client import FederationClient
from res_federation.model.job import JobSpec
from res_federation.wire.specs import spec_to_message
from tests.agent.patience import PATIENCE_S
from tests.broker.conftest import Running, running  # noqa: F401 - a fixture
from tests.security import attacks

FEW = 150


async def served(broker: Running) -> None:
    """Assert that somebody who dials now can submit and see the job."""
    async with asyncio.timeout(PATIENCE_S), FederationClient(broker.address) as client:
        job = await client.submit(JobSpec("honest", "", "#!/bin/sh\ntrue\n"))
        assert (await client.job(job.id)).id == job.id


@pytest.mark.parametrize("attack", sorted(attacks.ATTACKS))
async def test_others_are_served_during_the_attack(running: Running, attack: str) -> None:  # noqa: F811
    flood = asyncio.create_task(
        attacks.ATTACKS[attack](running.address, FEW, random.Random(7), attacks.HONEST)
    )
    await asyncio.sleep(0.5)
    for _ in range(3):
        await served(running)
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    await served(running)


async def test_garbage_is_hung_up_on_at_both_ports(running: Running) -> None:  # noqa: F811
    async with connections_of(running, FEW) as held:
        await attacks.say(held, lambda: attacks.HTTP)
        assert await attacks.hung_up(held, PATIENCE_S) == len(held) > 0
    await served(running)


def connections_of(broker: Running, count: int):
    return attacks.connections(broker.address, count, tls=False)


async def test_handshakes_that_never_end_are_ended(running: Running) -> None:  # noqa: F811
    async with connections_of(running, 20) as held:
        await attacks.say(held, lambda: attacks.CLIENT_HELLO[:20])
        assert await attacks.hung_up(held, hardening.HANDSHAKE_S + PATIENCE_S) == 20
    await served(running)


async def test_a_message_that_is_too_large_is_refused_and_nobody_waits(running: Running) -> None:  # noqa: F811
    async with running.jobs() as stub:
        script = "#!/bin/sh\n" + "x" * hardening.USERS_MESSAGE_BYTES
        request = jobs_pb2.CreateJobRequest(
            spec=spec_to_message(JobSpec("large", "", "#!/bin/sh\n"))
        )
        request.spec.script = script.encode()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateJob(request)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await served(running)


async def test_metadata_that_is_too_large_is_refused(running: Running) -> None:  # noqa: F811
    async with running.jobs() as stub:
        request = jobs_pb2.ListJobsRequest(page_size=1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListJobs(request, metadata=(("x-large", "y" * 70_000),))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await stub.ListJobs(request)


async def test_streams_that_never_send_do_not_stand_in_the_way(running: Running) -> None:  # noqa: F811
    async def never() -> AsyncIterator[jobs_pb2.CreateJobsRequest]:
        await asyncio.sleep(3600)
        yield jobs_pb2.CreateJobsRequest()

    async with running.jobs() as stub:
        calls = [stub.CreateJobs(never()) for _ in range(FEW)]
        await asyncio.sleep(0.5)
        await served(running)
        for call in calls:
            call.cancel()


async def test_an_agent_that_never_reports_is_sent_away(running: Running, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(agents, "FIRST_S", 0.3)

    async def never() -> AsyncIterator[agents_pb2.ConnectRequest]:
        await asyncio.sleep(3600)
        yield agents_pb2.ConnectRequest()

    async with running.door("uv") as channel:
        call = AgentServiceStub(channel).Connect(never())
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(call.read(), PATIENCE_S)
        assert ended.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    await served(running)


def test_a_watcher_who_does_not_read_is_let_go() -> None:
    watch: Watch[int, int] = Watch(lambda _: True)
    for number in range(100_500):
        watch.tell(number, number)
    assert len(watch._news) == 0

    async def rest() -> list[int]:
        return [value async for value in watch.changes()]

    assert asyncio.run(rest()) == []


def test_files_are_set_aside_for_sites_and_store() -> None:
    users = hardening.raise_file_limit()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    agents_most = dict(hardening.agents_options(users))["grpc.max_allowed_incoming_connections"]
    assert 64 <= users <= hardening.CONNECTIONS
    if soft > 10_000:
        assert users + agents_most + 256 <= soft
