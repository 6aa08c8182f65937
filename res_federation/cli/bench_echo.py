"""An empty grpc.aio server that answers bytes with the same bytes: what a submit is measured by."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import grpc

from res_federation.broker.clock import SystemClock
from res_federation.cli import output
from res_federation.cli.process import follow_parent
from res_federation.security.authority import Authority
from res_federation.security.local_login import SignedIn


async def _echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return request


async def serve(home: Path) -> None:
    """Serve on a free loopback port until SIGTERM; print ``ready HOST:PORT``.

    It has TLS and a local login, as a broker has: the two are to differ in their work alone.
    """
    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("echo.Echo", {"Echo": handler}),)
    )
    authority = Authority.opened(home, SystemClock().now())
    pair = authority.server((), SystemClock().now())
    tls = grpc.ssl_server_credentials([(pair.key_pem, pair.certificate_pem)])
    port = server.add_secure_port("127.0.0.1:0", tls)
    local = SignedIn(authority.ca_pem, ())
    local.publish(f"127.0.0.1:{port}")
    await server.start()
    output.say(f"ready 127.0.0.1:{port}")
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(0)
    local.withdraw()


if __name__ == "__main__":
    follow_parent()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1])))
