"""A link that fails: a TCP proxy on loopback between one agent and the broker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from random import Random

_CHUNK = 65_536


class Proxy:
    """Forwards connections to a port of loopback, as badly as it is told to."""

    def __init__(self, target: int, seed: int) -> None:
        """Forward to *target*; nothing listens before it is given to `Links`."""
        self._target, self._random = target, Random(seed)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flow = {"up": asyncio.Event(), "down": asyncio.Event()}
        for event in self._flow.values():
            event.set()
        self._refuses = False
        self._losses = 0.0
        self.port = 0

    async def listen(self) -> None:
        """Take a port of loopback."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, here = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, here}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, here, "up"))
                group.create_task(self._forward(there, writer, "down"))
        except* OSError:
            pass
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        while data := await reader.read(_CHUNK):
            if self._losses and self._random.random() < self._losses:
                # TCP sends a lost packet again: the stream sees a pause, never a gap
                await asyncio.sleep(self._random.choice((0.2, 0.4, 0.8, 1.6)))
            await self._flow[way].wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side is through: so is the other

    # --- what goes wrong

    def cut(self) -> None:
        """Break every connection and take no new one."""
        self._refuses = True
        for writer in list(self._writers):
            writer.transport.abort()

    def halve(self, way: str) -> None:
        """Let nothing through one way (``up`` to the broker, ``down`` from it); close nothing."""
        self._flow[way].clear()

    def lose(self, share: float) -> None:
        """Lose this share of what is sent, so that it comes late."""
        self._losses = share

    def mend(self) -> None:
        """Work again."""
        self._refuses, self._losses = False, 0.0
        for event in self._flow.values():
            event.set()

    async def close(self) -> None:
        """End."""
        self.cut()
        if self._server is not None:
            self._server.close()


class Links:
    """Proxies that run in a thread of their own."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def open(self, target: int, seed: int) -> Proxy:
        """Return a proxy before a port of loopback."""

        async def make() -> Proxy:
            proxy = Proxy(target, seed)
            await proxy.listen()
            return proxy

        proxy = asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)
        self._proxies.append(proxy)
        return proxy

    def tell(self, step: Callable[[], None]) -> None:
        """Run a step of a proxy where the proxies run, and wait for it."""

        async def run() -> None:
            step()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def close(self) -> None:
        """End them all."""

        async def end() -> None:
            for proxy in self._proxies:
                await proxy.close()
            await asyncio.sleep(0.05)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
