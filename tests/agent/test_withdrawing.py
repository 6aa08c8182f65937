"""Runs that the broker wants back, and the order in which those that wait stand."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.agent.fences import Fence
from res_federation.agent.journal import Journal
from res_federation.agent.local.jobs import LocalJob, LocalPartition
from res_federation.agent.local.local_site import LocalBatch
from res_federation.agent.runs import Runs
from res_federation.errors import Unavailable
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Arrange, Begin, Cancel, Order, Renew, Start, Withdraw
from res_federation.model.resources import Layout, NodeShape, ResourceRequest
from res_federation.model.site import Partition
from tests.agent.patience import PATIENCE_S

CPU = PartitionId("here/box/cpu")
BLOCKER, A, B, C = (RunToken(f"01J000000000000000000000{n:02d}-1") for n in range(4))
WHOLE = ResourceRequest(nodes=4, exclusive=True)


class Killed(BaseException):
    """The agent ends here, as kill -9 would end it."""


class Agent:
    """Journal, local batch system and runs over one directory."""

    def __init__(self, site, state: Path, batch: type[LocalBatch] = LocalBatch) -> None:
        self.site, self.state, self.kind = site, state, batch
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.state, SiteId("here"))
        self.batch = self.kind(self.site, self.state, now=time.time, grace_s=0.3)
        self.runs = Runs(self.journal, self.batch, self.state, now=time.time)

    async def restart(self) -> None:
        await self.stop()
        self.start()

    async def stop(self) -> None:
        await self.batch.close()
        self.journal.close()

    def order(self, *orders: Order) -> None:
        sequence, _ = self.runs.report(time.time(), time.time())
        self.runs.carry_out((Renew(sequence, 60.0), *orders))

    async def exchange(self, *orders: Order) -> None:
        self.order(*orders)
        await self.runs.step()

    def seen(self, token: RunToken = A) -> RunObservation:
        runs = self.runs.report(time.time(), time.time())[1]
        return next(run for run in runs if run.token == token)

    async def until(self, token: RunToken, state: JobState) -> RunObservation:
        async with asyncio.timeout(PATIENCE_S):
            while self.seen(token).state is not state:
                await self.exchange()
                await asyncio.sleep(0.02)
        return self.seen(token)

    async def queue(self) -> list[str]:
        measured = await self.batch.capacity()
        assert measured.arranges
        (cpu,) = [each for each in measured.partitions if each.id == CPU]
        return [job.token or "" for job in cpu.queue]

    async def block(self) -> None:
        """Let one run have every node."""
        await self.exchange(start(BLOCKER, "sleep 60"))
        await self.until(BLOCKER, JobState.RUNNING)

    async def unblock(self) -> None:
        await self.exchange(Cancel(BLOCKER))
        await self.until(BLOCKER, JobState.CANCELLED)


@pytest.fixture
async def agent(site, tmp_path) -> AsyncIterator[Agent]:
    made = Agent(site, tmp_path / "state")
    yield made
    for token in list(made.batch._jobs):
        await made.batch.cancel(token, None)
    async with asyncio.timeout(PATIENCE_S):
        while made.batch._jobs:
            await made.batch.changed()
    await made.stop()


def start(token: RunToken, body: str = "true", *, fenced: bool = False) -> Start:
    spec = JobSpec("test", "ana", f"#!/bin/bash\n{body}\n", request=WHOLE)
    return Start(token, CPU, spec, fenced)


def given_back(seen: RunObservation) -> bool:
    return (seen.state, seen.withdrawn, seen.refused, seen.begun) == (
        JobState.CANCELLED, True, False, False,
    )  # fmt: skip


async def test_a_run_that_was_never_handed_over_ends_at_once(agent: Agent) -> None:
    agent.runs.carry_out([start(A)])
    agent.runs.news.clear()
    agent.order(Withdraw((A, B)))
    assert given_back(agent.seen())
    assert agent.runs.news.is_set()
    await agent.exchange(Withdraw((A,)))
    assert (await agent.batch.find([A], since=0.0)).found == {}
    await agent.restart()
    assert given_back(agent.seen())


async def test_a_run_that_waits_leaves_the_queue_and_never_begins(agent: Agent, tmp_path) -> None:
    await agent.block()
    await agent.exchange(start(A, f"touch {tmp_path}/begun"), start(B))
    assert await agent.queue() == [A, B]
    agent.order(Withdraw((A,)))
    assert given_back(agent.seen())
    assert await agent.queue() == [B]
    await agent.restart()
    await agent.unblock()
    await agent.until(B, JobState.COMPLETED)
    assert given_back(agent.seen())
    assert not (tmp_path / "begun").exists()


async def test_what_began_stays_as_it_is(agent: Agent) -> None:
    await agent.block()
    await agent.exchange(Withdraw((BLOCKER,)))
    assert agent.seen(BLOCKER).state is JobState.RUNNING
    await agent.restart()
    await agent.exchange(Withdraw((BLOCKER,)))
    assert (await agent.until(BLOCKER, JobState.RUNNING)).begun


async def test_a_cancel_is_none_the_less_for_a_withdrawal(agent: Agent) -> None:
    await agent.block()
    await agent.exchange(start(A))
    agent.order(Cancel(A), Withdraw((A,)))
    seen = await agent.until(A, JobState.CANCELLED)
    assert not seen.withdrawn


async def test_one_that_could_not_be_written_down_is_told_by_the_next_agent(agent: Agent) -> None:
    """Killed between the batch system's books and the journal."""
    await agent.block()
    await agent.exchange(start(A))
    assert agent.batch.withdraw(A)
    await agent.restart()
    await agent.exchange()
    assert given_back(await agent.until(A, JobState.CANCELLED))


async def test_killed_before_the_books_the_mark_in_the_directory_tells(agent: Agent) -> None:
    await agent.block()
    await agent.exchange(start(A))
    await agent.batch.close()
    (agent.state / "runs" / A / "cancel").write_text("withdrawn\n")
    agent.journal.close()
    agent.start()
    assert given_back(await agent.until(A, JobState.CANCELLED))


# --- places


async def test_a_run_passes_its_place_on_before_it_leaves(agent: Agent) -> None:
    await agent.block()
    await agent.exchange(start(A), start(B))
    await agent.exchange(start(C), Arrange(CPU, (C, A)), Withdraw((A,)))
    assert await agent.queue() == [C, B]
    assert given_back(agent.seen(A))
    await agent.restart()
    async with asyncio.timeout(PATIENCE_S):
        while BLOCKER in await agent.queue():  # noqa: ASYNC110 - found again in its own time
            await asyncio.sleep(0.02)
    assert await agent.queue() == [C, B]
    await agent.unblock()
    done = [await agent.until(token, JobState.COMPLETED) for token in (B, C)]
    assert (done[0].started or 0) >= (done[1].started or 0)


async def test_the_newest_order_counts_and_strangers_are_left_out(agent: Agent) -> None:
    await agent.block()
    await agent.exchange(start(A), start(B), start(C))
    stranger = RunToken("01J00000000000000000000009-1")
    agent.order(Arrange(CPU, (C, B, A)))
    agent.order(
        Arrange(CPU, (C, stranger, A, BLOCKER, C)), Arrange(PartitionId("here/box/none"), (B, A))
    )
    await agent.runs.step()
    assert await agent.queue() == [C, B, A]


async def test_where_places_cannot_be_passed_on_nobody_stays_for_it(agent: Agent, monkeypatch):
    await agent.block()
    await agent.exchange(start(A), start(B))

    async def refuse(_partition: PartitionId, _tokens: object) -> None:
        raise Unavailable("scontrol top: Access/permission denied")

    monkeypatch.setattr(agent.batch, "arrange", refuse)
    await agent.exchange(Arrange(CPU, (B, A)), Withdraw((A,)))
    assert given_back(agent.seen(A))
    assert await agent.queue() == [B]
    monkeypatch.undo()
    await agent.exchange(start(C), Arrange(CPU, (C, B)))
    assert await agent.queue() == [C, B]


def a_partition(waiting: list[bool]) -> LocalPartition:
    shape = NodeShape(4, 4096)
    home = LocalPartition(Partition(CPU, "cpu", shape, nodes=4))
    for number, waits in enumerate(waiting):
        token = RunToken(f"01J{number:023d}-1")
        home.jobs[token] = LocalJob(
            token, number, home.partition, JobSpec("test", "ana", "", time_limit_s=60),
            Path(), Layout(1, 1, 0, 0), deque([-1] if waits else []),
        )  # fmt: skip
    return home


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_the_arranged_take_each_others_places_and_all_others_keep_theirs(waiting, data) -> None:
    home = a_partition(waiting)
    before = list(home.jobs)
    named = data.draw(st.lists(st.sampled_from(before), max_size=15))
    home.arrange(named)
    after = list(home.jobs)
    moved = [t for t in dict.fromkeys(named) if waiting[before.index(t)]]
    assert [token for token in after if token in moved] == moved
    for place, token in enumerate(before):
        if token not in moved:
            assert after[place] == token
    assert sorted(after) == sorted(before)


# --- with fences, as at Slurm


class Fenced(LocalBatch):
    """Takes runs back by the fence in their directories, as the back-end for Slurm does."""

    fences = True
    settle_grace_s = 0.0

    def withdraw(self, token: RunToken) -> bool:
        return Fence(self._fenced(token)).withdraw()

    def _fenced(self, token: RunToken) -> Path:
        return Path(self._owner) / "runs" / token


@pytest.fixture
async def fenced(site, tmp_path) -> AsyncIterator[Agent]:
    made = Agent(site, tmp_path / "state", Fenced)
    yield made
    for token in list(made.batch._jobs):
        await made.batch.cancel(token, None)
    async with asyncio.timeout(PATIENCE_S):
        while made.batch._jobs:
            await made.batch.changed()
    await made.stop()


async def test_a_fenced_run_is_proved_and_then_taken_out_of_the_queue(fenced: Agent) -> None:
    await fenced.block()
    await fenced.exchange(start(A, fenced=True), start(B, fenced=True))
    fenced.order(Withdraw((A,)))
    assert given_back(fenced.seen(A))
    assert Fence(fenced.state / "runs" / A).word() == "end"
    assert await fenced.queue() == [A, B]  # it cannot begin any more, and is cleared away after
    await fenced.runs.step()
    assert await fenced.queue() == [B]


async def test_one_that_was_let_and_may_be_there_stays(fenced: Agent) -> None:
    await fenced.block()
    await fenced.exchange(start(A, fenced=True))
    fenced.order(Begin((A,)))
    (fenced.state / "runs" / A / "here.batch.7").touch()  # its wrapper, somewhere
    await fenced.exchange(Withdraw((A,)))
    assert not fenced.seen(A).state.final
    assert Fence(fenced.state / "runs" / A).word() == "go"
    assert await fenced.queue() == [A]


async def test_withdrawn_while_it_was_handed_over_it_is_not_handed_over_again(fenced: Agent):
    await fenced.block()
    real, calls = fenced.batch.submit, []

    async def submit(request):
        calls.append(request.token)
        if request.token == A:
            fenced.runs.carry_out([Withdraw((A, B))])
        return await real(request)

    fenced.batch.submit = submit  # type: ignore[method-assign]
    await fenced.exchange(start(A), start(B))
    await fenced.exchange()
    assert given_back(fenced.seen(A))
    assert given_back(fenced.seen(B))
    assert calls.count(A) <= 1 >= calls.count(B)
    assert await fenced.queue() == []


async def test_a_withdrawal_that_the_journal_missed_is_told_after_a_restart(fenced: Agent) -> None:
    await fenced.block()
    await fenced.exchange(start(A, fenced=True))
    await fenced.batch.cancel(A, None)  # as the one who clears strays away does
    assert fenced.batch.withdraw(A)
    await fenced.restart()
    assert given_back(await fenced.until(A, JobState.CANCELLED))


def test_only_what_was_given_back_says_so(tmp_path: Path) -> None:
    """A run that ended by itself is shut behind it too, and is not to be placed again for that."""
    assert Fence(tmp_path).withdraw("over")
    assert not Fence(tmp_path).withdrawn()
    assert Fence(tmp_path).withdraw()
    assert Fence(tmp_path).withdrawn()
