"""Kill -9 of the broker amid enrolments and renewals: an invitation makes one certificate, told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from res_federation.agent.site_identity import Papers
from res_federation.api.v1 import agents_pb2
from res_federation.client.enrolment import EnrolmentClient
from res_federation.errors import FederationError, PermissionDenied
from res_federation.model.audit_chain import entry_of
from res_federation.model.certificate import SiteCertificate
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import new_site_key, peer_of, site_request
from res_federation.security.credentials import find
from res_federation.store.store import Store
from tests.security.people import _free_port as free_port
from tests.security.sites import CATALOGUE, CSUC, MEMBERS, report, stream

SEED, KILLS = 7, 2
LATEST_S = 0.01
"""After one of the answers of a burst: a kill comes amid the transactions of the next."""
INVITED = [SiteId(one.id) for one in MEMBERS][:6]


@dataclass
class Coming:
    """A site on its way in: what it holds, and what it was told."""

    site: SiteId
    token: str
    key: bytes = field(default_factory=new_site_key)
    serials: set[str] = field(default_factory=set)

    @property
    def request(self) -> str:
        return site_request(self.key, self.site)


@dataclass
class Renewing:
    """A site whose certificate is renewed."""

    papers: Papers
    key: bytes = field(default_factory=new_site_key)
    serials: set[str] = field(default_factory=set)


class Killed:
    """A real broker that is killed and started again, at the same address."""

    def __init__(self, home: Path) -> None:
        self.home, self.address = home, f"127.0.0.1:{free_port()}"
        self._process: asyncio.subprocess.Process | None = None
        self.answered = 0

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "res_federation.cli.main", "broker", "serve", "--home",
            str(self.home), "--listen", self.address, "--sites", str(CATALOGUE),
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "RESFED_RAY_WORKERS": "0", "RESFED_LOG_LEVEL": "error"},
        )  # fmt: skip
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(FederationError):
                    told = await self.operator.authority()
                    break
                await asyncio.sleep(0.05)
        self.agents, self.ca = f"127.0.0.1:{told.agents_port}", told.ca_pem

    @property
    def operator(self) -> EnrolmentClient:
        return EnrolmentClient(self.address, find(self.address))

    async def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def invited(self) -> list[Coming]:
        operator = self.operator
        return [Coming(site, (await operator.invite(site)).token) for site in INVITED]

    async def enrol(self, one: Coming) -> None:
        with contextlib.suppress(FederationError):
            made = await self.operator.enrol(one.token, one.site, one.request)
            one.serials.add(made.serial)
            self.answered += 1

    async def until_answered(self, count: int) -> None:
        self.answered = 0
        async with asyncio.timeout(20):
            while self.answered < count:  # noqa: ASYNC110 - an event would come a turn too late
                await asyncio.sleep(0)

    async def renew(self, one: Renewing) -> None:
        """Ask over a stream; the broker may die at any word of it."""
        csr = site_request(one.key, CSUC)
        asked = agents_pb2.ConnectRequest(renewal=agents_pb2.RenewalRequest(csr_pem=csr))
        with contextlib.suppress(grpc.aio.AioRpcError, AssertionError, TimeoutError):
            async with stream(self.agents, one.papers, self.ca) as site:
                await site.say(report(CSUC), asked)
                made = (await site.order("certificate")).certificate_pem
                one.serials.add(peer_of(made.encode())[1])


@asynccontextmanager
async def kept(home: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{home}/broker.db")
    try:
        yield store
    finally:
        await store.close()


async def told_as_it_is(home: Path) -> list[SiteCertificate]:
    """Check that each certificate on disk is in the audit log once, and nothing else is."""
    async with kept(home) as store:
        found, more = await store.certificates.listed("", 0, 1000)
        entries = [entry_of(one.entry) for one in await store.audit.records(0, 10_000)]
    assert not more
    told = Counter(
        (one.act, dict(one.data)["serial"])
        for one in entries
        if one.act in ("site.enrol", "site.renew") and one.outcome == "done"
    )
    are = Counter(("site.renew" if one.renewed else "site.enrol", one.serial) for one in found)
    assert told == are
    invited = [one.target for one in entries if one.act == "site.invite"]
    assert len(invited) >= sum(1 for one in found if not one.renewed)
    return found


@pytest.mark.timeout(120)
async def test_an_invitation_makes_one_certificate_whenever_the_broker_dies(tmp_path):
    draw = random.Random(SEED)
    broker, coming = Killed(tmp_path), []
    await broker.start()
    try:
        first = Coming(CSUC, (await broker.operator.invite(CSUC)).token)
        made = await broker.operator.enrol(first.token, CSUC, first.request)
        renewing = Renewing(Papers(first.key, made.pem.encode(), made.ca_pem.encode()))
        amid = 0
        for _ in range(KILLS):
            burst = await broker.invited()
            coming += burst
            work = [asyncio.create_task(broker.enrol(one)) for one in burst]
            if not renewing.serials:
                work.append(asyncio.create_task(broker.renew(renewing)))
            await broker.until_answered(draw.randrange(1, len(burst) - 1))
            await asyncio.sleep(draw.random() * LATEST_S)
            await broker.kill()
            await asyncio.gather(*work)
            found = await told_as_it_is(tmp_path)
            amid += sum(not one.serials for one in burst)
            assert {serial for one in coming for serial in one.serials} <= {
                one.serial for one in found
            }, "an answer was given before it was on disk"
            await broker.start()
        assert amid, "no kill came amid anything"
        for one in coming:  # the invitation is still good, or the certificate is known
            await broker.enrol(one)
            assert len(one.serials) == 1, one.site
            other = site_request(new_site_key(), one.site)
            with pytest.raises(PermissionDenied):
                await broker.operator.enrol(one.token, one.site, other)
        await broker.renew(renewing)
        assert len(renewing.serials) == 1
    finally:
        await broker.kill()
    found = await told_as_it_is(tmp_path)
    assert sorted(one.serial for one in found if not one.renewed) == sorted(
        serial for one in (first, *coming) for serial in (one.serials or {made.serial})
    )
    assert [one.serial for one in found if one.renewed] == [*renewing.serials]
    assert all(one.expires > time.time() for one in found)
