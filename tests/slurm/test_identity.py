"""Two people with real accounts on a real Slurm: each runs as themselves, and nobody else does."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.agent.accounts import own_account
from res_federation.agent.identity import MappedAccounts
from res_federation.agent.journal import Journal
from res_federation.agent.outputs import pieces
from res_federation.agent.runs import Runs
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.discover import look_at, site_of
from res_federation.agent.slurm.slurm_site import SlurmBatch
from res_federation.client.scripts import job_from_script
from res_federation.lab.daemons import wait_for
from res_federation.lab.lab import Cluster
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Begin, Cancel, Order, Read, Renew, Start
from res_federation.model.site import SlurmAccess
from res_federation.slurm.dialect import conservative
from tests.agent.local_accounts import People
from tests.slurm.federation import PATIENCE_S

A, B, C, D, E = (RunToken(f"01J00000000000000000000F{n:02d}-1") for n in range(5))
RULE = '[[exact]]\nissuer = "idp"\nsubject = "{}"\naccount = "{}"\n'


@pytest.fixture
def open_lab(plain: Cluster, people: People) -> Iterator[Cluster]:
    """Let other accounts find munge and slurm.conf in the lab's directory."""
    plain.home.parent.chmod(0o755)
    yield plain
    wait_for(lambda: _emptied(plain, people), PATIENCE_S, "an empty queue")
    plain.home.parent.chmod(0o700)


def _emptied(cluster: Cluster, people: People) -> bool:
    for name in (people.one, people.two):
        cluster.run(["scancel", f"--user={name}"])
    return not cluster.run(["squeue", "-h", "-a"]).stdout.strip()


class Agent:
    """An agent that is root, and no broker: the test gives the orders."""

    def __init__(self, cluster: Cluster, people: People, home: Path) -> None:
        self.cluster, self.people, self.state = cluster, people, home / "state"
        self.mapping = home / "accounts.toml"

    def map(self, **accounts: str) -> None:
        rules = "".join(RULE.format(who, account) for who, account in accounts.items())
        fresh = self.mapping.with_suffix(".new")
        fresh.write_text(f'[projects]\nbio = "bio42"\n{rules}')
        fresh.replace(self.mapping)

    async def start(self) -> None:
        conf = str(self.cluster.conf)
        live = await look_at(Calls(conf, own_account()))
        site = replace(site_of(live, SlurmAccess(conf)).site, identity=str(self.mapping))
        (self.partition,) = [part.id for part in site.partitions]
        self.journal = Journal(self.state, site.id)
        calls = Calls(conf, own_account())
        self.batch = SlurmBatch(site, conservative(site), self.state, calls=calls, now=time.time)
        self.identities = MappedAccounts(self.mapping)
        self.runs = Runs(
            self.journal, self.batch, self.state, now=time.time, identities=self.identities
        )

    async def stop(self) -> None:
        await self.batch.close()
        self.journal.close()

    def seen(self) -> dict[RunToken, RunObservation]:
        return {run.token: run for run in self.runs.report(time.time(), time.time())[1]}

    async def exchange(self, *orders: Order) -> None:
        sequence, _ = self.runs.report(time.time(), time.time())
        self.runs.carry_out((Renew(sequence, 600.0), *orders))
        await self.runs.step()

    def order(self, token: RunToken, who: str, body: str, *options: str) -> Start:
        script = f"#!/bin/bash\n#SBATCH --account=wished\n{body}\n"
        spec = job_from_script(script, options=("-t", "5", "--mem=100M", *options))
        named = replace(spec, user=f"{who}@idp", issuer="idp", subject=who, project="bio")
        return Start(token, self.partition, named)

    async def until(self, there: Callable[[dict[RunToken, RunObservation]], bool]) -> None:
        """Do as a broker that lets all begin that ask."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not there(self.seen()):
                    asking = tuple(token for token, run in self.seen().items() if run.asks)
                    await self.exchange(*([Begin(asking)] if asking else []))
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(str(self.seen()))

    async def ended(self, *tokens: RunToken) -> dict[RunToken, RunObservation]:
        await self.until(lambda seen: all(seen[token].state.final for token in tokens))
        return self.seen()

    def output(self, token: RunToken, *, error: bool = False) -> str:
        order = Read("r", token, -1, error, 0, 100_000)
        found = list(pieces(order, self.state / "runs"))
        return "".join(piece.data.decode() + piece.error for piece in found)

    def users(self) -> dict[str, str]:
        shown = self.cluster.run(["squeue", "-h", "-a", "-o", "%j %u"]).stdout.splitlines()
        return dict(each.split() for each in shown)


@pytest.fixture
async def agent(open_lab: Cluster, people: People) -> AsyncIterator[Agent]:
    home = open_lab.home.parent / f"identity-{time.time_ns()}"
    home.mkdir(mode=0o711)
    home.chmod(0o711)
    made = Agent(open_lab, people, home)
    made.map(ana=people.one, eva=people.two, evil="no_such_account")
    await made.start()
    yield made
    await made.stop()
    shutil.rmtree(home)


async def test_each_runs_as_themselves_and_none_reads_the_others_files(agent: Agent) -> None:
    people = agent.people
    first = agent.state / "runs" / A
    body = "umask 0000; id -un; id -Gn; echo $SLURM_JOB_ACCOUNT; touch made; sleep 1"
    spy = f"id -un; cat {first}/out.batch; ls {first}; ls {first.parent}; echo x > {first}/lease"
    await agent.exchange(agent.order(A, "ana", body), agent.order(B, "eva", spy))
    both = {A: people.one, B: people.two}
    wait_for(lambda: agent.users().items() <= both.items(), PATIENCE_S, "jobs of two users")
    seen = await agent.ended(A, B)
    assert seen[A].state is JobState.COMPLETED
    name, groups, charge = agent.output(A).splitlines()
    assert name == people.one
    assert set(groups.split()) == {people.one, people.group}
    assert charge == "bio42", "the mapping's Slurm account, not the one that the script wished"
    assert agent.output(B) == f"{people.two}\n", "nothing of the other's output"
    assert agent.output(B, error=True).count("Permission denied") == 4
    for token, who in both.items():
        run = agent.state / "runs" / token
        assert run.owner() == who
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        theirs = ("out", "made", "exit", "begun", "work")
        payloads = [each for each in run.rglob("*") if each.name.startswith(theirs)]
        assert len(payloads) >= len(theirs) - 1
        assert {each.owner() for each in payloads} == {who}
    assert (first / "work" / "made").is_file()


async def test_whoever_no_rule_means_is_refused_and_nothing_is_submitted(agent: Agent) -> None:
    agent.map(ana=agent.people.one, boss=agent.people.system, evil="no_such_account")
    words = {A: "zoe", B: "boss", C: "evil", D: "ROOT"}
    orders = [agent.order(token, who, "id") for token, who in words.items()]
    local = replace(orders[0], token=E, spec=_local(orders[0].spec))
    await agent.exchange(*orders, local)
    assert agent.seen().keys() == {*words, E}
    for run in agent.seen().values():
        assert (run.state, run.refused, run.begun) == (JobState.FAILED, True, False)
        assert "accounts.toml" in run.reason
        assert agent.people.system not in run.reason
        assert not (agent.state / "runs" / run.token).exists()
    assert agent.users() == {}


def _local(spec: JobSpec) -> JobSpec:
    return replace(spec, issuer="local", subject="root", user="root")


async def test_who_is_taken_out_keeps_what_runs_and_it_can_be_cancelled(agent: Agent) -> None:
    people = agent.people
    all_nodes = ("-N", "3", "--exclusive")
    await agent.exchange(agent.order(A, "ana", "id -un; sleep 300", *all_nodes))
    await agent.exchange(agent.order(B, "ana", "id -un", *all_nodes))
    await agent.until(lambda seen: seen[A].state is JobState.RUNNING)
    agent.map(eva=people.two)  # and ana is in it no more
    await agent.exchange(agent.order(C, "ana", "id -un"))
    assert agent.seen()[C].refused
    await agent.stop()  # and the agent is started anew
    await agent.start()
    await agent.until(lambda seen: seen[A].state is JobState.RUNNING)
    assert agent.users()[A] == people.one
    await agent.exchange(Cancel(A, None))
    seen = await agent.ended(A, B)
    assert seen[A].state is JobState.CANCELLED
    assert seen[B].state is JobState.COMPLETED
    assert agent.output(B) == f"{people.one}\n"


async def test_a_job_of_another_user_with_a_runs_name_is_not_taken_for_it(agent: Agent) -> None:
    people = agent.people
    await agent.exchange(agent.order(A, "ana", "sleep 2; id -un"))
    forged = agent.state.parent / "forged"
    forged.mkdir()
    os.chown(forged, pwd.getpwnam(people.two).pw_uid, -1)
    argv = ["sbatch", f"--uid={people.two}", f"--job-name={A}", f"--comment={A} 1/1", "-o"]
    done = agent.cluster.run([*argv, "/dev/null", "-D", str(forged), "-t", "5", "--wrap", "exit 9"])
    assert done.returncode == 0, done.stderr
    seen = await agent.ended(A)
    assert (seen[A].state, seen[A].exit_code) == (JobState.COMPLETED, 0)
    assert agent.output(A) == f"{people.one}\n"


async def test_who_lays_traps_in_their_own_run_harms_that_run_alone(agent: Agent) -> None:
    people = agent.people
    trap = "rm -rf ../$n; mkdir -p ../$n/x; ln -s /etc/shadow ../.$n.new"
    names = "lease fence cancel spec.json begun.batch exit.batch"
    body = f"touch up; while :; do for n in {names}; do {trap}; done; done 2> /dev/null"
    await agent.exchange(agent.order(A, "ana", body))
    wait_for((agent.state / "runs" / A / "work" / "up").exists, PATIENCE_S, "traps")
    await agent.exchange(agent.order(B, "eva", "sleep 1; id -un"))
    seen = await agent.ended(B)
    assert seen[B].state is JobState.COMPLETED
    assert agent.output(B) == f"{people.two}\n"
    assert agent.identities.problem == ""
    assert os.stat("/etc/shadow").st_uid == 0  # noqa: PTH116
    await agent.exchange(Cancel(A, None))
    wait_for(lambda: A not in agent.users(), PATIENCE_S, "the job of the traps to be gone")
    await agent.exchange(agent.order(C, "eva", "id -un"))
    assert (await agent.ended(C))[C].state is JobState.COMPLETED
