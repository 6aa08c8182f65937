"""The gate before gRPC: who floods from one address keeps nobody of another out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from res_federation.broker.gatekeeper import Gatekeeper
from res_federation.errors import InvalidArgument
from res_federation.model.limits import Limits
from tests.agent.patience import PATIENCE_S
from tests.broker.conftest import Running, running  # noqa: F401 - a fixture
from tests.security import attacks
from tests.security.test_floods import served

SOMEBODY = "127.0.0.2"
"""Another address than that of the honest."""
HELLO = bytes.fromhex("1603010004") + b"abcd"
"""What looks like a first message from outside; who decrypts it would see more."""
OPEN = Limits(
    connections_of_address=0, strangers_of_address=0, strangers=0, handshakes_per_s=0.0,
    all_handshakes_per_s=0.0,
)  # fmt: skip
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.mark.parametrize("tls", [False, True])
async def test_a_thousand_connections_of_one_address_keep_nobody_else_out(
    running: Running,  # noqa: F811
    tls: bool,
) -> None:
    flood = attacks.connections(running.address, 1500, tls=tls, source=SOMEBODY)
    dialling = asyncio.create_task(flood.__aenter__())
    await asyncio.sleep(1)
    for _ in range(3):
        await served(running)
    await dialling
    await served(running)
    await flood.__aexit__(None, None, None)
    await served(running)


@asynccontextmanager
async def gate(
    tmp_path: Path, limits: Limits = OPEN, most: int = 100
) -> AsyncIterator[tuple[int, asyncio.Queue[Pair], Gatekeeper]]:
    """A gate, and what is behind it: connections as it lets them in."""
    within: asyncio.Queue[Pair] = asyncio.Queue()
    keeper = Gatekeeper(tmp_path / "gate", limits, most)
    port = keeper.listen("users", "127.0.0.1", 0, "--listen")
    server = await asyncio.start_unix_server(
        lambda reader, writer: within.put_nowait((reader, writer)), keeper.inner("users")
    )
    keeper.open()
    try:
        yield port, within, keeper
    finally:
        server.close()
        await keeper.close()


async def dial(port: int, source: str = "127.0.0.1", say: bytes = HELLO) -> Pair:
    pair = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    pair[1].write(say)
    return pair


async def ended(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(1), PATIENCE_S) == b""
    return True


async def refused(port: int) -> bool:
    try:
        reader, _ = await dial(port)
    except ConnectionResetError:
        return True  # before the caller had looked
    return await ended(reader)


async def test_all_bytes_arrive_in_order_whoever_is_slow(tmp_path: Path) -> None:
    data = os.urandom(8 << 20)
    async with gate(tmp_path) as (port, within, _):
        outer, inner = await dial(port), await asyncio.wait_for(within.get(), PATIENCE_S)
        assert await inner[0].readexactly(len(HELLO)) == HELLO
        for one, other in ((outer, inner), (inner, outer)):
            one[1].write(data)
            await asyncio.sleep(0.3)  # it piles up on the way
            assert await other[0].readexactly(len(data)) == data


async def test_the_last_answer_arrives_though_the_server_has_hung_up(tmp_path: Path) -> None:
    data = os.urandom(8 << 20)
    async with gate(tmp_path) as (port, within, _):
        outer, inner = await dial(port), await asyncio.wait_for(within.get(), PATIENCE_S)
        inner[1].write(data)
        inner[1].close()
        await asyncio.sleep(0.5)
        assert await asyncio.wait_for(outer[0].read(-1), PATIENCE_S) == data


async def test_who_hangs_up_is_hung_up_on_within(tmp_path: Path) -> None:
    async with gate(tmp_path) as (port, within, _):
        outer, inner = await dial(port), await asyncio.wait_for(within.get(), PATIENCE_S)
        outer[1].transport.abort()
        assert await inner[0].readexactly(len(HELLO)) == HELLO
        assert await ended(inner[0])


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\xff\xff", b"\x00" * 9])
async def test_who_speaks_no_tls_never_comes_in(tmp_path: Path, said: bytes) -> None:
    async with gate(tmp_path) as (port, within, _):
        reader, _ = await dial(port, say=said)
        assert await ended(reader)
        assert within.empty()


async def test_a_hello_in_pieces_comes_in_whole(tmp_path: Path) -> None:
    async with gate(tmp_path) as (port, within, _):
        _, writer = await dial(port, say=b"")
        for byte in HELLO:
            assert within.empty()
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        reader, _ = await asyncio.wait_for(within.get(), PATIENCE_S)
        assert await reader.readexactly(len(HELLO)) == HELLO


async def test_strangers_make_room_for_new_ones_and_who_logged_in_does_not(tmp_path: Path) -> None:
    async with gate(tmp_path, replace(OPEN, strangers_of_address=3)) as (port, within, keeper):
        good = await dial(port)
        inner = await asyncio.wait_for(within.get(), PATIENCE_S)
        keeper.known(f"unix-abstract:{inner[1].get_extra_info('peername')[1:].decode()}")
        strangers = [await dial(port) for _ in range(5)]
        await asyncio.wait_for(asyncio.gather(*(within.get() for _ in range(3))), PATIENCE_S)
        gone = [await ended(reader) for reader, _ in strangers[:2]]
        assert gone == [True, True]
        good[1].write(b"still here")
        await inner[0].readexactly(len(HELLO))
        assert await asyncio.wait_for(inner[0].readexactly(10), PATIENCE_S) == b"still here"
        elsewhere = await dial(port, SOMEBODY)
        elsewhere[1].write(b"so am I")


async def test_an_address_with_too_many_logins_is_refused_and_another_is_not(
    tmp_path: Path,
) -> None:
    async with gate(tmp_path, replace(OPEN, connections_of_address=2)) as (port, within, keeper):
        held = []
        for _ in range(2):
            held.append(await dial(port))
            held.append(inner := await asyncio.wait_for(within.get(), PATIENCE_S))
            keeper.known(f"unix-abstract:{inner[1].get_extra_info('peername')[1:].decode()}")
        await asyncio.sleep(0.2)
        assert await refused(port)
        held.append(await dial(port, SOMEBODY))
        await asyncio.wait_for(within.get(), PATIENCE_S)
        keeper.follow(OPEN)
        await asyncio.sleep(0.2)
        held.append(await dial(port))
        await asyncio.wait_for(within.get(), PATIENCE_S)
        assert len(held) == 6


def gates() -> list[psutil.Process]:
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "res_federation.broker.gate" in one.cmdline()]


async def test_a_gate_that_is_killed_is_started_again(running: Running) -> None:  # noqa: F811
    (before,) = gates()
    before.send_signal(signal.SIGKILL)
    await served(running)
    (after,) = gates()
    assert after.pid != before.pid


async def test_the_gate_ends_with_the_broker_and_leaves_the_port(tmp_path: Path) -> None:
    async with gate(tmp_path) as (port, within, keeper):
        await dial(port)
        await asyncio.wait_for(within.get(), PATIENCE_S)
        (process,) = gates()
        assert keeper._control is not None
        keeper._ports = []  # a broker that is killed does not start it again
        keeper._control.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(process.wait, PATIENCE_S)


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    keeper = Gatekeeper(tmp_path / "gate", OPEN, 100)
    with socket.create_server(("127.0.0.1", 0)) as one, pytest.raises(InvalidArgument) as taken:
        keeper.listen("users", "127.0.0.1", one.getsockname()[1], "--listen")
    assert "taken" in taken.value.message
    with pytest.raises(InvalidArgument, match="not an address of this machine"):
        keeper.listen("users", "192.0.2.1", 0, "--listen")
    await keeper.close()
