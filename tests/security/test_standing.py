"""Who leaves a project is out at once: their open streams, and the tokens that they made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from res_federation.api.v1 import (
    accounting_pb2,
    accounting_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    jobs_pb2_grpc,
    specs_pb2,
)
from res_federation.api.v1 import jobs_pb2 as pb
from res_federation.errors import Unauthenticated
from res_federation.model.audit_chain import entry_of
from res_federation.model.issuers import Binding
from res_federation.model.principal import Principal, Role
from res_federation.security.authenticator import Login
from res_federation.security.caller import Call
from res_federation.security.machine import new_account, seen
from res_federation.security.membership import CLAIM_S, NoMemberships, stands
from res_federation.security.streams import OpenStreams
from res_federation.wire.times import to_timestamp
from tests.agent.patience import PATIENCE_S
from tests.security import people
from tests.security.federation import broker
from tests.security.test_roles_matrix import bearer

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED
WATCH = "/res_federation.api.v1.JobService/WatchJobs"
BY_CLAIM = """
[[binding]]
role = "user"
issuer = "people"
claim = "groups"
value = "staff"
project = "r"
"""


@pytest.fixture(scope="module")
def patient(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    node, npm = requires("node", "nodejs"), requires("npm", "npm")
    with people.provider(node, npm, token_s=600) as running:
        yield running


class Caller:
    """Somebody with a token."""

    def __init__(self, channel: Any, token: str) -> None:
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        self.books: Any = accounting_pb2_grpc.AccountingServiceStub(channel)
        self.identity: Any = identity_pb2_grpc.IdentityServiceStub(channel)
        self.audit: Any = audit_pb2_grpc.AuditServiceStub(channel)
        self.metadata = (bearer(token),)

    async def begin(self) -> None:
        """Make the project r, which can pay at csuc: its jobs wait for that site's agent."""
        project = accounting_pb2.Project(name="projects/r", title="r")
        request = accounting_pb2.SaveProjectRequest(project=project)
        await self.books.SaveProject(request, metadata=self.metadata)
        pool = accounting_pb2.Pool(name="pools/res", kind="res")
        await self.books.SavePool(accounting_pb2.SavePoolRequest(pool=pool), metadata=self.metadata)
        grant = accounting_pb2.Grant(
            name="grants/g", project="projects/r", pool="pools/res", machine="csuc",
            begin_time=to_timestamp(0.0), end_time=to_timestamp(1e10), core_seconds=-1,
            accelerator_seconds=-1,
        )  # fmt: skip
        saved = accounting_pb2.SaveGrantRequest(grant=grant)
        await self.books.SaveGrant(saved, metadata=self.metadata)

    async def member(self, who: str, role: str) -> None:
        """Let somebody belong to r; the role "" is none any more."""
        one = accounting_pb2.Member(project="projects/r", issuer="people", subject=who, role=role)
        request = accounting_pb2.SetMemberRequest(member=one)
        await self.books.SetMember(request, metadata=self.metadata, timeout=30)

    async def machine(self, project: str = "r") -> identity_pb2.MachineToken:
        request = identity_pb2.CreateMachineTokenRequest(
            label="ci", project=project, scopes=["read", "submit"]
        )
        made: identity_pb2.MachineToken = await self.identity.CreateMachineToken(
            request, metadata=self.metadata, timeout=30
        )
        return made

    async def submit(self, project: str = "r") -> str:
        spec = specs_pb2.JobSpec(
            name="job", project=project, script=b"#!/bin/sh\n", time_limit_s=60
        )
        request = pb.CreateJobRequest(spec=spec)
        made = await self.jobs.CreateJob(request, metadata=self.metadata, timeout=30)
        uid: str = made.uid
        return uid

    async def listed(self) -> set[str]:
        page = await self.jobs.ListJobs(pb.ListJobsRequest(), metadata=self.metadata, timeout=30)
        return {job.uid for job in page.jobs}

    def watch(self) -> Any:
        return self.jobs.WatchJobs(pb.WatchJobsRequest(), metadata=self.metadata, timeout=30)

    async def acts(self, act: str, at_least: int = 1) -> list[tuple[str, str, str]]:
        """What the audit log has of an act, once it has as much: it is written a little later."""
        request = audit_pb2.ListEntriesRequest(act=act)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                page = await self.audit.ListEntries(request, metadata=self.metadata, timeout=30)
                entries = [entry_of(one.entry) for one in page.entries]
                if len(entries) >= at_least:
                    return [(one.actor, one.target, one.reason) for one in entries]
                await asyncio.sleep(0.1)


async def login(provider: people.Provider, channel: Any, name: str) -> Caller:
    return Caller(channel, (await asyncio.to_thread(provider.tokens, name)).access)


async def refusal(asked: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked
    code: grpc.StatusCode = caught.value.code()
    return code


async def end(stream: Any) -> grpc.StatusCode:
    """Read a stream to its end; it has to come though nothing is said in it."""
    async with asyncio.timeout(10):
        try:
            while await stream.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError:
            pass
        code: grpc.StatusCode = await stream.code()
        return code


async def until_heard(watching: Any, job: str) -> list[str]:
    """Read a watch until it tells of *job*; return what else it told of."""
    heard: list[str] = []
    async with asyncio.timeout(10):
        while job not in heard:
            heard.append((await watching.read()).job.uid)
    return heard


async def test_the_tokens_of_who_leaves_a_project_end_for_good(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        await olga.begin()
        await olga.member("tom", "user")
        tom = await login(patient, channel, "tom")
        made = await tom.machine()
        robot = Caller(channel, made.token)
        job = await robot.submit()
        watching = robot.watch()
        await watching.initial_metadata()
        await olga.member("tom", "project-lead")  # a member still
        assert await robot.listed() == {job}
        await olga.member("tom", "")
        assert await end(watching) is UNAUTHENTICATED
        assert await refusal(robot.listed()) is UNAUTHENTICATED
        assert await refusal(robot.submit()) is UNAUTHENTICATED
        await olga.member("tom", "user")  # back again: the old token is not
        assert await refusal(robot.listed()) is UNAUTHENTICATED
        assert await Caller(channel, (await tom.machine()).token).listed() == {job}
        reason = "tom@people, who made it, left project 'r'"
        assert await olga.acts("machine_token.revoke") == [("broker", made.uid, reason)]
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        assert await refusal(Caller(channel, made.token).listed()) is UNAUTHENTICATED


async def test_who_leaves_a_project_hears_no_more_of_it_in_open_streams(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        await olga.begin()
        await olga.member("tom", "user")
        await olga.member("eve", "user")  # of q, too
        await olga.member("ben", "project-lead")
        tom, eve, ben = [await login(patient, channel, name) for name in ("tom", "eve", "ben")]
        job = await tom.submit()
        request = pb.ReadOutputRequest(name=f"jobs/{job}", follow=True)
        reading = ben.jobs.ReadOutput(request, metadata=ben.metadata, timeout=30)
        watching, one = eve.watch(), tom.watch()
        await watching.initial_metadata()
        await one.initial_metadata()
        await until_heard(watching, await tom.submit())
        await olga.member("eve", "")
        unheard, own = await tom.submit(), await eve.submit("q")
        assert unheard not in await until_heard(watching, own)
        # a lead who becomes a user reads on what is their own alone; who has no role hears nothing
        await olga.member("ben", "user")
        assert await end(reading) is DENIED
        await olga.member("tom", "")
        assert await end(one) is DENIED
        watching.cancel()


async def test_a_token_ends_with_the_binding_that_its_maker_had(patient, tmp_path):
    more = BY_CLAIM.replace('claim = "groups"\nvalue = "staff"', 'subject = "tom"')
    async with broker(tmp_path, patient, more) as running, running.channel() as channel:
        await (await login(patient, channel, "operator-olga")).begin()
        token = (await (await login(patient, channel, "tom")).machine()).token
        await Caller(channel, token).submit()
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        assert await refusal(Caller(channel, token).listed()) is UNAUTHENTICATED
    async with broker(tmp_path, patient, more) as running, running.channel() as channel:
        assert len(await Caller(channel, token).listed()) == 1  # the file was mistaken


async def test_a_membership_by_claim_counts_until_its_holder_comes_without(patient, tmp_path):
    async with broker(tmp_path, patient, BY_CLAIM) as running, running.channel() as channel:
        ben = await login(patient, channel, "operator-ben")
        await ben.begin()
        robot = Caller(channel, (await ben.machine()).token)
        await robot.submit()
        token = robot.metadata[0][1].removeprefix("Bearer ")
    async with broker(tmp_path, patient, BY_CLAIM) as running, running.channel() as channel:
        robot = Caller(channel, token)
        assert len(await robot.listed()) == 1  # after a restart too, without a login of ben's
        watching = robot.watch()
        await watching.initial_metadata()
        patient.groups(on=False)
        try:
            ben = await login(patient, channel, "operator-ben")
            assert await refusal(ben.listed()) is DENIED
            assert await refusal(robot.listed()) is UNAUTHENTICATED
            assert await end(watching) is UNAUTHENTICATED
            await asyncio.sleep(0.3)
        finally:
            patient.groups(on=True)
    async with broker(tmp_path, patient, BY_CLAIM) as running, running.channel() as channel:
        assert await refusal(Caller(channel, token).listed()) is UNAUTHENTICATED


async def test_a_change_in_the_very_turn_in_which_a_login_ends_harms_nobody():
    now = [100.0]
    streams = OpenStreams(lambda: now[0])
    who = Principal("people", "ana", projects={"p": Role.USER})

    def again(_now: float) -> Principal:
        raise Unauthenticated("the login is over")

    login = Login(who, 100.01, who.user, again)
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    async def watched() -> None:
        with streams.kept(Call(WATCH), login) as stream:
            async with stream.within():
                loop.call_later(0.02, streams.look_again)
                time.sleep(0.1)  # noqa: ASYNC251 - so both are due in one turn of the loop
                await asyncio.sleep(5)

    with pytest.raises(Unauthenticated, match="over"):
        await watched()
    assert told == []


async def test_a_stream_that_ends_while_a_message_is_sent_says_so_after_it():
    """Cut amid sending, gRPC would leave the caller without an end."""
    streams = OpenStreams(lambda: 0.0)
    who = Principal("people", "ana", projects={"p": Role.USER})

    def again(_now: float) -> Principal:
        raise Unauthenticated("the token was revoked")

    async def changes() -> AsyncIterator[int]:
        for number in range(9):
            yield number

    with streams.kept(Call(WATCH), Login(who, 100.0, who.user, again)) as stream:
        messages = stream.said(changes())
        assert await anext(messages) == 0
        streams.look_again()
        await asyncio.sleep(0.05)  # gRPC sends; cancelled here, this test would end
        with pytest.raises(Unauthenticated, match="revoked"):
            await anext(messages)


def test_a_claim_that_nobody_shows_any_more_is_believed_for_thirty_days():
    account, _ = new_account("ci", "r", ["read"], "ben@people", 100.0, 0)
    binding = Binding(Role.USER, "people", claim="groups", value="staff", project="r")
    account = seen(account, member=True, now=100.0)
    assert stands(account, [binding], NoMemberships(), 99.0 + CLAIM_S)
    assert not stands(account, [binding], NoMemberships(), 100.0 + CLAIM_S)
    for other in (
        replace(binding, project="q"), replace(binding, issuer="others"),
        Binding(Role.USER, "people", subject="eve", project="r"),
    ):  # fmt: skip
        assert not stands(account, [other], NoMemberships(), 101.0)
    assert not stands(seen(account, member=False, now=150.0), [binding], NoMemberships(), 151.0)
    assert seen(account, member=True, now=101.0) is account  # nothing new to write down
