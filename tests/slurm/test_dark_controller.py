"""A site that does not answer: its queue goes elsewhere, and what runs there is left alone.

Leases are short here; a real one is fifteen minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from res_federation.client import SiteState
from res_federation.lab.daemons import wait_for
from res_federation.model.job_state import JobState
from tests.slurm.federation import PATIENCE_S, Running, once, running


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("dark") / "home"
    with running(lab, home, lease_s=8.0, margin_s=2.0) as federation:
        yield federation


def full(federation: Running, until: Path) -> list[str]:
    """Fill palmalab's three nodes until a file is there; return the jobs once they run."""
    body = f"until [ -e {until} ]; do sleep 0.2; done; echo ended"
    jobs = [federation.submit(body, "-c", "16", "-M", "palmalab") for _ in range(3)]
    for job in jobs:
        federation.until_in(job, JobState.RUNNING)
    return jobs


def queued(federation: Running, count: int) -> list[str]:
    """Queue jobs at palmalab, which is the cheapest place for them, and full."""
    jobs = [
        federation.submit("echo done", "-c", "16", "-M", "palmalab,ftlab") for _ in range(count)
    ]
    for job in jobs:
        federation.until(job, lambda seen: seen.state is not JobState.QUEUED)
    return jobs


def at_palmalab(federation: Running, jobs: list[str]) -> list[str]:
    return [job for job in jobs if federation.client.job(job).site == "palmalab"]


def test_a_dead_controllers_queue_goes_elsewhere_and_its_jobs_end_well(federation: Running):
    enough = federation.home / "enough"
    running_there = full(federation, enough)
    for site in ("ftlab", "acclab"):  # so that the queue is palmalab's while it is alive
        federation.client.drain(site)
    waiting = queued(federation, 3)
    for job in waiting:
        federation.until(job, lambda seen: seen.state is JobState.SUBMITTED)
    assert at_palmalab(federation, waiting) == waiting
    controller = federation.lab.daemon("slurmctld", federation.lab.cluster("palmalab"))
    controller.kill()
    for site in ("ftlab", "acclab"):
        federation.client.resume(site)

    for job in waiting:
        moved = federation.completed(job)
        assert moved.site == "ftlab"
        assert once(federation, job) == "ftlab"
        assert "has not answered" in moved.runs[0].reason
    wait_for(
        lambda: federation.client.site("palmalab").state is SiteState.STALE, PATIENCE_S, "STALE"
    )
    view = federation.client.site("palmalab")
    assert "slurm has not answered" in view.problem

    enough.touch()
    for job in running_there:  # their ends are in their directories, whatever Slurm knows
        ended = federation.completed(job)
        assert (ended.site, len(ended.runs)) == ("palmalab", 1)
        assert federation.output(job) == "ended\n"
        once(federation, job)

    controller.start()
    federation.until_ready("palmalab")
    cluster = federation.lab.cluster("palmalab")
    wait_for(
        lambda: not cluster.run(["squeue", "-h", "-t", "PD", "-o", "%A"]).stdout.strip(),
        PATIENCE_S, "what waited there was cancelled",
    )  # fmt: skip
    for job in waiting:
        assert once(federation, job) == "ftlab"


def test_a_silent_agents_queue_goes_elsewhere_though_its_slurm_starts_it_later(
    federation: Running,
):
    holding = full(federation, federation.home / "never")
    for site in ("ftlab", "acclab"):
        federation.client.drain(site)
    waiting = queued(federation, 2)
    for job in waiting:
        federation.until(job, lambda seen: seen.state is JobState.SUBMITTED)
    federation.disconnect("palmalab")  # as if its machine had died: Slurm goes on
    for site in ("ftlab", "acclab"):
        federation.client.resume(site)
    for job in waiting:
        moved = federation.completed(job)
        assert moved.site == "ftlab"
        assert "silent" in moved.runs[0].reason
        once(federation, job)

    cluster = federation.lab.cluster("palmalab")
    cluster.run(["scancel", "--state=RUNNING", "--user=root"])  # now Slurm starts what waited
    wait_for(
        lambda: cluster.run(["squeue", "-h", "-t", "R", "-o", "%A"]).stdout.strip() != "",
        PATIENCE_S, "the old runs start",
    )  # fmt: skip
    federation.connect("palmalab")
    federation.until_ready("palmalab")
    wait_for(
        lambda: not cluster.run(["squeue", "-h", "-o", "%A"]).stdout.strip(),
        PATIENCE_S, "the old runs end",
    )  # fmt: skip
    for job in waiting:
        assert once(federation, job) == "ftlab"
    for job in holding:
        federation.until(job, lambda seen: seen.state.final)
        once(federation, job)
