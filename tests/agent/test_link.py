from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from res_federation.agent import link as link_module
from res_federation.agent.link import pause_s
from res_federation.agent.local.slots import HostSlots
from res_federation.agent.main import run_agent
from res_federation.api.v1 import agents_pb2, agents_pb2_grpc
from res_federation.api.v1.enrolment_pb2_grpc import add_EnrolmentServiceServicer_to_server
from res_federation.errors import FailedPrecondition, MissingComponent
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Forget, Order, Piece, Read, Renew, Start
from res_federation.wire.exchange import (
    order_to_message,
    piece_from_message,
    report_from_message,
)
from tests.agent.patience import PATIENCE_S, comes
from tests.security.doors import SmallDoors


class Broker(agents_pb2_grpc.AgentServiceServicer):
    """Orders what is wanted, renews leases, forgets what has ended; keeps all it was told."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.wanted: dict[RunToken, JobSpec] = {}
        self.seen: dict[RunToken, RunObservation] = {}
        self.reports = 0
        self.complete = False
        self.sites: list[str] = []
        self.pieces: list[Piece] = []
        self.reads: list[Read] = []
        self.mute = False
        self.abort: grpc.StatusCode | None = None
        self.news = asyncio.Event()

    async def Connect(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[agents_pb2.ConnectRequest], context
    ) -> AsyncIterator[agents_pb2.ConnectResponse]:
        self.sites.append(dict(context.invocation_metadata())["resfed-site"])
        async for request in request_iterator:
            self.news.set()
            if self.abort is not None:
                await context.abort(self.abort, "go away")
            if request.WhichOneof("body") == "output":
                self.pieces.append(piece_from_message(request.output))
            elif not self.mute:
                orders = [order_to_message(each) for each in self.answer(request.report)]
                yield agents_pb2.ConnectResponse(orders=orders)

    def answer(self, message: agents_pb2.SiteReport) -> list[Order]:
        report, runs, _, self.complete, _ = report_from_message(message)
        self.reports += 1
        self.seen |= {run.token: run for run in runs}
        held = {run.token for run in runs}
        orders: list[Order] = [Renew(report.sequence, 30.0)]
        orders += [
            Start(token, PartitionId("here/box/cpu"), spec)
            for token, spec in self.wanted.items()
            if token not in held and not self.over(token)
        ]
        ended = tuple(run.token for run in runs if run.state.final)
        if ended:
            orders.append(Forget(ended))
        orders += self.reads
        self.reads = []
        return orders

    def over(self, token: RunToken) -> bool:
        return token in self.seen and self.seen[token].state.final

    async def until(self, done, limit_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(limit_s):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def serve(self, port: int = 0) -> int:
        """Open both doors; agents are given the users' port, and sign themselves in there."""
        doors = SmallDoors(self.home)  # type: ignore[abstract]  # what agents call
        self.users = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_EnrolmentServiceServicer_to_server(doors, self.users)
        port = self.users.add_secure_port(f"127.0.0.1:{port}", doors.credentials())
        doors.login.publish(f"127.0.0.1:{port}")
        self.server = grpc.aio.server()
        agents_pb2_grpc.add_AgentServiceServicer_to_server(self, self.server)
        agents = doors.credentials(agents=True)
        doors.agents_port = self.server.add_secure_port("127.0.0.1:0", agents)
        await self.users.start()
        await self.server.start()
        return port

    async def stop(self) -> None:
        await asyncio.gather(self.users.stop(None), self.server.stop(None))


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    made = Broker(tmp_path / "broker")
    yield made
    await made.stop()


def token(number: int) -> RunToken:
    return RunToken(f"01J{number:023d}-1")


async def start_process(port: int, state: Path) -> asyncio.subprocess.Process:
    script = str(Path(__file__).with_name("agent_process.py"))
    return await asyncio.create_subprocess_exec(
        sys.executable, script, f"127.0.0.1:{port}", str(state), start_new_session=True
    )


async def test_kill_9_of_the_agent_amid_twenty_jobs(broker, bench, tmp_path) -> None:
    port = await broker.serve()
    marks = tmp_path / "marks"
    body = f"echo $RESFED_RUN >> {marks}; sleep 0.$((RANDOM % 3 + 1))"
    broker.wanted = {token(n): bench.spec(body) for n in range(20)}
    agent = await start_process(port, tmp_path / "agent")
    for level in (3, 9):
        await broker.until(lambda level=level: sum(map(broker.over, broker.wanted)) >= level)
        os.kill(agent.pid, signal.SIGKILL)
        await agent.wait()
        agent = await start_process(port, tmp_path / "agent")
    await broker.until(lambda: all(map(broker.over, broker.wanted)))
    assert {broker.seen[t].state for t in broker.wanted} == {JobState.COMPLETED}
    assert sorted(marks.read_text().split()) == sorted(broker.wanted)
    agent.terminate()
    assert await agent.wait() == 0


async def test_a_restarted_broker_is_found_again_and_output_is_read(broker, site, bench, tmp_path):
    port = await broker.serve()
    task = asyncio.create_task(
        run_agent(site, f"127.0.0.1:{port}", tmp_path / "agent", beat_s=0.3, grace_s=0.3)
    )
    await broker.until(lambda: broker.reports >= 2)
    await broker.stop()
    await broker.serve(port)
    one = token(1)
    broker.wanted[one] = bench.spec("yes resfed | head -c 3000000")
    await broker.until(lambda: broker.over(one))
    assert set(broker.sites) == {"here"}
    assert len(broker.sites) >= 2
    assert broker.complete
    broker.reads = [Read("q", one, -1, False, 7, 2_500_000), Read("e", token(9), -1, True, 0, 9)]
    await broker.until(lambda: any(piece.request_id == "e" for piece in broker.pieces))
    mine = [piece for piece in broker.pieces if piece.request_id == "q"]
    assert b"".join(piece.data for piece in mine) == (b"resfed\n" * 430_000)[7:2_500_007]
    assert not mine[-1].end
    assert broker.pieces[-1].error == "no output is kept here"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_that_says_nothing_is_dialled_again(broker, site, tmp_path, monkeypatch):
    monkeypatch.setattr(link_module.Link, "_patience_s", 0.2)
    port = await broker.serve()
    broker.mute = True
    task = asyncio.create_task(run_agent(site, f"127.0.0.1:{port}", tmp_path / "a", beat_s=0.1))
    await broker.until(lambda: len(broker.sites) >= 3)
    broker.mute = False
    await broker.until(lambda: broker.reports >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INVALID_ARGUMENT])
async def test_no_status_of_the_broker_ends_the_agent(broker, site, tmp_path, code) -> None:
    port = await broker.serve()
    broker.abort = code
    task = asyncio.create_task(run_agent(site, f"127.0.0.1:{port}", tmp_path / "a", beat_s=0.1))
    await broker.until(lambda: len(broker.sites) >= 3)
    assert not task.done()
    broker.abort = None
    await broker.until(lambda: broker.reports >= 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_many_agents_live_in_one_process(broker, site, bench, tmp_path) -> None:
    port = await broker.serve()
    slots = HostSlots(4)
    tasks = [
        asyncio.create_task(
            run_agent(site, f"127.0.0.1:{port}", tmp_path / str(n), beat_s=0.5, slots=slots)
        )
        for n in range(3)
    ]
    await broker.until(lambda: len(broker.sites) >= 3)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 3


async def test_what_cannot_start_says_why_in_one_line(site, tmp_path) -> None:
    other = type(site)(**{**{f: getattr(site, f) for f in site.__slots__}, "batch": "slurm"})
    with pytest.raises(MissingComponent, match="slurm"):
        await run_agent(other, "127.0.0.1:1", tmp_path / "a")
    first = asyncio.create_task(run_agent(site, "127.0.0.1:1", tmp_path / "b"))
    await comes((tmp_path / "b" / "lock").exists)
    with pytest.raises(FailedPrecondition, match="in use by another agent"):
        await run_agent(site, "127.0.0.1:1", tmp_path / "b")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


def test_pauses_grow_differ_by_site_and_have_a_bound() -> None:
    one = [pause_s(SiteId("one"), attempt) for attempt in range(1, 40)]
    two = [pause_s(SiteId("two"), attempt) for attempt in range(1, 40)]
    assert one != two
    assert one == [pause_s(SiteId("one"), attempt) for attempt in range(1, 40)]
    assert all(0.05 <= pause <= 10.0 for pause in one + two)
    assert one[0] < 0.11
    assert one[-1] >= 5.0
