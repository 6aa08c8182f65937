"""What the broker's ports show is renewed while they listen."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from res_federation.broker.doors import Doors
from res_federation.cli.authority import init
from res_federation.config.security import SecuritySettings
from res_federation.errors import InvalidArgument
from res_federation.security.authority import SERVER_S, Authority
from tests.security.federation import broker
from tests.security.sites import CSUC, door, signed
from tests.security.test_reloading import patient, put, until
from tests.security.test_standing import login

__all__ = ["patient"]
DAY_S = 86_400.0


def shown(port: int, ca_pem: bytes) -> str:
    """Shake hands; return the serial of the certificate that was shown."""
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found is not None
    return f"{x509.load_der_x509_certificate(found).serial_number:x}"


@asynccontextmanager
async def listening(doors: Doors) -> Any:
    users, agents = grpc.aio.server(), grpc.aio.server()
    ports = (
        users.add_secure_port("127.0.0.1:0", doors.users()),
        agents.add_secure_port("127.0.0.1:0", doors.agents()),
    )
    await asyncio.gather(users.start(), agents.start())
    try:
        yield ports
    finally:
        await asyncio.gather(users.stop(0), agents.stop(0))


async def test_the_brokers_own_certificate_is_renewed_while_it_listens(tmp_path):
    now = time.time()
    authority = Authority.opened(tmp_path / "authority", now - 300 * DAY_S)
    doors = Doors(authority, SecuritySettings(), (), now - 300 * DAY_S)
    async with listening(doors) as (users, agents):
        first = await asyncio.to_thread(shown, users, authority.ca_pem)
        assert doors.look(now - 40 * DAY_S) == 0.0  # two thirds are not over
        assert await asyncio.to_thread(shown, users, authority.ca_pem) == first
        papers = signed(authority, CSUC)
        async with door(f"127.0.0.1:{agents}", papers, authority.ca_pem) as open_since:
            await asyncio.wait_for(open_since.channel_ready(), 10)
            assert doors.look(now) == pytest.approx(now + SERVER_S, abs=2.0)
            second = await asyncio.to_thread(shown, users, authority.ca_pem)
            assert second != first
            assert await asyncio.to_thread(shown, users, authority.ca_pem) == second
            assert doors.look(now + 1.0) == 0.0
            # who is in stays in; who comes to the agents' port still needs a certificate
            assert open_since.get_state() is grpc.ChannelConnectivity.READY
            async with door(f"127.0.0.1:{agents}", papers, authority.ca_pem) as later:
                await asyncio.wait_for(later.channel_ready(), 10)
            stranger = signed(Authority.opened(tmp_path / "other", now), CSUC)
            async with door(f"127.0.0.1:{agents}", stranger, authority.ca_pem) as refused:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(refused.channel_ready(), 1)


async def test_an_authority_that_ends_is_told_and_nothing_is_made_in_vain(tmp_path, capsys):
    now = time.time()
    authority = Authority.opened(tmp_path / "authority", now - 3600 * DAY_S)
    doors = Doors(authority, SecuritySettings(), (), now)
    for passed in (0.0, 1.0, 49 * DAY_S, 49 * DAY_S + 1.0):
        assert doors.look(now + passed) == 0.0
    told = [line for line in capsys.readouterr().out.splitlines() if "authority_ends" in line]
    assert len(told) == 2  # once a day


def test_who_looks_at_an_authority_that_ends_soon_is_told(tmp_path, capsys):
    home, now = tmp_path / "home", time.time()
    Authority.opened(home / "authority", now - 3560 * DAY_S)
    init(home)
    assert "it ends in 89 days" in capsys.readouterr().out
    init(tmp_path / "fresh")
    assert "it ends" not in capsys.readouterr().out


def written(home: Path, authority: Authority) -> str:
    """Write a certificate of somebody else beside security.toml; return its serial."""
    pair = authority.server((), time.time())
    (home / "chain.pem").write_bytes(pair.certificate_pem + authority.ca_pem)
    (home / "key.pem").write_bytes(pair.key_pem)
    found = x509.load_pem_x509_certificate(pair.certificate_pem)
    return f"{found.serial_number:x}"


async def test_files_of_somebody_else_are_read_again_and_wrong_ones_are_not(
    patient, tmp_path, capsys
):
    theirs = Authority.opened(tmp_path / "theirs", time.time())
    ca = theirs.ca_pem
    async with broker(tmp_path, patient) as running:
        port = int(running.address.rpartition(":")[2])
        own = await asyncio.to_thread(shown, port, running.ca_pem)
        file = tmp_path / "security.toml"
        first = file.read_text()
        async with running.channel() as channel:
            olga = await login(patient, channel, "operator-olga")
            written(tmp_path, theirs)
            serial = written(tmp_path, theirs)
            put(tmp_path, '[tls]\ncertificate = "chain.pem"\nkey = "key.pem"\n' + first)
            await until(lambda: shows(port, ca, serial))
            serial = written(tmp_path, theirs)  # certbot was here
            await until(lambda: shows(port, ca, serial))
            key = (tmp_path / "key.pem").read_bytes()
            written(tmp_path, theirs)
            (tmp_path / "key.pem").write_bytes(key)  # of the one before
            await asyncio.sleep(3.0)
            assert await shows(port, ca, serial)
            told = capsys.readouterr().out
            assert told.count("the certificate is not of the key") == 1
            assert b"PRIVATE KEY" in key
            assert "PRIVATE KEY" not in told
            put(tmp_path, first)
            await until(lambda: shows(port, running.ca_pem, own))
            acts = [target for _, target, _ in await olga.acts("tls.certificate", 4)]
            assert acts == ["users"] * 4


async def shows(port: int, ca_pem: bytes, serial: str) -> bool:
    try:
        return await asyncio.to_thread(shown, port, ca_pem) == serial
    except ssl.SSLError:
        return False


def test_settings_that_cannot_be_change_nothing_and_are_told_once_a_day(tmp_path):
    now = time.time()
    authority = Authority.opened(tmp_path / "authority", now)
    doors = Doors(authority, SecuritySettings(), (), now)
    nowhere = Path("a\0b")
    for wrong in (
        SecuritySettings(hosts=("b\u00fccher.example",)),
        SecuritySettings(tls_certificate=nowhere, tls_key=nowhere),
    ):
        doors.follow(wrong)
        with pytest.raises(InvalidArgument):
            doors.look(now)
        assert doors.look(now + 1.0) == 0.0
        doors.follow(SecuritySettings())
        doors.look(now + 2.0)
    with pytest.raises(InvalidArgument, match="hosts"):
        Doors(authority, SecuritySettings(hosts=("\u00fc",)), (), now)


def test_a_broker_does_not_start_with_files_that_do_not_fit(tmp_path):
    authority = Authority.opened(tmp_path / "authority", time.time())
    one, other = authority.server((), time.time()), authority.server((), time.time())
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    settings = SecuritySettings(developer=False, tls_certificate=chain, tls_key=key)
    for certificate, of in ((one, other), (one, None), (None, one)):
        chain.write_bytes(certificate.certificate_pem if certificate else b"x")
        key.write_bytes(of.key_pem if of else b"x")
        with pytest.raises(InvalidArgument, match=r"chain\.pem"):
            Doors(authority, settings, (), time.time())
