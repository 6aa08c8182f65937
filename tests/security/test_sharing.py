"""A job that is shared is seen whole, by whom it is shared with alone, until that is taken back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from res_federation.agent.site_identity import SiteIdentity
from res_federation.api.v1 import agents_pb2, audit_pb2, audit_pb2_grpc, jobs_pb2_grpc
from res_federation.api.v1 import jobs_pb2 as pb
from res_federation.client import FederationClient
from res_federation.client.enrolment import EnrolmentClient
from res_federation.errors import PermissionDenied
from res_federation.model.audit_chain import entry_of
from res_federation.model.capacity import CapacityReport
from res_federation.model.job_state import JobState
from res_federation.model.share import ShareKind
from res_federation.security.credentials import find
from res_federation.store.store import Store
from res_federation.wire import exchange
from tests.agent.patience import PATIENCE_S
from tests.security import people
from tests.security.federation import Broker, broker
from tests.security.sites import CSUC, Stream, stream
from tests.security.stored_jobs import ANA, WAITS, filled
from tests.security.test_logins import Shell
from tests.security.test_roles_matrix import bearer, machine
from tests.store.making import Log, a_job, a_run

WHO = {"ana": "ana", "bea": "bea", "lia": "lia", "eve": "eve", "olga": "operator-olga"}
JOB = f"jobs/{WAITS}"
LET_IN = grpc.StatusCode.FAILED_PRECONDITION
"""What a job that has printed nothing answers to who may read its output."""
DENIED = grpc.StatusCode.PERMISSION_DENIED
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def patient(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    node, npm = requires("node", "nodejs"), requires("npm", "npm")
    with people.provider(node, npm, token_s=600) as running:
        yield running


class Caller:
    """Somebody with a token."""

    def __init__(self, channel: Any, token: str) -> None:
        self.stub: Any = jobs_pb2_grpc.JobServiceStub(channel)
        self.metadata = (bearer(token),)
        self.token = token

    async def call(self, name: str, request: Any) -> Any:
        return await getattr(self.stub, name)(request, metadata=self.metadata, timeout=30)

    async def share(self, job: str = JOB, **whom: str) -> Any:
        return await self.call("ShareJob", pb.ShareJobRequest(name=job, **whom))

    async def unshare(self, job: str = JOB, **whom: str) -> Any:
        return await self.call("UnshareJob", pb.UnshareJobRequest(name=job, **whom))

    async def job(self, job: str = JOB, *, with_script: bool = True) -> Any:
        return await self.call("GetJob", pb.GetJobRequest(name=job, with_script=with_script))

    async def listed(self, text: str = "") -> dict[str, Any]:
        page = await self.call("ListJobs", pb.ListJobsRequest(filter=text))
        return {job.uid: job for job in page.jobs}

    async def output(self, job: str = JOB) -> grpc.StatusCode:
        request = pb.ReadOutputRequest(name=job)
        stream = self.stub.ReadOutput(request, metadata=self.metadata, timeout=30)
        return await refusal(stream.read())

    def watch(self, *names: str) -> Any:
        request = pb.WatchJobsRequest(names=names, with_current=bool(names))
        return self.stub.WatchJobs(request, metadata=self.metadata, timeout=30)


async def refusal(asked: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked
    code: grpc.StatusCode = caught.value.code()
    return code


async def logins(provider: people.Provider, channel: Any) -> dict[str, Caller]:
    return {
        name: Caller(channel, (await asyncio.to_thread(provider.tokens, login)).access)
        for name, login in WHO.items()
    }


async def sees_nothing(who: Caller, job: str = JOB) -> None:
    assert await refusal(who.job(job)) is DENIED
    assert await refusal(who.job(job, with_script=False)) is DENIED
    assert await refusal(who.call("ExplainJob", pb.ExplainJobRequest(name=job))) is DENIED
    assert await refusal(who.watch(job).read()) is DENIED
    assert await who.output(job) is DENIED
    assert job.removeprefix("jobs/") not in await who.listed()
    assert job.removeprefix("jobs/") not in await who.listed("user=ana@people")


async def sees_all(who: Caller, job: str = JOB) -> None:
    whole = await who.job(job)
    assert whole.spec.script == b"#!/bin/bash\necho hello\n"
    assert (whole.display_name, whole.user) == ("secret-of-ana", "ana@people")
    found = await who.listed("user=ana@people")
    assert found[whole.uid].display_name == "secret-of-ana"
    assert (await who.watch(job).read()).job.display_name == "secret-of-ana"
    assert (await who.call("ExplainJob", pb.ExplainJobRequest(name=job))).job == whole.uid
    assert await who.output(job) is LET_IN


async def changes_nothing(who: Caller) -> None:
    assert await refusal(who.call("CancelJob", pb.CancelJobRequest(name=JOB))) is DENIED
    assert await refusal(who.share(user="bea@people")) is DENIED
    assert await refusal(who.unshare(user="eve@people")) is DENIED


async def test_who_a_job_is_shared_with_sees_it_whole_and_alone(patient, tmp_path):
    await filled(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        who = await logins(patient, channel)
        ana, bea, eve = who["ana"], who["bea"], who["eve"]
        await sees_nothing(eve)
        shared = await ana.share(user="eve@people")
        again = await ana.share(user="eve@people")
        assert list(shared.shared_with) == list(again.shared_with)
        (one,) = shared.shared_with
        assert (one.user, one.by) == ("eve@people", "ana@people")
        await sees_all(eve)
        await changes_nothing(eve)
        await sees_nothing(eve, f"jobs/{ANA}")  # the other job is not
        # who is in the project and not meant sees no more than before, nor with whom it is shared
        assert await refusal(bea.job()) is DENIED
        assert not (await bea.job(with_script=False)).shared_with
        assert not (await who["olga"].listed())[WAITS].shared_with
        assert (await eve.job()).shared_with
        await changes_nothing(bea)
        await ana.unshare(user="eve@people")
        await sees_nothing(eve)
        assert not (await ana.unshare(user="eve@people")).shared_with  # again: no error
        await audited(running, who["olga"])


async def audited(running: Broker, olga: Caller) -> None:
    acts: list[Any] = []
    async with running.channel() as channel, asyncio.timeout(PATIENCE_S):
        audit: Any = audit_pb2_grpc.AuditServiceStub(channel)
        while len(acts) < 2:
            page = await audit.ListEntries(audit_pb2.ListEntriesRequest(), metadata=olga.metadata)
            entries = [entry_of(one.entry) for one in page.entries]
            acts = [
                (one.act, one.actor, one.data)
                for one in entries
                if one.target == WAITS and one.act.endswith("share")
            ]
    told = (("user", "eve@people"),)
    assert acts == [("job.unshare", "ana@people", told), ("job.share", "ana@people", told)]


@asynccontextmanager
async def at_csuc(running: Broker, home: Path) -> AsyncIterator[Stream]:
    """Come to the agents' port as csuc; the environment holds an operator's login."""
    operator = EnrolmentClient(running.address, find(running.address))
    identity = SiteIdentity(CSUC, home / "csuc")
    token = (await operator.invite(CSUC)).token
    made = await operator.enrol(token, CSUC, identity.request())
    identity.accept(made.pem, made.ca_pem)
    papers = identity.load()
    assert papers is not None
    agents = f"127.0.0.1:{(await operator.authority()).agents_port}"
    async with stream(agents, papers, running.ca_pem) as site:
        told = CapacityReport(CSUC, 1, time.time(), 60.0, ())
        message = exchange.report_to_message(told, (), "journal", False)
        await site.say(agents_pb2.ConnectRequest(report=message))
        yield site


async def print_at(site: Stream, data: bytes, *, more: bool) -> None:
    """Answer who reads output."""
    order = await site.order("read")
    piece = agents_pb2.OutputPiece(
        request_id=order.request_id, data=data, offset=order.offset, end=not more
    )
    await site.say(agents_pb2.ConnectRequest(output=piece))


async def test_open_streams_end_with_the_share(patient, tmp_path, monkeypatch):
    await filled(tmp_path)
    other = await a_running_job(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        who = await logins(patient, channel)
        ana, eve = who["ana"], who["eve"]
        monkeypatch.setenv("RESFED_CA", str(tmp_path / "authority" / "ca.pem"))
        monkeypatch.setenv("RESFED_TOKEN", who["olga"].token)
        async with at_csuc(running, tmp_path) as site:
            await ana.share(f"jobs/{ANA}", user="eve@people")
            await ana.share(f"jobs/{other}", user="eve@people")
            news = eve.watch()
            request = pb.ReadOutputRequest(name=f"jobs/{ANA}", follow=True)
            reading = eve.stub.ReadOutput(request, metadata=eve.metadata, timeout=30)
            await news.initial_metadata()
            await print_at(site, b"first words", more=True)
            assert (await reading.read()).data == b"first words"
            await ana.unshare(f"jobs/{ANA}", user="eve@people")
            await print_at(site, b"later words", more=True)  # asked for before
            assert await refusal(reading.read()) is DENIED
            for uid in (ANA, other):
                await ana.call("CancelJob", pb.CancelJobRequest(name=f"jobs/{uid}"))
            assert (await news.read()).job.uid == other
            news.cancel()


async def a_running_job(home: Path) -> str:
    store = await Store.open(f"sqlite:///{home}/broker.db")
    job = a_job(7, user="ana@people")
    job.spec = replace(job.spec, project="p")
    job.runs = [a_run(job, "csuc", JobState.RUNNING)]
    job.state = JobState.RUNNING
    await store.commit(Log(100).submit(job))
    await store.close()
    return job.id


async def test_a_lead_shares_with_a_project_and_it_outlives_the_broker(patient, tmp_path):
    await filled(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        who = await logins(patient, channel)
        await who["lia"].share(project="q")
        await sees_all(who["eve"])
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        who = await logins(patient, channel)
        await sees_all(who["eve"])
        robots = {
            scope: Caller(channel, (await machine(channel, who["eve"].token, scope)).token)
            for scope in ("read", "output")
        }
        # a machine account of that project sees what its scopes are for
        assert (await robots["read"].job()).spec.script
        assert await robots["read"].output() is DENIED
        assert await robots["output"].output() is LET_IN
        assert await refusal(robots["output"].job()) is DENIED
        await who["ana"].unshare(project="q")
        await who["ana"].share(user="eve@people")
        await sees_all(who["eve"])
        # what is shared with a person is not shared with their machines
        await sees_nothing(robots["read"])
        # with the own project: mates see the script too
        await who["ana"].share(project="p")
        assert (await who["bea"].job()).spec.script


async def test_names_that_can_be_nobodys_and_too_many_are_refused(patient, tmp_path):
    await filled(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        ana = (await logins(patient, channel))["ana"]
        for whom in (
            {}, {"user": ""}, {"user": "eve"}, {"user": "e e@people"}, {"user": "e\n@people"},
            {"user": f"{'e' * 320}@people"}, {"project": "Q"}, {"project": "../q"},
        ):  # fmt: skip
            assert await refusal(ana.share(**whom)) is INVALID, whom
        for number in range(100):
            await ana.share(project=f"q{number}")
        assert await refusal(ana.share(project="r")) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len((await ana.share(project="q7")).shared_with) == 100  # there already
        await ana.unshare(project="q7")
        assert len((await ana.share(project="r")).shared_with) == 100


async def test_command_and_client(patient, tmp_path, monkeypatch):
    await filled(tmp_path)
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        who = await logins(patient, channel)
        shell = Shell(running, tmp_path)
        shell.environment |= {"RESFED_CA": shell.ca, "RESFED_TOKEN": who["ana"].token}
        words = ("share", WAITS, ANA, "--with", "eve@people", "--project", "q")
        assert await shell.run(*words) == (
            f"job {WAITS} is shared with eve@people, project q\n"
            f"job {ANA} is shared with eve@people, project q\n"
        )
        shown = json.loads(await shell.run("show", WAITS, "--json"))["shared_with"]
        assert [(one.get("user"), one.get("project"), one["by"]) for one in shown] == [
            ("eve@people", None, "ana@people"), (None, "q", "ana@people"),
        ]  # fmt: skip
        assert "    shared  with eve@people, project q\n" in await shell.run("show", WAITS)
        left = await shell.run("share", WAITS, "--project", "q", "--end", "--json")
        assert [one["user"] for one in json.loads(left)["shared_with"]] == ["eve@people"]
        denied = await shell.run(
            "share", WAITS, "--project", "q", code=4, RESFED_TOKEN=who["eve"].token
        )
        assert WAITS in denied
        monkeypatch.setenv("RESFED_CA", shell.ca)
        monkeypatch.setenv("RESFED_TOKEN", who["ana"].token)
        async with FederationClient(running.address) as client:
            job = await client.unshare(WAITS, user="eve@people")
            assert job.shared_with == ()
            job = await client.share(WAITS, project="q")
            assert [(one.kind, one.name) for one in job.shared_with] == [(ShareKind.PROJECT, "q")]
        monkeypatch.setenv("RESFED_TOKEN", who["eve"].token)
        async with FederationClient(running.address) as client:
            assert (await client.job(WAITS, with_script=True)).spec.script
            with pytest.raises(PermissionDenied):
                await client.share(WAITS, project="q")
