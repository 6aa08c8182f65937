"""Places in the queue of a real Slurm: given to another run of ours, taken from nobody else.

The federation's account is `nobody` here, as it has no rights of its own; whoever runs the tests is
the site's other user (root, who alone can submit for somebody else).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from res_federation.agent.accounts import account_for, own_account
from res_federation.agent.journal import Journal
from res_federation.agent.runs import Runs
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.discover import look_at, site_of
from res_federation.agent.slurm.slurm_site import SlurmBatch
from res_federation.client.scripts import job_from_script
from res_federation.lab.daemons import wait_for
from res_federation.lab.lab import Cluster
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Arrange, Begin, Order, Renew, Start, Withdraw
from res_federation.model.site import SlurmAccess
from res_federation.slurm.dialect import conservative
from tests.slurm.federation import PATIENCE_S, resume_nodes

ACCOUNT = "nobody"
WHOLE = ("-N", "3", "--exclusive", "-t", "5", "--mem=100M")
A, B, C = (RunToken(f"01J000000000000000000000{n:02d}-1") for n in range(3))


@pytest.fixture
def arranging(plain: Cluster) -> Iterator[Cluster]:
    """Let users arrange their own jobs, as an administrator does on a cluster that runs."""
    if os.geteuid() != 0:
        pytest.skip("only root can submit as two users")
    conf = plain.conf.read_text()
    (line,) = [each for each in conf.splitlines() if each.startswith("SchedulerParameters=")]
    _configure(plain, conf.replace(line, f"{line},enable_user_top"))
    plain.home.parent.chmod(0o755)  # the account finds munge and slurm.conf in there
    yield plain
    wait_for(lambda: _emptied(plain), PATIENCE_S, "an empty queue")
    plain.home.parent.chmod(0o700)
    _configure(plain, conf)


def _configure(cluster: Cluster, conf: str) -> None:
    cluster.conf.write_text(conf)
    assert cluster.run(["scontrol", "reconfigure"]).returncode == 0


def _emptied(cluster: Cluster) -> bool:
    cluster.run(["scancel", f"--user={ACCOUNT}"])
    return not cluster.run(["squeue", "-h", "-a", f"--user={ACCOUNT}"]).stdout.strip()


class Agent:
    """An agent without a broker: this test gives the orders."""

    def __init__(self, cluster: Cluster, state: Path) -> None:
        self.cluster, self.state = cluster, state

    async def start(self, account: str) -> None:
        conf = str(self.cluster.conf)
        live = await look_at(Calls(conf, own_account()))
        site = site_of(live, SlurmAccess(conf)).site
        (self.partition,) = [part.id for part in site.partitions]
        self.state.mkdir(mode=0o711)
        self.journal = Journal(self.state, site.id)
        calls = Calls(conf, account_for(account))
        self.batch = SlurmBatch(site, conservative(site), self.state, calls=calls, now=time.time)
        self.runs = Runs(self.journal, self.batch, self.state, now=time.time)

    async def stop(self) -> None:
        await self.batch.close()
        self.journal.close()

    def seen(self) -> dict[RunToken, RunObservation]:
        return {run.token: run for run in self.runs.report(time.time(), time.time())[1]}

    async def exchange(self, *orders: Order) -> None:
        sequence, _ = self.runs.report(time.time(), time.time())
        self.runs.carry_out((Renew(sequence, 600.0), *orders))
        await self.runs.step()

    def order(self, token: RunToken) -> Start:
        marks = self.state / "runs" / token / "work" / "mark"
        body = f"#!/bin/bash\necho $(date +%s%N) >> {marks}\n"
        return Start(token, self.partition, job_from_script(body, options=WHOLE), fenced=True)

    async def until(self, there: Callable[[dict[RunToken, RunObservation]], bool]) -> None:
        """Do as a broker that lets all begin that ask."""
        async with asyncio.timeout(PATIENCE_S):
            while not there(self.seen()):
                asking = tuple(token for token, run in self.seen().items() if run.asks)
                await self.exchange(*([Begin(asking)] if asking else []))
                await asyncio.sleep(0.1)

    async def look(self) -> PartitionCapacity:
        await self.batch._view.look(since=time.time())
        measured = await self.batch.capacity()
        assert measured.arranges
        (group,) = measured.partitions
        return group


@pytest.fixture
async def agent(arranging: Cluster) -> AsyncIterator[Agent]:
    made = Agent(arranging, arranging.home.parent / "held-places")
    await made.start(ACCOUNT)
    yield made
    await made.stop()


def foreign(cluster: Cluster, name: str, body: str) -> str:
    argv = ["sbatch", "--parsable", "-J", name, "-o", "/dev/null", "-D", "/", *WHOLE]
    done = cluster.run([*argv, "--wrap", body])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until_it_runs(cluster: Cluster, job: str) -> None:
    """Wait until a job runs, as an administrator who sees to what a test before left behind.

    A node that still has a job of the same number, from before a controller was killed, goes down,
    and Slurm holds the new job.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        resume_nodes(cluster)
        state, _, reason = cluster.run(["squeue", "-h", "-o", "%t %r", "-j", job]).stdout.partition(
            " "
        )
        if state == "R":
            return
        if "held" in reason.lower():
            cluster.run(["scontrol", "release", job])
        if time.monotonic() > end:
            shown = [cluster.run([*words]).stdout for words in (("squeue", "-a"), ("sinfo", "-R"))]
            pytest.fail(f"job {job} does not run: {shown}", pytrace=False)
        time.sleep(0.2)


def priorities(cluster: Cluster) -> dict[str, int]:
    shown = cluster.run(["squeue", "-h", "-a", "-t", "PD", "-O", "Name:40,PriorityLong:20"])
    return {name: int(value) for name, value in map(str.split, shown.stdout.splitlines())}


async def test_waiting_runs_change_places_and_a_withdrawn_one_never_begins(agent: Agent):
    cluster = agent.cluster
    holder = foreign(cluster, "holder", "sleep 300")
    until_it_runs(cluster, holder)
    await agent.exchange(agent.order(A))
    theirs = agent.state / "stranger"
    foreign(cluster, "stranger", f"date +%s%N > {theirs}")
    await agent.exchange(agent.order(B))
    await agent.until(lambda seen: seen[B].state is JobState.SUBMITTED)
    before = priorities(cluster)
    assert [job.token for job in (await agent.look()).queue] == [A, None, B]

    # one that is more urgent than both comes, gets the first place, and the first run goes
    await agent.exchange(agent.order(C), Arrange(agent.partition, (C, B, A)), Withdraw((A,)))
    over = agent.seen()[A]
    assert (over.state, over.withdrawn, over.begun) == (JobState.CANCELLED, True, False)
    wait_for(lambda: A not in priorities(cluster), PATIENCE_S, "its job out of the queue")
    after = priorities(cluster)
    assert after["stranger"] == before["stranger"]
    assert (after[C], after[B]) == (before[A], before[B])
    group = await agent.look()
    assert [job.token for job in group.queue] == [C, None, B]
    assert [job.nodes for job in group.queue] == [3, 3, 3]
    assert group.others == 2

    cluster.run(["scancel", holder])
    await agent.until(lambda seen: all(seen[t].state is JobState.COMPLETED for t in (B, C)))
    began = {t: int((agent.state / "runs" / t / "work" / "mark").read_text()) for t in (B, C)}
    assert began[C] < int(theirs.read_text()) < began[B]
    assert not (agent.state / "runs" / A / "work" / "mark").exists()
    assert agent.seen()[A].withdrawn


async def test_without_the_sites_leave_nothing_is_arranged(plain: Cluster, tmp_path: Path):
    agent = Agent(plain, tmp_path / "state")
    await agent.start("")
    assert not (await agent.batch.capacity()).arranges
    before = agent.batch._calls.count
    await agent.batch.arrange(agent.partition, (B, A))
    assert agent.batch._calls.count == before
    await agent.stop()
