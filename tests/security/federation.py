"""A real broker as members run it: TLS, logins of an OpenID provider, roles from its file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from res_federation.broker.main import run_broker
from res_federation.config.broker import broker_settings
from res_federation.config.sites import load_distances, load_sites
from res_federation.control.catalogue import Catalogue
from res_federation.placement.policies import named
from tests.security.people import Provider

SITES = Path(__file__).resolve().parents[2] / "sites"
BINDINGS = """
[[binding]]
role = "user"
issuer = "people"
subject = "ana"
project = "p"
[[binding]]
role = "user"
issuer = "people"
subject = "bea"
project = "p"
[[binding]]
role = "project-lead"
issuer = "people"
subject = "lia"
project = "p"
[[binding]]
role = "user"
issuer = "people"
subject = "eve"
project = "q"
[[binding]]
role = "site-administrator"
issuer = "people"
subject = "sam"
site = "csuc"
[[binding]]
role = "site-administrator"
issuer = "people"
subject = "ivo"
site = "iac"
[[binding]]
role = "planner"
issuer = "people"
subject = "pia"
[[binding]]
role = "operator"
issuer = "people"
claim = "groups"
value = "operators"
[[binding]]
role = "auditor"
issuer = "people"
subject = "odi"
"""
"""Everybody of the tests; who is called operator-… is in the group of operators."""


@dataclass
class Broker:
    """A broker that runs in this event loop."""

    address: str
    home: Path

    @property
    def ca_pem(self) -> bytes:
        return (self.home / "authority" / "ca.pem").read_bytes()

    def channel(self) -> grpc.aio.Channel:
        """TLS, and no login."""
        return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca_pem))


def settings_file(home: Path, provider: Provider, more: str = "") -> Path:
    """Write the broker's file about who may come in."""
    path = home / "security.toml"
    issuer = f"""
[limits]
calls_per_s = 0
submissions_per_s = 0
[[issuer]]
name = "people"
url = "{provider.url}"
audience = "urn:resfed:tests"
scopes = ["openid", "offline_access", "federation"]
allow_http_loopback = true
"""
    path.write_text(issuer + BINDINGS + more, encoding="utf-8")
    return path


@asynccontextmanager
async def broker(home: Path, provider: Provider, more: str = "") -> AsyncIterator[Broker]:
    """Run a broker that takes the word of *provider*."""
    settings = broker_settings(
        listen="127.0.0.1:0", home=home, ray_workers=0, environment={},
        security=settings_file(home, provider, more),
    )  # fmt: skip
    members = load_sites(SITES)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_broker(
            settings, catalogue=Catalogue(members, load_distances(SITES, members)),
            policy=named("federated"), on_ready=ready.set_result,
        )
    )  # fmt: skip

    def ended(done: asyncio.Task[Any]) -> None:
        if not ready.done():
            ready.set_exception(done.exception() or RuntimeError("ended before it was ready"))

    task.add_done_callback(ended)
    try:
        yield Broker(await ready, home)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
