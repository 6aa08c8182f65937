"""Submissions whose outcome is in doubt, and ends that only Slurm can tell."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from res_federation.lab.daemons import Daemon, wait_for
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from tests.slurm.federation import PATIENCE_S, Running, once, resume_nodes, running

SBATCH_GIVES_UP_S = 10.0
"""Slurm's MessageTimeout, which sbatch waits for a controller that does not answer."""


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    with running(lab, tmp_path_factory.mktemp("outcomes") / "home") as federation:
        yield federation


@pytest.fixture(scope="module")
def overtime(federation: Running) -> str:
    """Start a job that is over its time at once; Slurm notices half a minute later."""
    job = federation.submit("echo begun; exec sleep 600", "-M", "palmalab")
    seen = federation.until_in(job, JobState.RUNNING)
    number = slurms_number(federation, seen)
    words = ["scontrol", "update", f"JobId={number}", "EndTime=now"]
    assert federation.cluster(seen).run(words).returncode == 0
    return job


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


def test_a_controller_that_hangs_gets_each_job_once(federation: Running, overtime: str):
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


def test_without_munge_nothing_was_sent_and_it_is_tried_again(federation: Running, overtime: str):
    munged = federation.lab.daemon("munged")
    munged.kill()
    jobs = [federation.submit("echo ran", "-M", site) for site in federation.sites]
    for job in jobs:
        in_flight(federation, job)
    munged.start()
    for job in jobs:
        federation.completed(job)
        once(federation, job)


def test_what_a_site_refuses_goes_elsewhere(federation: Running, overtime: str):
    """The broker does not know yet that the partition is closed."""
    federation.client.drain("ftlab")
    plain = federation.lab.cluster("palmalab")
    close = ["scontrol", "update", "PartitionName=batch", "State=INACTIVE"]
    assert plain.run(close).returncode == 0
    try:
        job = federation.submit("echo ran", "-M", "palmalab,ftlab")
        federation.until(job, lambda seen: any(run.state.final for run in seen.runs))
    finally:
        plain.run([*close[:-1], "State=UP"])
        federation.client.resume("ftlab")
    done = federation.completed(job)
    assert (done.site, once(federation, job)) == ("ftlab", "ftlab")
    assert "partition not available" in done.runs[0].reason


# --- ends


def test_a_job_over_its_time(federation: Running, overtime: str):
    over = federation.until_in(overtime, JobState.TIMEOUT)
    assert federation.output(overtime).startswith("begun\n")
    assert over.run is not None
    assert over.run.reason.startswith("TIMEOUT")
    once(federation, overtime)


def test_who_cancelled_at_the_site_is_told(federation: Running, overtime: str):
    jobs = [federation.submit("exec sleep 300", "-M", site) for site in ("acclab", "ftlab")]
    for job in jobs:
        seen = federation.until_in(job, JobState.RUNNING)
        federation.cluster(seen).run(["scancel", slurms_number(federation, seen)])
    for job in jobs:
        over = federation.until_in(job, JobState.CANCELLED)
        assert over.run is not None
        assert "at the site by " in over.run.tasks[0].reason
        once(federation, job)


def test_a_node_that_dies_takes_its_job_with_it(federation: Running, overtime: str):
    job = federation.submit("exec sleep 300", "-M", "acclab")
    seen = federation.until_in(job, JobState.RUNNING)
    assert seen.run is not None
    name = seen.run.tasks[0].nodes
    cluster = federation.cluster(seen)
    node = federation.lab.daemon(name, cluster)
    node.kill()
    words = ["scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=died"]
    assert cluster.run(words).returncode == 0
    over = federation.until_in(job, JobState.NODE_FAIL)
    assert over.run is not None
    assert over.run.tasks[0].nodes == name
    once(federation, job)
    node.start()
    wait_for(lambda: resume_nodes(cluster), PATIENCE_S, f"{name} up again")
