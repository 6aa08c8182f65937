"""Certificates of seconds: they renew themselves over the stream, and no other way."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from res_federation.agent.enrolling import enrol
from res_federation.agent.site_identity import SiteIdentity
from res_federation.api.v1 import agents_pb2
from res_federation.client import SiteState
from res_federation.errors import FailedPrecondition, PermissionDenied
from res_federation.security.authority import new_site_key, site_request
from res_federation.wire.status import RENEWAL_DENIED, from_rpc_error
from tests.agent.patience import PATIENCE_S
from tests.security.sites import CSUC, IAC, broker, ended, refused, report, stream

LIFE_S = 6.0


def renewal(csr: str) -> agents_pb2.ConnectRequest:
    return agents_pb2.ConnectRequest(renewal=agents_pb2.RenewalRequest(csr_pem=csr))


async def test_an_agent_outlives_its_certificates_and_restarts_of_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production: the agent has no login, only its invitation."""
    home, state = tmp_path / "home", tmp_path / "agent"
    async with broker(home, lifetime_s=LIFE_S) as running:
        listen = running.address
        token = (await running.operator.invite(CSUC)).token
        await enrol(CSUC, running.address, token, state)
        with monkeypatch.context() as no_login:
            no_login.setattr("res_federation.agent.dial.DEVELOPER_MODE", "nobody's")
            agent = await running.agent(CSUC, state)
            began = time.monotonic()
            await running.ready(CSUC)
            certificates = await running.operator.certificates("csuc")
            async with asyncio.timeout(PATIENCE_S):
                while len(certificates) < 4 or time.monotonic() - began < 1.5 * LIFE_S:
                    await running.ready(CSUC)
                    await asyncio.sleep(0.5)
                    certificates = await running.operator.certificates("csuc")
            for newer, older in pairwise(certificates):
                assert newer.renewed == older.serial
            await ended(agent)
            agent = await running.agent(CSUC, state)
            await running.ready(CSUC)
    async with broker(home, lifetime_s=LIFE_S, listen=listen) as again:
        try:
            await again.ready(CSUC)
            assert not agent.done()
        finally:
            await ended(agent)


async def test_a_serial_is_renewed_once(tmp_path: Path) -> None:
    async with broker(tmp_path / "home") as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        ca = running.authority.ca_pem
        mine = site_request(new_site_key(), CSUC)
        async with stream(running.agents, papers, ca) as one:
            await one.say(report("csuc"), renewal(mine))
            first = (await one.order("certificate")).certificate_pem
            await one.say(renewal(mine))
            assert (await one.order("certificate")).certificate_pem == first
            await one.say(renewal(site_request(new_site_key(), CSUC)))
            error = from_rpc_error(await one.refusal())
        assert isinstance(error, PermissionDenied)
        assert error.code == RENEWAL_DENIED
        assert "with another key" in error.message
        found = await running.operator.certificates()
        assert len(found) == 2
        gone = await running.operator.revoke(f"certificates/{found[-1].serial}", "stolen")
        assert {one.serial for one in gone} == {one.serial for one in found}


async def test_nobody_renews_for_another_site_or_with_what_was_taken_back(tmp_path: Path) -> None:
    async with broker(tmp_path / "home") as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        async with stream(running.agents, papers, running.authority.ca_pem) as one:
            await one.say(report("csuc"), renewal(site_request(new_site_key(), IAC)))
            assert (await one.refusal()).code() is grpc.StatusCode.PERMISSION_DENIED
        async with stream(running.agents, papers, running.authority.ca_pem) as one:
            await one.say(report("csuc"), renewal("rubbish"))
            assert (await one.refusal()).code() is grpc.StatusCode.INVALID_ARGUMENT
        await running.operator.revoke("sites/csuc", "")
        assert (await refused(running, papers, "csuc"))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert [one.state for one in await running.operator.certificates()] == ["REVOKED"]


async def test_a_stream_ends_with_its_certificate(tmp_path: Path) -> None:
    async with broker(tmp_path / "home", lifetime_s=3.0) as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        async with stream(running.agents, papers, running.authority.ca_pem) as one:
            await one.say(report("csuc"))
            await one.order("renew")
            error = await one.refusal()
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "expired" in error.details()
        assert time.time() >= papers.ends()
        assert (await refused(running, papers, "csuc"))[0] is grpc.StatusCode.UNAVAILABLE


async def test_an_agent_that_was_away_too_long_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("res_federation.agent.dial.DEVELOPER_MODE", "nobody's")
    async with broker(tmp_path / "home", lifetime_s=1.0) as running:
        await running.enrolled(CSUC, tmp_path / "agent")
        await asyncio.sleep(2.1)
        agent = await running.agent(CSUC, tmp_path / "agent")
        await asyncio.sleep(1.5)
        assert not agent.done()
        await running.ready(CSUC, SiteState.DISCONNECTED)
        await ended(agent)


def test_a_new_key_is_on_disk_before_it_is_asked_for_and_is_used_until_the_answer(tmp_path) -> None:
    identity = SiteIdentity(CSUC, tmp_path)
    identity.request()
    kept = (tmp_path / "identity" / "next.key").read_bytes()
    identity.request()
    assert (tmp_path / "identity" / "next.key").read_bytes() == kept


async def test_a_certificate_for_another_key_is_not_taken(tmp_path: Path) -> None:
    async with broker(tmp_path / "home") as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        other = await running.enrolled(IAC, tmp_path / "iac")
        identity = SiteIdentity(CSUC, tmp_path / "csuc")
        identity.request()
        for wrong in (papers.certificate, other.certificate, b"rubbish"):
            with pytest.raises(FailedPrecondition, match="not for this agent"):
                identity.accept(wrong.decode(), papers.ca.decode())
        assert identity.load() == papers
