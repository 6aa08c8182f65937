"""A real broker with an agent for each cluster of the lab, in a thread of its own.

The tests themselves are plain: they submit through the client, wait with a bound, and read what the
payloads wrote.  Everything that a test broke is made whole when it leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from res_federation.agent.accounts import own_account
from res_federation.agent.main import run_agent
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.discover import look_at, site_of
from res_federation.broker.main import run_broker
from res_federation.client import Federation, SiteState
from res_federation.client.scripts import job_from_script
from res_federation.config.broker import BrokerSettings
from res_federation.control.catalogue import Catalogue
from res_federation.errors import FederationError
from res_federation.lab.daemons import wait_for
from res_federation.lab.lab import Cluster, Lab
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.site import Site, SlurmAccess
from res_federation.placement.policy import Policy
from res_federation.topology.distances import NOWHERE

PATIENCE_S = 90.0
"""How long anything may take on a loaded machine; what comes earlier is taken at once."""
BEAT_S = 0.5
_NUMBERS = 100_000
"""More jobs than the tests between two ends of a controller submit."""
_MARK = 'echo "$RESFED_SITE $SLURM_JOB_ID" >> "{marks}/$RESFED_JOB.${{SLURM_ARRAY_TASK_ID:-batch}}"'


@dataclass
class Running:
    """A federation over the lab's clusters."""

    lab: Lab
    home: Path
    sites: dict[str, Site]
    loop: asyncio.AbstractEventLoop
    address: str = ""
    client: Federation = field(init=False)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    # --- parts

    def start(self, *, lease_s: float, margin_s: float) -> None:
        """Start the broker and an agent for each site; return when all can be given jobs."""
        (self.home / "marks").mkdir(parents=True)
        settings = BrokerSettings(
            listen="127.0.0.1:0",
            database_url=f"sqlite+aiosqlite:///{self.home / 'broker.db'}",
            home=self.home,
            ray_address="",
            ray_workers=0,
            lease_s=lease_s,
            margin_s=margin_s,
            log_level="info",
        )
        ready: Future[str] = Future()
        broker = run_broker(
            settings, catalogue=Catalogue(tuple(self.sites.values()), NOWHERE), policy=Policy(),
            on_ready=ready.set_result,
        )  # fmt: skip
        self._begin("broker", broker).add_done_callback(lambda task: _ended(task, ready))
        self.address = ready.result(PATIENCE_S)
        self.client = Federation(self.address, patience_s=PATIENCE_S)
        for site in self.sites:
            self.connect(site)
        for site in self.sites:
            self.until_ready(site)

    def connect(self, site: str) -> None:
        """Start a site's agent."""
        agent = run_agent(self.sites[site], self.address, self.state(site), beat_s=BEAT_S)
        self._begin(site, agent)

    def disconnect(self, name: str) -> None:
        """End a site's agent (or the broker); its jobs go on."""
        task = self._tasks.pop(name)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(PATIENCE_S)

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(work, name=name)

        begun = asyncio.run_coroutine_threadsafe(begin(), self.loop)
        self._tasks[name] = begun.result(PATIENCE_S)
        return self._tasks[name]

    def stop(self) -> None:
        """End agents and broker."""
        if hasattr(self, "client"):
            self.client.close()
        for name in reversed(list(self._tasks)):
            self.disconnect(name)

    def until_ready(self, site: str) -> None:
        """Wait until a site takes jobs."""
        wait_for(
            lambda: self.client.site(site).state is SiteState.READY, PATIENCE_S, f"{site} ready"
        )

    def state(self, site: str) -> Path:
        """Return the directory of a site's agent."""
        return self.home / site

    def run_directory(self, job: Job) -> Path:
        """Return where the newest run of a job has its files."""
        assert job.run is not None
        return self.state(job.site) / "runs" / job.run.token

    def cluster(self, job: Job) -> Cluster:
        """Return the cluster of a job's newest run."""
        return self.lab.cluster(job.site)

    # --- jobs

    def spec(
        self,
        body: str,
        *options: str,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> JobSpec:
        """Make a job that leaves a line in a file of its job and task, then runs *body*."""
        script = f"#!/bin/bash\n{_MARK.format(marks=self.home / 'marks')}\n{body}\n"
        return job_from_script(
            script,
            options=("-t", "10", "--mem=100M", *options),
            arguments=arguments,
            environment=environment or {},
        )

    def submit(self, body: str, *options: str, arguments: Sequence[str] = ()) -> str:
        """Submit such a job; return its identifier."""
        return self.client.submit(self.spec(body, *options, arguments=arguments)).id

    def marks(self, job: str, task: int | str = "batch") -> list[str]:
        """Return a line (site and Slurm's number) for each time that the payload began."""
        with contextlib.suppress(FileNotFoundError):
            return (self.home / "marks" / f"{job}.{task}").read_text().splitlines()
        return []

    def until(self, job: str, condition: Callable[[Job], bool], seconds: float = PATIENCE_S) -> Job:
        """Wait until a job is as it should be; say how it is when it is not."""
        end = time.monotonic() + seconds
        while True:
            seen = self.client.job(job)
            if condition(seen):
                return seen
            assert time.monotonic() < end, f"not in {seconds:g} s: {self.told(seen)}"
            time.sleep(0.05)

    def until_in(self, job: str, *states: JobState, seconds: float = PATIENCE_S) -> Job:
        """Wait until a job is in one of these states; an end that is none of them fails at once."""

        def there(seen: Job) -> bool:
            assert seen.state in states or not seen.state.final, self.told(seen)
            return seen.state in states

        return self.until(job, there, seconds)

    def completed(self, job: str, seconds: float = PATIENCE_S) -> Job:
        """Wait until a job has completed."""
        return self.until_in(job, JobState.COMPLETED, seconds=seconds)

    def output(self, job: str, task: int | None = None, *, stderr: bool = False) -> str:
        """Return what a job printed."""
        return b"".join(self.client.output(job, task, stderr=stderr)).decode()

    def told(self, job: Job) -> str:
        """Say everything that is known of a job, for one who looks for a fault."""
        runs = [
            f"{run.token} at {run.site} {run.state} ({run.reason}) fenced={run.fenced} "
            f"begun={run.begun} {sorted(_names(self.state(run.site) / 'runs' / run.token))}"
            for run in job.runs
        ]
        shown = self.lab.cluster(job.site).run(["squeue", "-a", "-t", "all"]) if job.site else None
        queue = "" if shown is None else shown.stdout + shown.stderr
        return f"{job.id} {job.state} ({job.reason}); runs: {runs}\n{queue}"


def _ended(broker: asyncio.Task[None], ready: Future[str]) -> None:
    """Let nobody wait for a broker that ended before it was ready."""
    if not ready.done() and not broker.cancelled():
        ready.set_exception(broker.exception() or RuntimeError("the broker ended"))


def _names(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [each.name for each in path.iterdir()]
    return []


@contextmanager
def running(
    lab: Lab, home: Path, *, lease_s: float = 900.0, margin_s: float = 60.0
) -> Iterator[Running]:
    """Run a federation over the lab; leave the lab idle and whole."""
    restore(lab)
    loop = asyncio.new_event_loop()
    over = threading.Event()
    threads = [
        threading.Thread(target=loop.run_forever, daemon=True),
        threading.Thread(target=_administer, args=(lab, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        sites = {c.name: _discovered(c, loop) for c in lab.clusters}
        federation = Running(lab, home, sites, loop)
        try:
            federation.start(lease_s=lease_s, margin_s=margin_s)
            yield federation
        finally:
            federation.stop()
            restore(lab)
    finally:
        over.set()
        asyncio.run_coroutine_threadsafe(_quiet(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        for thread in threads:
            thread.join(PATIENCE_S)
        loop.close()


async def _quiet() -> None:
    """End what the loop still has."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _discovered(cluster: Cluster, loop: asyncio.AbstractEventLoop) -> Site:
    conf = str(cluster.conf)
    live = asyncio.run_coroutine_threadsafe(look_at(Calls(conf, own_account())), loop)
    return site_of(live.result(PATIENCE_S), SlurmAccess(conf)).site


def restore(lab: Lab) -> None:
    """Start what was ended, resume nodes, end every job, and wait for an idle lab."""
    lab.daemon("munged").send(signal.SIGCONT)
    lab.daemon("munged").start()
    for cluster in lab.clusters:
        for daemon in (lab.daemon("slurmctld", cluster), *lab.nodes(cluster)):
            daemon.send(signal.SIGCONT)
            daemon.start()
    for cluster in lab.clusters:
        wait_for(lambda cluster=cluster: _idle(cluster), PATIENCE_S, f"an idle {cluster.name}")  # type: ignore[misc]
        _number_anew(lab, cluster)


def _number_anew(lab: Lab, cluster: Cluster) -> None:
    """Let no job of a later test have the number of an earlier one's.

    A controller that was killed gives numbers away again, and what a node still says of the old job
    is taken for the new one: it is cancelled in root's name.  Tests of that stay within one test.
    """
    pid = lab.daemon("slurmctld", cluster).pid
    known = cluster.home / "numbered"
    before, first = known.read_text().split() if known.exists() else (pid, 1)
    if int(before) != pid:
        first = int(first) + _NUMBERS
        lines = cluster.conf.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("FirstJobId=")]
        cluster.conf.write_text("\n".join([*kept, f"FirstJobId={first}", ""]))
        cluster.run(["scontrol", "reconfigure"])
    known.write_text(f"{pid} {first}")


def _idle(cluster: Cluster) -> bool:
    """End jobs and resume nodes; tell whether nothing is left to do."""
    queue = cluster.run(["squeue", "-h", "-a", "-o", "%A"])
    if queue.returncode != 0:
        return False
    if queue.stdout.strip():
        cluster.run(["scancel", f"--user={getpass.getuser()}"])
    return resume_nodes(cluster) and not queue.stdout.strip()


def _administer(lab: Lab, over: threading.Event) -> None:
    """Take back nodes now and then, as an administrator does."""
    while not over.wait(2.0):
        for cluster in lab.clusters:
            with contextlib.suppress(subprocess.TimeoutExpired):
                resume_nodes(cluster)


def resume_nodes(cluster: Cluster) -> bool:
    """Do as an administrator does after a controller's crash; tell whether all nodes are up.

    A node that gets a job under a number that it still has is drained by Slurm itself.
    """
    shown = cluster.run(["sinfo", "-h", "-N", "-o", "%N %T"])
    states = dict(line.split() for line in shown.stdout.splitlines() if line.strip())
    for name, state in states.items():
        if "drain" in state or "down" in state:
            words = ["update", f"NodeName={name}", "State=RESUME"]
            cluster.run(["scontrol", *words])
    fine = ("idle", "mixed", "allocated")
    return bool(states) and all(state in fine for state in states.values())


def once(federation: Running, job: str, task: int | str = "batch") -> str:
    """Check that a payload began exactly once; return where."""
    marks = federation.marks(job, task)
    assert len(marks) == 1, f"{job}: {marks}; {_looked_up(federation, job)}"
    return marks[0].split()[0]


def _looked_up(federation: Running, job: str) -> str:
    with contextlib.suppress(FederationError):
        return federation.told(federation.client.job(job))
    return "the broker does not answer"
