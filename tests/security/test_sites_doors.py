"""Who comes in by which port, and for whom."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from res_federation.agent.site_identity import Papers
from res_federation.api.v1 import enrolment_pb2, jobs_pb2, sites_pb2
from res_federation.api.v1.agents_pb2_grpc import AgentServiceStub
from res_federation.api.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from res_federation.api.v1.sites_pb2_grpc import SiteServiceStub
from res_federation.errors import PermissionDenied
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import Authority
from res_federation.security.credentials import HEADER, find
from res_federation.security.local_login import found
from tests.agent.patience import PATIENCE_S
from tests.security.sites import (
    CSUC,
    IAC,
    Broker,
    Stream,
    broker,
    door,
    refused,
    report,
    signed,
    stream,
)

DENIED, NOBODY = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
NO_HANDSHAKE = grpc.StatusCode.UNAVAILABLE


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker(tmp_path / "home") as made:
        yield made


async def test_a_site_is_let_in_by_its_certificate_and_for_itself_alone(running, tmp_path) -> None:
    papers = await running.enrolled(CSUC, tmp_path / "csuc")
    async with stream(running.agents, papers, running.authority.ca_pem) as one:
        await one.say(report("csuc"))
        assert (await one.order("renew")).sequence == 1
        await one.say(report("iac", 2))
        error = await one.refusal()
        assert error.code() is DENIED
    for other in ("iac", "atlantis"):
        code, words = await refused(running, papers, other)
        assert (code, "csuc" in words) == (DENIED, True)


async def test_who_is_not_signed_by_the_authority_gets_no_handshake(running, tmp_path) -> None:
    other = Authority.opened(tmp_path / "other", time.time())
    papers = signed(other, CSUC)
    assert (await refused(running, papers, "csuc"))[0] is NO_HANDSHAKE
    expired = signed(running.authority, CSUC, lifetime_s=-10)
    assert (await refused(running, expired, "csuc"))[0] is NO_HANDSHAKE
    server = running.authority.server((), time.time())
    as_server = Papers(server.key_pem, server.certificate_pem, running.authority.ca_pem)
    assert (await refused(running, as_server, "csuc"))[0] in (NO_HANDSHAKE, DENIED)


async def test_a_certificate_that_nobody_wrote_down_is_refused(running) -> None:
    code, words = await refused(running, signed(running.authority, CSUC), "csuc")
    assert (code, "not one that this federation signed" in words) == (DENIED, True)
    code, words = await refused(running, signed(running.authority, SiteId("nowhere")), "nowhere")
    assert (code, "no member" in words) == (DENIED, True)


async def test_a_revoked_site_is_out_at_once_and_others_stay(running, tmp_path) -> None:
    papers = await running.enrolled(CSUC, tmp_path / "csuc")
    others = await running.enrolled(IAC, tmp_path / "iac")
    ca = running.authority.ca_pem
    async with (
        stream(running.agents, papers, ca) as bad,
        stream(running.agents, others, ca) as good,
    ):
        await bad.say(report("csuc"))
        await good.say(report("iac"))
        await bad.order("renew")
        await good.order("renew")
        (ended,) = await running.operator.revoke("sites/csuc", "stolen disk")
        error = await bad.refusal()
        assert (error.code(), "revoked" in error.details()) == (DENIED, True)
        await good.say(report("iac", 2))
        assert (await good.order("renew")).sequence == 2
    assert (ended.site, ended.state, ended.reason) == ("csuc", "REVOKED", "stolen disk")
    code, words = await refused(running, papers, "csuc")
    assert (code, "revoked" in words) == (DENIED, True)


async def test_one_certificate_of_a_site_can_be_taken_back_by_its_serial(running, tmp_path) -> None:
    old = await running.enrolled(CSUC, tmp_path / "old")
    (first,) = await running.operator.certificates("csuc")
    new = await running.enrolled(CSUC, tmp_path / "new")
    await running.operator.revoke(f"certificates/{first.serial}", "")
    assert (await refused(running, old, "csuc"))[0] is DENIED
    async with stream(running.agents, new, running.authority.ca_pem) as one:
        await one.say(report("csuc"))
        await one.order("renew")
    states = {one.serial: one.state for one in await running.operator.certificates()}
    assert states.pop(first.serial) == "REVOKED"
    assert set(states.values()) == {"VALID"}


async def test_plaintext_gets_nothing_at_either_door(running) -> None:
    for address in (running.address, running.agents):
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = EnrolmentServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.GetAuthority(enrolment_pb2.GetAuthorityRequest(), timeout=PATIENCE_S)
            assert raised.value.code() is NO_HANDSHAKE


async def test_each_door_has_its_own_calls(running, tmp_path) -> None:
    papers = await running.enrolled(CSUC, tmp_path / "csuc")
    token = find(running.address).metadata()
    async with find(running.address).aio_channel(running.address, ()) as users:
        call = AgentServiceStub(users).Connect()
        error = await Stream(call).refusal()
        assert error.code() in (DENIED, grpc.StatusCode.UNIMPLEMENTED)
    async with door(running.agents, papers, running.authority.ca_pem) as agents:
        sites: Any = SiteServiceStub(agents)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await sites.ListSites(sites_pb2.ListSitesRequest(), metadata=token, timeout=PATIENCE_S)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    tls = grpc.ssl_channel_credentials(running.authority.ca_pem)
    async with grpc.aio.secure_channel(running.agents, tls) as nobody:
        connect: Any = AgentServiceStub(nobody)
        error = await Stream(connect.Connect(metadata=token, timeout=PATIENCE_S)).refusal()
        assert error.code() is NO_HANDSHAKE


@pytest.mark.parametrize(
    "header", [(), ((HEADER, "Bearer wrong"),), ((HEADER, "Basic x"),), ((HEADER, ""),)]
)
async def test_without_the_right_token_only_what_is_public_answers(running, header) -> None:
    tls = grpc.ssl_channel_credentials(running.authority.ca_pem)
    async with grpc.aio.secure_channel(running.address, tls) as channel:
        enrolment: Any = EnrolmentServiceStub(channel)
        told = await enrolment.GetAuthority(enrolment_pb2.GetAuthorityRequest(), metadata=header)
        assert told.ca_pem == running.authority.ca_pem.decode()
        for ask, request in (
            (enrolment.CreateInvitation, enrolment_pb2.CreateInvitationRequest(site="sites/csuc")),
            (enrolment.ListCertificates, enrolment_pb2.ListCertificatesRequest()),
            (
                enrolment.RevokeCertificates,
                enrolment_pb2.RevokeCertificatesRequest(name="sites/csuc"),
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await ask(request, metadata=header, timeout=PATIENCE_S)
            assert raised.value.code() is NOBODY
        listing: Any = channel.unary_unary("/res_federation.api.v1.JobService/ListJobs")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await listing(jobs_pb2.ListJobsRequest().SerializeToString(), metadata=header)
        assert raised.value.code() is NOBODY


async def test_the_local_login_is_for_this_account_alone(running, tmp_path) -> None:
    from res_federation.security.local_login import runtime_directory

    port = running.address.rpartition(":")[2]
    directory = runtime_directory() / f"loopback-{port}"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "token").stat().st_mode & 0o777 == 0o600
    assert found(running.address) is not None
    assert found(f"192.0.2.1:{port}") is None
    (directory / "token").chmod(0o644)
    with pytest.raises(PermissionDenied, match="not trusted"):
        found(running.address)
    (directory / "token").chmod(0o600)
    moved = tmp_path / "moved"
    directory.rename(moved)
    directory.symlink_to(moved)
    with pytest.raises(PermissionDenied, match="not a directory"):
        found(running.address)
    directory.unlink()
    moved.rename(directory)


async def test_the_key_of_the_authority_is_readable_by_its_owner_only(running) -> None:
    key = running.home / "authority" / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    with pytest.raises(PermissionDenied, match=r"ca\.key"):
        _ = running.authority
    key.chmod(0o600)
