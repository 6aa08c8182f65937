"""What somebody can do to a port from outside; every attack is bounded and closes what it opens.

All of them dial loopback addresses only.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc

from res_federation.api.v1 import jobs_pb2
from res_federation.api.v1.jobs_pb2_grpc import JobServiceStub

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(60)
"""Begins a handshake that it never ends."""
HTTP = b"POST /res_federation.api.v1.JobService/CreateJob HTTP/1.1\r\nHost: x\r\n\r\n"
ACTS_AT_ONCE = 200
DIAL_S = 12.0
"""So long an attack opens connections; where each has to wait for its turn, it gets fewer."""
HONEST = "127.0.0.1"
"""The honest user's address; every other one of 127.0.0.0/8 is somebody else's."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[str, int, random.Random, str], Coroutine[Any, Any, int]]
"""With the broker's address, how many, what draws, and the address from which to dial."""


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1", "attacks are for loopback only"
    return host, int(port)


def careless() -> ssl.SSLContext:
    """A client that trusts anybody and speaks HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def connections(
    address: str, count: int, *, tls: bool, source: str = HONEST
) -> AsyncIterator[list[Connection]]:
    """Hold up to *count* connections; those that are refused are not in the list."""
    host, port = _split(address)
    context, gate = careless() if tls else None, asyncio.Semaphore(ACTS_AT_ONCE)
    held: list[Connection] = []

    async def dial() -> None:
        async with gate:
            with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(30):
                    held.append(
                        await asyncio.open_connection(
                            host, port, ssl=context, local_addr=(source, 0)
                        )
                    )

    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DIAL_S):
                await asyncio.gather(*(dial() for _ in range(count)))
        yield held
    finally:
        for _, writer in held:
            writer.transport.abort()
        await asyncio.sleep(0)


async def say(held: list[Connection], what: Callable[[], bytes]) -> None:
    """Send something on every connection, whoever has hung up meanwhile."""
    for _, writer in held:
        with contextlib.suppress(OSError):
            writer.write(what())
    await asyncio.sleep(0.01)


async def hung_up(held: list[Connection], within_s: float) -> int:
    """Return how many connections the other side has ended within some seconds."""

    async def ended(reader: asyncio.StreamReader) -> bool:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(within_s):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(4096):
                        pass
                return True
        return False

    return sum(await asyncio.gather(*(ended(reader) for reader, _ in held)))


async def hold_idle(address: str, count: int, seed: random.Random, source: str) -> int:
    """Connections that say nothing at all."""
    async with connections(address, count, tls=False, source=source) as held:
        await asyncio.sleep(6)
        return len(held)


async def hold_tls(address: str, count: int, seed: random.Random, source: str) -> int:
    """Connections with a good handshake and no call."""
    async with connections(address, count, tls=True, source=source) as held:
        await asyncio.sleep(6)
        return len(held)


async def half_open(address: str, count: int, seed: random.Random, source: str) -> int:
    """Handshakes that are begun and never ended."""
    async with connections(address, count, tls=False, source=source) as held:
        await say(held, lambda: CLIENT_HELLO)
        await asyncio.sleep(6)
        return len(held)


async def garbage(address: str, count: int, seed: random.Random, source: str) -> int:
    """Random bytes, and HTTP of the past, in plain text and within TLS."""
    done = 0
    for tls in (False, True):
        async with connections(address, count // 2, tls=tls, source=source) as held:
            await say(held, lambda: HTTP if seed.random() < 0.5 else seed.randbytes(512))
            await asyncio.sleep(1)
            done += len(held)
    return done


async def slow(address: str, count: int, seed: random.Random, source: str) -> int:
    """HTTP/2 a byte at a time."""
    async with connections(address, count, tls=True, source=source) as held:
        for byte in PREFACE[:12]:
            await say(held, lambda byte=byte: bytes([byte]))  # type: ignore[misc]
            await asyncio.sleep(0.5)
        return len(held)


async def forged(address: str, count: int, seed: random.Random, source: str) -> int:
    """Calls with tokens that nobody signed, each with a key that nobody knows."""
    denied = 0
    async with stranger(address) as channel:
        stub, gate = JobServiceStub(channel), asyncio.Semaphore(50)

        async def call() -> None:
            nonlocal denied
            async with gate:
                header = seed.randbytes(30).hex()
                token = f"eyJhbGciOiJFUzI1NiIsImtpZCI6{header}.eyJzdWIiOiJhbmEifQ.{header}"
                metadata = (("authorization", f"Bearer {token}"),)
                try:
                    await stub.GetJob(jobs_pb2.GetJobRequest(name="jobs/x"), metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    denied += error.code() == grpc.StatusCode.UNAUTHENTICATED

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.gather(*(call() for _ in range(count)))
    return denied


def stranger(address: str) -> Any:
    """Return a channel of somebody without a login."""
    _split(address)
    pem = ssl.get_server_certificate(_split(address))
    return grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(pem.encode()),
        options=(("grpc.ssl_target_name_override", "localhost"),),
    )


ATTACKS: dict[str, Attack] = {
    "idle": hold_idle,
    "tls": hold_tls,
    "half-open": half_open,
    "garbage": garbage,
    "slow": slow,
    "forged": forged,
}
