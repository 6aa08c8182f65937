"""Submissions whose outcome is in doubt, and ends that only Slurm can tell."""

from __future__ import annotations

import getpass
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from res_federation.lab.daemons import Daemon, wait_for
from res_federation.lab.lab import Cluster
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from tests.slurm.federation import PATIENCE_S, Running, once, resume_nodes, running

SBATCH_GIVES_UP_S = 10.0
"""Slurm's MessageTimeout, which sbatch waits for a controller that does not answer."""


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    with running(lab, tmp_path_factory.mktemp("outcomes") / "home") as federation:
        yield federation


@dataclass(frozen=True)
class Struck:
    """Jobs that were struck at the start, each on a node of its own; Slurm takes its time."""

    overtime: str
    cancelled: str
    on_a_dead_node: str


@pytest.fixture(scope="module", autouse=True)
def struck(federation: Running) -> Struck:
    alone = ("-c", "16", "-M", "palmalab")
    jobs = [federation.submit("echo begun; exec sleep 600", *alone) for _ in range(3)]
    first, second, third = (federation.until_in(job, JobState.RUNNING) for job in jobs)
    cluster = federation.cluster(first)
    number = slurms_number(federation, first)
    do(cluster, "scontrol", "update", f"JobId={number}", "EndTime=now")
    do(cluster, "scancel", slurms_number(federation, second))
    assert third.run is not None
    name = third.run.tasks[0].nodes
    node = federation.lab.daemon(name, cluster)
    node.kill()
    do(cluster, "scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=died")
    node.start()
    wait_for(lambda: resume_nodes(cluster), PATIENCE_S, f"{name} up again")
    return Struck(*jobs)


def do(cluster: Cluster, *words: str) -> None:
    done = cluster.run(words)
    assert done.returncode == 0, done.stderr


def slurms_number(federation: Running, job: Job) -> str:
    assert job.run is not None
    argv = ["squeue", "-h", "-a", f"--name={job.run.token}", "-o", "%A"]
    return federation.cluster(job).run(argv).stdout.strip()


def controller(federation: Running, site: str) -> Daemon:
    return federation.lab.daemon("slurmctld", federation.lab.cluster(site))


def sbatch_of(token: str) -> psutil.Process | None:
    """Return the sbatch that submits a run: a child of this process, where the agents are."""
    for process in psutil.Process().children():
        try:
            if f"--job-name={token}" in process.cmdline():
                return process
        except psutil.NoSuchProcess:
            continue
    return None


def in_flight(federation: Running, job: str) -> psutil.Process:
    """Wait until a job's sbatch runs; return it."""
    found: list[psutil.Process] = []

    def there() -> bool:
        run = federation.client.job(job).run
        found[:] = [p for p in [sbatch_of(run.token) if run else None] if p is not None]
        return bool(found)

    wait_for(there, PATIENCE_S, "its sbatch")
    return found[0]


# --- submissions


def test_a_controller_that_hangs_gets_each_job_once(federation: Running):
    """At one site sbatch itself gives up, at the other its client is killed: nobody knows then.

    The request lies in the controller's socket all the while, and is taken up when it goes on.
    """
    hung = [controller(federation, site) for site in ("acclab", "ftlab")]
    for daemon in hung:
        daemon.send(signal.SIGSTOP)
    given_up = federation.submit("echo ran", "-M", "acclab")
    killed = federation.submit("echo ran", "-M", "ftlab")
    in_flight(federation, killed).kill()
    began = time.monotonic()
    for job in (given_up, killed):
        federation.until(job, lambda seen: "not known yet" in seen.run.reason)  # type: ignore[union-attr]
        assert federation.marks(job) == []
    assert time.monotonic() - began > SBATCH_GIVES_UP_S - 2
    for daemon in hung:
        daemon.send(signal.SIGCONT)
    for job in (given_up, killed):
        assert federation.completed(job).run.attempt == 1  # type: ignore[union-attr]
        assert federation.output(job) == "ran\n"
        once(federation, job)


def test_without_munge_nothing_was_sent_and_it_is_tried_again(federation: Running):
    munged = federation.lab.daemon("munged")
    munged.kill()
    jobs = [federation.submit("echo ran", "-M", site) for site in federation.sites]
    for job in jobs:
        in_flight(federation, job)
    munged.start()
    for job in jobs:
        federation.completed(job)
        once(federation, job)


def test_what_a_site_refuses_goes_elsewhere(federation: Running):
    """The broker does not know yet that the partition is closed."""
    federation.client.drain("ftlab")
    plain = federation.lab.cluster("palmalab")
    do(plain, "scontrol", "update", "PartitionName=batch", "State=INACTIVE")
    try:
        job = federation.submit("echo ran", "-M", "palmalab,ftlab")
        federation.until(job, lambda seen: any(run.state.final for run in seen.runs))
    finally:
        do(plain, "scontrol", "update", "PartitionName=batch", "State=UP")
        federation.client.resume("ftlab")
    done = federation.completed(job)
    assert (done.site, once(federation, job)) == ("ftlab", "ftlab")
    assert "partition not available" in done.runs[0].reason


# --- ends


def test_a_job_over_its_time(federation: Running, struck: Struck):
    over = federation.until_in(struck.overtime, JobState.TIMEOUT)
    assert federation.output(struck.overtime).startswith("begun\n")
    assert over.run is not None
    assert over.run.reason.startswith("TIMEOUT")
    once(federation, struck.overtime)


def test_who_cancelled_at_the_site_is_told(federation: Running, struck: Struck):
    over = federation.until_in(struck.cancelled, JobState.CANCELLED)
    assert over.run is not None
    assert f"at the site by {getpass.getuser()}" in over.run.tasks[0].reason
    once(federation, struck.cancelled)


def test_a_node_that_dies_takes_its_job_with_it(federation: Running, struck: Struck):
    over = federation.until_in(struck.on_a_dead_node, JobState.NODE_FAIL)
    assert over.run is not None
    assert over.run.tasks[0].nodes.startswith("palmalab-n")
    once(federation, struck.on_a_dead_node)
