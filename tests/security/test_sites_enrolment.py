"""How a site comes in, and who does not."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from res_federation.agent.dial import Dial
from res_federation.agent.enrolling import enrol
from res_federation.agent.site_identity import SiteIdentity
from res_federation.api.v1.agents_pb2_grpc import AgentServiceStub
from res_federation.cli.main import execute
from res_federation.client import SiteState
from res_federation.config.security import SecuritySettings
from res_federation.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import Authority, new_site_key, peer_of, site_request
from res_federation.security.invitation import InvitationText
from res_federation.security.local_login import found
from tests.security.sites import CSUC, IAC, Broker, Stream, broker, ended, refused, report, stream


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker(tmp_path / "home") as made:
        yield made


async def test_an_invitation_lets_one_site_in_once(running, tmp_path) -> None:
    token = (await running.operator.invite(CSUC)).token
    papers = await enrol(CSUC, running.address, token, tmp_path / "agent")
    assert peer_of(papers.certificate)[0] == "csuc"
    files = list((tmp_path / "agent" / "identity").iterdir())
    assert files
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    async with stream(running.agents, papers, papers.ca) as one:
        await one.say(report("csuc"))
        await one.order("renew")
    with pytest.raises(PermissionDenied, match="used already"):
        await enrol(CSUC, running.address, token, tmp_path / "thief")
    assert len(await running.operator.certificates()) == 1


async def test_an_answer_that_was_lost_is_asked_for_again(running, tmp_path) -> None:
    token = (await running.operator.invite(CSUC)).token
    request = SiteIdentity(CSUC, tmp_path / "agent").request()
    first = await running.operator.enrol(token, CSUC, request)
    papers = await enrol(CSUC, running.address, token, tmp_path / "agent")
    assert papers.certificate == first.pem.encode()


async def test_of_two_thieves_at_once_one_gets_in(running, tmp_path) -> None:
    token = (await running.operator.invite(CSUC)).token
    tries = [enrol(CSUC, running.address, token, tmp_path / str(n)) for n in range(8)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, PermissionDenied) for end in ends) == 7
    assert len(await running.operator.certificates()) == 1


async def test_an_invitation_of_another_site_or_of_nobody_is_refused(running, tmp_path) -> None:
    token = (await running.operator.invite(CSUC)).token
    with pytest.raises(PermissionDenied, match="no such invitation for site 'iac'"):
        await enrol(IAC, running.address, token, tmp_path / "iac")
    drawn = InvitationText.drawn(running.authority.fingerprint).text
    with pytest.raises(PermissionDenied, match="no such invitation"):
        await enrol(CSUC, running.address, drawn, tmp_path / "csuc")
    for text in ("", "x", "rsi1_", "rsi1_" + "A" * 85, "rsi1_" + "é" * 86, "A" * 100_000):
        with pytest.raises(PermissionDenied, match="not an invitation"):
            await running.operator.enrol(text, CSUC, site_request(new_site_key(), CSUC))
    with pytest.raises(NotFound, match="nowhere"):
        await running.operator.invite(SiteId("nowhere"))
    assert await running.operator.certificates() == []


async def test_an_invitation_ends_by_time_and_by_revocation(running, tmp_path) -> None:
    short = (await running.operator.invite(CSUC, 0.2)).token
    await asyncio.sleep(0.3)
    with pytest.raises(PermissionDenied, match="is over"):
        await enrol(CSUC, running.address, short, tmp_path / "late")
    token = (await running.operator.invite(CSUC)).token
    await running.operator.revoke("sites/csuc", "")
    with pytest.raises(PermissionDenied, match="is over"):
        await enrol(CSUC, running.address, token, tmp_path / "late")


async def test_a_request_that_names_another_site_is_refused(running) -> None:
    key = new_site_key()
    for request, error in (
        (site_request(key, IAC), PermissionDenied),
        (site_request(key, SiteId("csuc/../iac")), PermissionDenied),
        ("no request", InvalidArgument),
        ("x" * 100_000, InvalidArgument),
    ):
        token = (await running.operator.invite(CSUC)).token
        with pytest.raises(error):
            await running.operator.enrol(token, CSUC, request)
    assert await running.operator.certificates() == []


async def test_a_site_trusts_on_proof_and_sends_its_token_to_nobody_else(running, tmp_path) -> None:
    async with broker(tmp_path / "impostor") as impostor:
        token = (await running.operator.invite(CSUC)).token
        with pytest.raises(PermissionDenied, match="not the one that the invitation is from"):
            await enrol(CSUC, impostor.address, token, tmp_path / "agent")
        with pytest.raises(PermissionDenied, match="--fingerprint"):
            await enrol(
                CSUC, running.address, token, tmp_path / "agent",
                fingerprint=impostor.authority.fingerprint,
            )  # fmt: skip
        await enrol(
            CSUC, running.address, token, tmp_path / "agent",
            ca=running.home / "authority" / "ca.pem", fingerprint=running.authority.fingerprint,
        )  # fmt: skip


async def test_a_users_port_with_a_certificate_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production: no local login, and the users' port is signed by another authority."""
    home, state = tmp_path / "home", tmp_path / "agent"
    async with broker(home) as running:
        token = (await running.operator.invite(CSUC)).token
    other = Authority.opened(tmp_path / "other", time.time())
    pair = other.server((), time.time())
    files = {"tls.pem": pair.certificate_pem, "tls.key": pair.key_pem}
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    roots = tmp_path / "other" / "ca.pem"
    rules = SecuritySettings(
        developer=False, tls_certificate=tmp_path / "tls.pem", tls_key=tmp_path / "tls.key"
    )
    with monkeypatch.context() as told:
        told.setenv("RESFED_CA", str(roots))
        async with broker(home, security=rules) as running:
            told.delenv("RESFED_CA")
            assert found(running.address) is None
            with pytest.raises(Unavailable, match="not a broker that this account knows"):
                await enrol(CSUC, running.address, token, tmp_path / "unknown")
            papers = await enrol(CSUC, running.address, token, state, ca=roots)
            assert papers.ca == running.authority.ca_pem
            dial = Dial(SiteIdentity(CSUC, state), running.address, now=time.time)
            async with await dial.channel(()) as channel:
                one = Stream(AgentServiceStub(channel).Connect())
                await one.say(report("csuc"))
                await one.order("renew")


async def test_only_the_digest_of_a_secret_is_on_disk(running, tmp_path) -> None:
    token = (await running.operator.invite(CSUC)).token
    words = InvitationText.read(token)
    with sqlite3.connect(f"file:{running.home / 'broker.db'}?mode=ro", uri=True) as database:
        ((digest,),) = database.execute("SELECT digest FROM invitations")
    assert digest == words.digest
    assert words.digest != words.secret
    for file in running.home.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert words.secret not in data
            assert token.encode() not in data


async def test_a_local_agent_signs_itself_in_and_again_under_a_new_authority(tmp_path) -> None:
    state = tmp_path / "agent"
    async with broker(tmp_path / "one") as running:
        listen = running.address
        agent = await running.agent(CSUC, state)
        await running.ready(CSUC)
        first = SiteIdentity(CSUC, state).load()
    try:
        async with broker(tmp_path / "two", listen=listen) as again:
            await again.ready(CSUC)
            assert first is not None
            assert (await refused(again, first, "csuc"))[0].name == "UNAVAILABLE"
            assert not agent.done()
    finally:
        await ended(agent)


async def test_a_database_that_was_lost_is_healed_by_the_local_login(tmp_path) -> None:
    state, home = tmp_path / "agent", tmp_path / "home"
    async with broker(home) as running:
        listen = running.address
        agent = await running.agent(CSUC, state)
        await running.ready(CSUC)
    for file in home.glob("broker.db*"):
        file.unlink()
    try:
        async with broker(home, listen=listen) as again:
            await again.ready(CSUC)
    finally:
        await ended(agent)


async def test_a_revoked_local_agent_does_not_let_itself_in_again(running, tmp_path) -> None:
    agent = await running.agent(CSUC, tmp_path / "agent")
    try:
        await running.ready(CSUC)
        await running.operator.revoke("sites/csuc", "on trial")
        await running.ready(CSUC, SiteState.DISCONNECTED)
        await asyncio.sleep(2)
        await running.ready(CSUC, SiteState.DISCONNECTED)
        assert [one.state for one in await running.operator.certificates("csuc")] == ["REVOKED"]
    finally:
        await ended(agent)


async def test_the_commands_of_operators_and_administrators(running, tmp_path, capsys) -> None:
    async def run(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(execute, list(words))
        return code, capsys.readouterr().out.strip()

    at = ("--broker", running.address)
    code, told = await run("site", "invite", "csuc", *at)  # the broker's log is in it too
    assert code == 0
    (token,) = [line for line in told.splitlines() if line.startswith("rsi1_")]
    words = ("site", "enroll", *at, "--token", token, "--site", "csuc", "--state")
    assert (await run(*words, str(tmp_path / "state")))[0] == 0
    assert (await run(*words, str(tmp_path / "again")))[0] == 4
    code, told = await run("admin", "ca", "list", *at)
    assert (code, "VALID" in told, "csuc" in told) == (0, True, True)
    assert running.authority.fingerprint in (await run("admin", "ca", "show", *at))[1]
    assert "REVOKED" in (await run("admin", "ca", "revoke", "csuc", *at))[1]
    assert (await run("admin", "ca", "revoke", "nowhere", *at))[0] == 2
    code, told = await run("admin", "ca", "init", "--home", str(tmp_path / "new"))
    made = Authority.opened(tmp_path / "new" / "authority", time.time())
    assert (code, made.fingerprint in told) == (0, True)
