"""A real broker with short-lived certificates, and callers that are not what they ought to be."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from res_federation.agent.main import run_agent
from res_federation.agent.site_identity import Papers, SiteIdentity
from res_federation.api.v1 import agents_pb2
from res_federation.api.v1.agents_pb2_grpc import AgentServiceStub
from res_federation.broker.main import run_broker
from res_federation.client import FederationClient, SiteState
from res_federation.client.enrolment import EnrolmentClient
from res_federation.config.broker import BrokerSettings
from res_federation.config.security import SecuritySettings
from res_federation.config.sites import load_distances, load_sites
from res_federation.control.catalogue import Catalogue
from res_federation.model.capacity import CapacityReport
from res_federation.model.identifiers import SiteId
from res_federation.placement.policies import named
from res_federation.security.authority import Authority, new_site_key, site_request
from res_federation.security.credentials import find
from res_federation.wire import exchange
from res_federation.wire.status import from_rpc_error
from tests.agent.patience import PATIENCE_S

CATALOGUE = Path(__file__).resolve().parents[2] / "sites"
MEMBERS = load_sites(CATALOGUE)
CSUC, IAC = SiteId("csuc"), SiteId("iac")


@dataclass
class Broker:
    """One that runs in this event loop."""

    address: str
    home: Path
    task: asyncio.Task[None]
    agents: str = ""

    @property
    def operator(self) -> EnrolmentClient:
        return EnrolmentClient(self.address, find(self.address))

    @property
    def authority(self) -> Authority:
        """Its own key: a test may sign what nobody else can."""
        return Authority.opened(self.home / "authority", time.time())

    async def enrolled(self, site: SiteId, state: Path) -> Papers:
        """Let a site in by an invitation; return what it shows."""
        token = (await self.operator.invite(site)).token
        identity = SiteIdentity(site, state)
        made = await self.operator.enrol(token, site, identity.request())
        identity.accept(made.pem, made.ca_pem)
        papers = identity.load()
        assert papers is not None
        return papers

    async def agent(self, site: SiteId, state: Path) -> asyncio.Task[None]:
        member = next(one for one in MEMBERS if one.id == site)
        return asyncio.create_task(run_agent(member, self.address, state, beat_s=0.3))

    async def ready(self, site: SiteId, state: SiteState = SiteState.READY) -> None:
        async with FederationClient(self.address) as client, asyncio.timeout(PATIENCE_S):
            while (await client.site(site)).state is not state:  # noqa: ASYNC110 - it is polled
                await asyncio.sleep(0.1)


@asynccontextmanager
async def broker(
    home: Path,
    *,
    lifetime_s: float = 86400.0,
    listen: str = "127.0.0.1:0",
    security: SecuritySettings | None = None,
) -> AsyncIterator[Broker]:
    """Run a broker of all members, in developer mode unless *security* says otherwise."""
    settings = BrokerSettings(
        listen=listen,
        database_url=f"sqlite+aiosqlite:///{home / 'broker.db'}",
        home=home,
        ray_address="",
        ray_workers=0,
        security=security or SecuritySettings(site_certificate_s=lifetime_s),
    )
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_broker(
            settings,
            catalogue=Catalogue(MEMBERS, load_distances(CATALOGUE, MEMBERS)),
            policy=named("federated"),
            on_ready=ready.set_result,
        )
    )
    waited: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        task.result()
    running = Broker(ready.result(), home, task)
    told = await running.operator.authority()
    running.agents = f"127.0.0.1:{told.agents_port}"
    try:
        yield running
    finally:
        await ended(task)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def signed(authority: Authority, site: SiteId, lifetime_s: float = 600.0) -> Papers:
    """What a holder of an authority's key can make."""
    key = new_site_key()
    made = authority.signed_site(site_request(key, site), site, time.time(), lifetime_s)
    return Papers(key, made.pem.encode(), authority.ca_pem)


def door(address: str, papers: Papers, ca: bytes) -> grpc.aio.Channel:
    """A channel to an agents' port that shows *papers*."""
    tls = grpc.ssl_channel_credentials(ca, papers.key, papers.certificate)
    return grpc.aio.secure_channel(address, tls, options=[("grpc.use_local_subchannel_pool", 1)])


def report(site: str, sequence: int = 1) -> agents_pb2.ConnectRequest:
    capacity = CapacityReport(SiteId(site), sequence, time.time(), 60.0, ())
    return agents_pb2.ConnectRequest(
        report=exchange.report_to_message(capacity, (), "journal", True)
    )


class Stream:
    """A caller of Connect that does as it likes."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def say(self, *requests: agents_pb2.ConnectRequest) -> None:
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            for request in requests:
                await self.call.write(request)

    async def order(self, kind: str) -> Any:
        """The first order of a kind."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self.call.read()
                assert answer is not grpc.aio.EOF, "the broker ended the stream"
                for one in answer.orders:
                    if one.WhichOneof("order") == kind:
                        return getattr(one, kind)

    async def refusal(self) -> Any:
        """The error that ends the stream."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
                code = await self.call.code()
                assert code is not grpc.StatusCode.OK, "the stream ended well"
            except grpc.aio.AioRpcError as error:
                return error
        raise AssertionError(code)


@asynccontextmanager
async def stream(address: str, papers: Papers, ca: bytes) -> AsyncIterator[Stream]:
    async with door(address, papers, ca) as channel:
        yield Stream(AgentServiceStub(channel).Connect())


async def refused(running: Broker, papers: Papers, told: str) -> tuple[grpc.StatusCode, str]:
    """Come to the agents' port with *papers* and report for *told*; return how it is refused."""
    async with stream(running.agents, papers, running.authority.ca_pem) as one:
        await one.say(report(told))
        error = await one.refusal()
        return error.code(), from_rpc_error(error).message
