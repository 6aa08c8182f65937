from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from res_federation.agent import rundir
from res_federation.agent.batch import Unsettled
from res_federation.agent.journal import Journal
from res_federation.agent.local.local_site import LocalBatch
from res_federation.agent.outputs import pieces
from res_federation.agent.runs import Runs
from res_federation.errors import ResourceExhausted
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Cancel, Forget, Order, Read, Renew, Start
from tests.agent.patience import PATIENCE_S

TOKEN = RunToken("01J0000000000000000000000A-1")


class Killed(BaseException):
    """The agent ends here, as kill -9 would end it."""


class Agent:
    """Journal, batch system and runs over one directory; can be killed and made anew."""

    def __init__(self, site, state: Path, checkpoint: Callable[[str], None] = lambda _: None):
        self.site, self.state = site, state
        self.start(checkpoint)

    def start(self, checkpoint: Callable[[str], None] = lambda _: None) -> None:
        self.journal = Journal(self.state, SiteId("here"))
        self.batch = LocalBatch(self.site, self.state, now=time.time, grace_s=0.3)
        self.runs = Runs(self.journal, self.batch, self.state, now=time.time, checkpoint=checkpoint)

    async def stop(self) -> None:
        await self.batch.close()
        self.journal.close()

    async def exchange(self, *orders: Order, lease_s: float = 60.0) -> tuple[RunObservation, ...]:
        sequence, runs = self.runs.report(time.time(), time.time())
        if orders is not None:
            self.runs.carry_out((Renew(sequence, lease_s), *orders))
            await self.runs.step()
        return runs

    def observation(self, token: RunToken = TOKEN) -> RunObservation:
        (found,) = [
            run for run in self.runs.report(time.time(), time.time())[1] if run.token == token
        ]
        return found

    async def to_the_end(self, order: Start) -> None:
        await self.exchange(order)
        await self.end()

    async def end(self, token: RunToken = TOKEN, lease_s: float = 60.0) -> RunObservation:
        async with asyncio.timeout(PATIENCE_S):
            while not self.observation(token).state.final:
                await self.exchange(lease_s=lease_s)
                await asyncio.sleep(0.02)
        return self.observation(token)


@pytest.fixture
async def agent(site, tmp_path):
    made = Agent(site, tmp_path / "state")
    yield made
    await made.stop()


def start(spec, token: RunToken = TOKEN, partition: str = "here/box/cpu") -> Start:
    return Start(token, PartitionId(partition), spec)


async def test_an_order_becomes_a_result_and_then_a_tombstone(agent, bench) -> None:
    order = start(bench.spec("echo out; echo err >&2; exit 4"))
    assert await agent.exchange(order) == ()
    over = await agent.end()
    assert (over.state, over.exit_code, over.begun) == (JobState.FAILED, 4, True)
    (piece,) = pieces(Read("r", TOKEN, -1, False, 0, 100), agent.state / "runs")
    assert (piece.data, piece.end) == (b"out\n", True)
    (piece,) = pieces(Read("r", TOKEN, -1, True, 1, 2), agent.state / "runs")
    assert (piece.data, piece.offset, piece.end) == (b"rr", 1, False)
    await agent.exchange(Forget((TOKEN,)))
    assert await agent.exchange(order) == ()
    assert await agent.exchange() == ()


@pytest.mark.parametrize("gap", ["intended", "submitting", "submitted", "accepted", "ended"])
async def test_a_payload_begins_once_wherever_the_agent_dies(site, bench, tmp_path, gap) -> None:
    def die(here: str) -> None:
        if here == gap:
            raise Killed

    agent = Agent(site, tmp_path / "state", die)
    order = start(bench.spec(f"echo mark >> {tmp_path}/marks"))
    with pytest.raises(Killed):
        await agent.to_the_end(order)
    await agent.stop()
    agent.start()
    assert [run.token for run in await agent.exchange(order)] == [TOKEN]
    assert (await agent.end()).state is JobState.COMPLETED
    await agent.exchange(order)
    assert (tmp_path / "marks").read_text() == "mark\n"
    await agent.stop()


async def test_an_unknown_outcome_is_settled_by_looking(agent, bench, tmp_path) -> None:
    really = agent.batch.submit
    calls = []

    async def unsure(request):
        calls.append(request.token)
        await really(request)
        return Unsettled("Socket timed out on send/recv operation")

    agent.batch.submit = unsure
    await agent.exchange(start(bench.spec(f"echo mark >> {tmp_path}/marks")))
    assert (await agent.end()).state is JobState.COMPLETED
    assert calls == [TOKEN]
    assert (tmp_path / "marks").read_text() == "mark\n"


async def test_nothing_is_submitted_without_a_lease(agent, bench) -> None:
    agent.runs.carry_out([start(bench.spec("true"))])
    await agent.runs.step()
    assert agent.observation().state is JobState.PLACED
    assert not agent.observation().begun
    agent.runs.carry_out([Renew(1, 60.0)])  # an answer to another life of the agent
    await agent.runs.step()
    assert agent.observation().state is JobState.PLACED
    await agent.exchange()
    assert (await agent.end()).state is JobState.COMPLETED


async def test_a_run_whose_lease_ran_out_in_the_queue_is_given_back(agent, bench) -> None:
    await agent.exchange(start(bench.spec("true")), lease_s=0.0)
    assert agent.observation().state is JobState.PLACED  # no lease any more: not even submitted
    sequence, _ = agent.runs.report(time.time(), time.time())
    agent.runs.carry_out([Renew(sequence, 30.0)])
    real = agent.batch.submit

    async def slow(request):
        (request.directory / "lease").write_text("5.0\n")
        return await real(request)

    agent.batch.submit = slow
    await agent.runs.step()
    over = await agent.end(lease_s=0.0)
    assert (over.withdrawn, over.refused, over.begun) == (True, False, False)
    assert over.reason == "lease expired before start"


async def test_leases_of_waiting_runs_are_written_when_they_moved_enough(agent, bench) -> None:
    blocker = RunToken("01J0000000000000000000000B-1")
    whole = bench.spec("sleep 30", request=bench.whole)
    await agent.exchange(start(whole, blocker), start(whole))
    lease = agent.state / "runs" / TOKEN / "lease"
    first = lease.read_text()
    await agent.exchange(lease_s=61.0)
    assert lease.read_text() == first
    await agent.exchange(lease_s=300.0)
    assert float(lease.read_text()) > float(first) + 200
    await agent.exchange(Cancel(blocker), Cancel(TOKEN))
    assert (await agent.end()).state is JobState.CANCELLED
    assert (await agent.end(blocker)).state is JobState.CANCELLED
    assert not agent.observation().begun
    assert not agent.observation().refused


async def test_a_refusal_carries_the_batch_systems_words(agent, bench) -> None:
    await agent.exchange(start(bench.spec("true"), partition="here/box/none"))
    seen = agent.observation()
    assert (seen.state, seen.refused, seen.begun) == (JobState.FAILED, True, False)
    assert "Invalid partition name" in seen.reason


async def test_a_cancel_before_submission_ends_it_there(agent, bench) -> None:
    await agent.exchange(start(bench.spec("true")), Cancel(TOKEN))
    assert agent.observation().state is JobState.CANCELLED
    assert not agent.observation().begun


async def test_a_token_that_is_no_name_makes_no_path(agent, bench) -> None:
    await agent.exchange(start(bench.spec("true"), RunToken("../../evil")))
    assert await agent.exchange() == ()
    (piece,) = pieces(Read("r", RunToken("../x"), -1, False, 0, 9), agent.state / "runs")
    assert "not a run token" in piece.error


async def test_a_full_disk_starts_nothing_and_is_got_over(agent, bench, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(rundir, "write_whole", full)
        with pytest.raises(ResourceExhausted, match="is full"):
            await agent.exchange(start(bench.spec("true")))
    assert agent.observation().state is JobState.PLACED
    assert not agent.observation().begun
    assert (await agent.end()).state is JobState.COMPLETED


async def test_output_of_an_array_wants_a_task(agent, bench) -> None:
    await agent.exchange(start(bench.spec("echo $SLURM_ARRAY_TASK_ID", array=(3, 4))))
    await agent.end()
    (piece,) = pieces(Read("r", TOKEN, -1, False, 0, 100), agent.state / "runs")
    assert "name one of its tasks" in piece.error
    (piece,) = pieces(Read("r", TOKEN, 4, False, 0, 100), agent.state / "runs")
    assert piece.data == b"4\n"


async def test_a_run_that_makes_the_driver_stumble_harms_no_other(agent, bench, tmp_path) -> None:
    other = RunToken("01J0000000000000000000000B-1")
    whole = agent.batch.submit

    async def submit(request):
        if request.token == TOKEN and not (tmp_path / "mended").exists():
            raise ValueError("embedded null byte")
        return await whole(request)

    agent.batch.submit = submit
    body = f"echo mark >> {tmp_path}/marks"
    await agent.exchange(start(bench.spec(body)), start(bench.spec("true"), other))
    assert (await agent.end(other)).state is JobState.COMPLETED
    assert "embedded null byte" in agent.observation().reason
    (tmp_path / "mended").touch()
    assert (await agent.end()).state is JobState.COMPLETED
    assert (tmp_path / "marks").read_text() == "mark\n"


async def test_a_run_that_cannot_be_written_down_is_refused(agent, bench, monkeypatch) -> None:
    def refuse(self, spec):
        raise TypeError("no such thing")

    monkeypatch.setattr(rundir.RunDirectory, "prepare", refuse)
    await agent.exchange(start(bench.spec("true")))
    over = await agent.end()
    assert (over.state, over.refused) == (JobState.FAILED, True)
    assert "cannot be written down: no such thing" in over.reason
