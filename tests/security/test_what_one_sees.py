"""What a role sees of others' jobs, word by word; what a denial leaves behind; new calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from res_federation.api.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    jobs_pb2_grpc,
    specs_pb2,
)
from res_federation.api.v1 import jobs_pb2 as pb
from res_federation.broker.services import answers
from res_federation.model.audit_chain import entry_of
from res_federation.model.principal import LOCAL, Principal, Role
from res_federation.security.authenticator import Authenticator
from res_federation.security.interceptor import Doorkeeper
from tests.agent.patience import PATIENCE_S, comes
from tests.security import people
from tests.security.federation import Broker, broker
from tests.security.stored_jobs import ANA, EVE, filled
from tests.security.test_roles_matrix import bearer

WHO = {"ana": "ana", "bea": "bea", "lia": "lia", "eve": "eve", "sam": "sam", "pia": "pia",
       "olga": "operator-olga"}  # fmt: skip


@pytest.fixture(scope="module")
def patient(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    node, npm = requires("node", "nodejs"), requires("npm", "npm")
    with people.provider(node, npm, token_s=600) as running:
        yield running


async def logins(provider: people.Provider) -> dict[str, str]:
    return {
        name: (await asyncio.to_thread(provider.tokens, login)).access
        for name, login in WHO.items()
    }


async def test_lists_and_watches_show_no_more_than_one_may_see(patient, tmp_path):
    await filled(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        tokens = await logins(patient)
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        seen = {}
        for name, token in tokens.items():
            page = await jobs.ListJobs(pb.ListJobsRequest(), metadata=(bearer(token),))
            seen[name] = {job.uid: job for job in page.jobs}
        assert set(seen["ana"]) == set(seen["bea"]) == set(seen["lia"])
        assert EVE not in seen["ana"]
        assert set(seen["eve"]) == {EVE}
        assert set(seen["sam"]) == {ANA}  # the only one at csuc
        assert set(seen["pia"]) == set(seen["olga"]) == {*seen["ana"], EVE}
        assert seen["olga"][EVE].display_name == "secret-of-eve"
        for name in ("pia", "sam"):
            text = str(list(seen[name].values()))
            assert "secret" not in text
            assert "@people" not in text
        assert seen["pia"][ANA].user == seen["sam"][ANA].user != seen["pia"][EVE].user
        # nor does a filter say whose job it is
        asked = pb.ListJobsRequest(filter="user=eve@people")
        for name, count in (("pia", 0), ("sam", 0), ("ana", 0), ("olga", 1)):
            page = await jobs.ListJobs(asked, metadata=(bearer(tokens[name]),))
            assert len(page.jobs) == count, name
        await _watched(jobs, tokens)
        await _pages_of_others(running, jobs, tokens)


def a_request() -> pb.CreateJobRequest:
    return pb.CreateJobRequest(
        spec=specs_pb2.JobSpec(name="secret-x", script=b"#!/bin/sh\n", time_limit_s=60)
    )


async def _watched(jobs: Any, tokens: dict[str, str]) -> None:
    """Whoever watches everything hears of what they may see."""
    streams = {
        name: jobs.WatchJobs(pb.WatchJobsRequest(), metadata=(bearer(token),), timeout=30)
        for name, token in tokens.items()
    }
    heard: dict[str, list[pb.Job]] = {name: [] for name in streams}

    async def listen(name: str) -> None:
        async for news in streams[name]:
            heard[name].append(news.job)

    async def told_of(uid: str, *names: str) -> None:
        def told() -> bool:
            return all(uid in {job.uid for job in heard[name]} for name in names)

        await comes(told, f"news of {uid} to {names}")

    tasks = [asyncio.create_task(listen(name)) for name in streams]
    await asyncio.gather(*(stream.initial_metadata() for stream in streams.values()))
    made = await jobs.CreateJob(a_request(), metadata=(bearer(tokens["eve"]),))
    cancel = pb.CancelJobRequest(name=f"jobs/{ANA}")
    await jobs.CancelJob(cancel, metadata=(bearer(tokens["ana"]),))
    await told_of(made.uid, "eve", "olga", "pia")
    await told_of(ANA, "ana", "bea", "lia", "sam", "olga", "pia")
    last = await jobs.CreateJob(a_request(), metadata=(bearer(tokens["eve"]),))
    await told_of(last.uid, "eve", "olga", "pia")  # so all before it was told, or never will be
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    uids = {name: {job.uid for job in found} for name, found in heard.items()}
    assert uids["olga"] >= {ANA, made.uid}
    assert uids["pia"] >= {ANA, made.uid}
    assert made.uid in uids["eve"]
    assert ANA not in uids["eve"]
    assert made.uid not in uids["ana"] | uids["bea"] | uids["lia"] | uids["sam"]
    assert ANA in uids["ana"] & uids["bea"] & uids["lia"] & uids["sam"]
    assert "secret" not in str(heard["pia"])
    assert "@people" not in str(heard["pia"])


async def _pages_of_others(running: Broker, jobs: Any, tokens: dict[str, str]) -> None:
    """A job that is not there and one that one may not see are answered alike."""
    told = set()
    for uid in (EVE, "01J00000000000000000000000"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await jobs.GetJob(
                pb.GetJobRequest(name=f"jobs/{uid}"), metadata=(bearer(tokens["ana"]),)
            )
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        told.add((caught.value.details() or "").replace(uid, "ID"))
    assert len(told) == 1
    denied: set[tuple[str, str]] = set()
    async with running.channel() as channel, asyncio.timeout(PATIENCE_S):
        audit: Any = audit_pb2_grpc.AuditServiceStub(channel)
        while ("ana@people", "JobService/GetJob") not in denied:  # it is written when there is time
            page = await audit.ListEntries(
                audit_pb2.ListEntriesRequest(), metadata=(bearer(tokens["olga"]),)
            )
            entries = [entry_of(one.entry) for one in page.entries]
            denied = {(one.actor, one.act) for one in entries if one.outcome == "denied"}


async def test_a_new_call_is_denied_until_the_table_has_it():
    """The service is registered and would answer; nobody is let through to it."""
    reached = []

    async def answer(request: Any, context: Any) -> Any:
        reached.append(request)
        return identity_pb2.Caller()

    everything = Principal(LOCAL, "root", roles=frozenset(Role))
    keeper = Doorkeeper(
        Authenticator(everything, "open-sesame"), lambda: 0.0, answers.refuse,
        lambda call, error, peer: None,
    )  # fmt: skip
    server = grpc.aio.server(interceptors=(keeper,))
    handlers: dict[str, Any] = {
        "DropAllJobs": grpc.unary_unary_rpc_method_handler(
            answer, identity_pb2.WhoAmIRequest.FromString, lambda one: one.SerializeToString()
        )
    }
    name = "res_federation.api.v1.IdentityService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for call, token, code in (
                ("DropAllJobs", "open-sesame", grpc.StatusCode.PERMISSION_DENIED),
                ("DropAllJobs", "", grpc.StatusCode.UNAUTHENTICATED),
                ("NotThere", "open-sesame", grpc.StatusCode.UNIMPLEMENTED),
                ("NotThere", "", grpc.StatusCode.UNAUTHENTICATED),
            ):
                ask: Any = channel.unary_unary(f"/{name}/{call}")
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await ask(b"", metadata=(bearer(token),) if token else ())
                assert caught.value.code() is code, call
    finally:
        await server.stop(0)
    assert reached == []


async def test_a_stream_ends_with_the_login(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        token = (await asyncio.to_thread(patient.tokens, "ana")).access
        identity: Any = identity_pb2_grpc.IdentityServiceStub(channel)
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        made = await identity.CreateMachineToken(
            identity_pb2.CreateMachineTokenRequest(label="ci", scopes=["read", "submit"]),
            metadata=(bearer(token),),
        )
        robot = (bearer(made.token),)
        stream = jobs.WatchJobs(pb.WatchJobsRequest(), metadata=robot, timeout=30)
        await stream.initial_metadata()
        await jobs.CreateJob(a_request(), metadata=robot)
        assert (await stream.read()).job.display_name == "secret-x"
        await identity.RevokeMachineToken(
            identity_pb2.RevokeMachineTokenRequest(name=made.name), metadata=(bearer(token),)
        )
        await jobs.CreateJob(a_request(), metadata=(bearer(token),))
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await stream.read() is not grpc.aio.EOF:
                pass
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
