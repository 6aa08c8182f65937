"""A real broker with real agents in one event loop; only Ray is left out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from res_federation.agent.clock import now
from res_federation.agent.dial import Dial
from res_federation.agent.main import run_agent
from res_federation.agent.site_identity import SiteIdentity
from res_federation.api.v1.jobs_pb2_grpc import JobServiceStub
from res_federation.broker.main import run_broker
from res_federation.client import FederationClient, SiteState
from res_federation.config.broker import broker_settings
from res_federation.config.sites import load_distances, load_sites
from res_federation.control.catalogue import Catalogue
from res_federation.model.identifiers import SiteId
from res_federation.model.site import Site
from res_federation.placement.policies import named
from res_federation.security.credentials import find

Told = Callable[..., Awaitable[tuple[int, str, str]]]
"""Runs a command; returns its code and what it printed on both ways out."""
SITES = Path(__file__).resolve().parents[2] / "sites"


@dataclass
class Running:
    """A federation that runs in this event loop."""

    address: str
    home: Path
    members: dict[str, Site]
    agents: dict[str, asyncio.Task[None]]
    broker: asyncio.Task[None]

    def connect(self, site: str) -> None:
        agent = run_agent(self.members[site], self.address, self.home / site, beat_s=0.5)
        self.agents[site] = asyncio.create_task(agent)

    async def disconnect(self, site: str) -> None:
        self.agents[site].cancel()
        await asyncio.gather(self.agents.pop(site), return_exceptions=True)

    async def stop(self) -> None:
        """End the broker as SIGTERM does."""
        self.broker.cancel()
        await asyncio.gather(self.broker, return_exceptions=True)

    @asynccontextmanager
    async def door(self, site: str) -> AsyncIterator[Any]:
        """A channel to the agents' port, with the site's certificate."""
        identity = SiteIdentity(SiteId(site), self.home / f"identity-{site}")
        async with await Dial(identity, self.address, now=now).channel(()) as channel:
            yield channel

    @asynccontextmanager
    async def jobs(self) -> AsyncIterator[Any]:
        """The generated stub itself; its types know the synchronous calls only."""
        async with find(self.address).aio_channel(self.address, ()) as channel:
            yield JobServiceStub(channel)


def _why(broker: asyncio.Task[None]) -> BaseException:
    return broker.exception() or RuntimeError("the broker ended before it was ready")


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A broker of all members, with the agents of csuc and iac."""
    settings = broker_settings(
        listen="127.0.0.1:0", db="", home=tmp_path, ray="", ray_workers=0, environment={}
    )
    members = load_sites(SITES)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    broker = asyncio.create_task(
        run_broker(
            settings,
            catalogue=Catalogue(members, load_distances(SITES, members)),
            policy=named("federated"),
            on_ready=ready.set_result,
        )
    )

    def ended(task: asyncio.Task[None]) -> None:
        if not ready.done():
            ready.set_exception(_why(task))

    broker.add_done_callback(ended)
    names = {str(site.id): site for site in members}
    federation = Running(await ready, tmp_path, names, {}, broker)
    try:
        for site in ("csuc", "iac"):
            federation.connect(site)
        async with FederationClient(federation.address) as client:
            ready_sites = set()
            async for seen in client.watch_capacity(("csuc", "iac")):
                if seen.state is SiteState.READY:
                    ready_sites.add(seen.id)
                if len(ready_sites) == 2:
                    break
        yield federation
    finally:
        for site in list(federation.agents):
            await federation.disconnect(site)
        await federation.stop()


@pytest.fixture
def told(running: Running, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Run a command of `resfed` beside the broker; return its code and what it printed."""
    monkeypatch.setenv("RESFED_BROKER", running.address)

    async def run(*words: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "res_federation.cli.main", *words],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run
