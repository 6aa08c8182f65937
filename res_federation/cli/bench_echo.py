"""An empty grpc.aio server that answers bytes with the same bytes: what a submit is measured by."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

import grpc

from res_federation.cli import output
from res_federation.cli.process import follow_parent


async def _echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return request


async def serve() -> None:
    """Serve on a free loopback port until SIGTERM; print ``ready HOST:PORT``."""
    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("echo.Echo", {"Echo": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    output.say(f"ready 127.0.0.1:{port}")
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(0)


if __name__ == "__main__":
    follow_parent()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
