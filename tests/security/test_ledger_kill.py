"""Kill -9 of the broker at random amid two projects' jobs: the ledger sums to what ran."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.accounting.books import AVAILABLE, RESERVED, USED, of_grant, of_pool
from res_federation.accounting.compare import used_by_run
from res_federation.accounting.ledger import Entry
from res_federation.accounting.records import Grant, Pool, PoolKind, Project
from res_federation.client import Federation, job_from_script
from res_federation.model.job import Job, JobSpec
from tests.journeys.running import Up, until, up

JOBS = int(os.environ.get("RESFED_LEDGER_JOBS", "40"))
KILLS = int(os.environ.get("RESFED_LEDGER_KILLS", "2"))
SEED = int(os.environ.get("RESFED_LEDGER_SEED", "1"))
"""`make ledger-campaign` takes a thousand jobs and twenty kills."""
HOUR = 3600
PROJECTS = {"fusion": "iac", "climate": "csuc"}
OPTIONS = (
    ("-t", "1"), ("-t", "1", "-c", "4"), ("-t", "2", "-a", "1-3"), ("-t", "1", "-n", "3"),
)  # fmt: skip
SCRIPTS = ("#!/bin/sh\nsleep 0.2\n", "#!/bin/sh\nsleep 1.3\n", "#!/bin/sh\nsleep 0.1\nexit 3\n")


def found_projects(federation: Up) -> None:
    """Make two projects whose grants, on named machines, pay for all that they submit."""
    begins, ends = time.time() - HOUR, time.time() + 90 * 24 * HOUR
    with Federation(federation.address) as client:
        books = client.accounting
        books.save_pool(Pool("res", PoolKind.RES))
        for project, home in PROJECTS.items():
            books.save_project(Project(project, home=home))
            for machine in ("csuc", "iac"):
                grant = Grant(f"{project}-{machine}", project, "res", machine, begins, ends,
                              5000 * HOUR, 10 * HOUR)  # fmt: skip
                books.save_grant(grant)


def submit_and_kill(federation: Up, draw: random.Random) -> dict[str, JobSpec]:
    """Submit jobs of both projects, and kill the broker at random moments in between."""
    jobs: dict[str, JobSpec] = {}
    moments = set(draw.sample(range(5, JOBS), KILLS))
    names = [*PROJECTS]
    with Federation(federation.address, patience_s=60) as client:
        for number in range(JOBS):
            spec = job_from_script(draw.choice(SCRIPTS), options=draw.choice(OPTIONS))
            spec = replace(spec, project=names[number % 2])
            job = client.submit(spec).id
            jobs[job] = spec
            if number % 17 == 3:
                client.cancel(job)
            if number in moments:
                time.sleep(draw.random())
                until(lambda: federation.kill("broker", "serve"))
    return jobs


def balanced(entries: list[Entry]) -> Counter[tuple[str, str]]:
    """Check that nothing is missing and everything balances; return what is in each account."""
    assert [one.number for one in entries] == [*range(1, len(entries) + 1)]
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for unit in ("core_s", "accelerator_s", "units"):
            assert sum(getattr(one, unit) for one in entry.lines) == 0
            for one in entry.lines:
                found[one.account, unit] += getattr(one, unit)
    return found


def ran(job: Job, cores: int) -> int:
    """Return the core-seconds that the tasks of a job's runs held, each rounded up."""
    return sum(
        cores * -int(-(task.ended - task.started) // 1)
        for run in job.runs
        for task in run.tasks
        if task.started is not None and task.ended is not None
    )


@pytest.mark.slow
def test_the_ledger_sums_to_what_ran_to_the_second(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    with up(tmp_path / "home", "csuc,iac") as federation:
        found_projects(federation)
        jobs = submit_and_kill(federation, draw)
        until(lambda: federation.children("broker", "serve"))
        with Federation(federation.address, patience_s=60) as client:
            ended = client.wait(jobs, timeout=60 + JOBS)
            entries = [*client.accounting.entries()]
            grants = {one.grant.id: one for one in client.accounting.grants()}
            exchange = client.accounting.exchange()
    states = Counter(str(job.state) for job in ended)
    assert all(job.state.final for job in ended), states
    assert states["COMPLETED"] > JOBS // 4
    assert states["LOST"] == 0

    accounts = balanced(entries)
    used = used_by_run(entries)
    totals: Counter[str] = Counter()
    for job in ended:
        request = jobs[job.id].request
        cores = (request.tasks or 1) * request.cpus_per_task
        for run in job.runs:
            assert run.token in used, f"{run.token} was never settled"
        assert sum(used[run.token][0] for run in job.runs) == ran(job, cores), job
        totals[jobs[job.id].project] += ran(job, cores)
    posted = Counter(entry.run for entry in entries if entry.run)
    assert set(posted.values()) == {2}, "each run is reserved once and settled once"
    for name, project in ((name, name.split("-")[0]) for name in grants if "-" in name):
        view = grants[name]
        assert accounts[of_grant(name, RESERVED), "core_s"] == 0 == view.reserved[0]
        assert accounts[of_grant(name, USED), "core_s"] == view.used[0]
        assert accounts[of_grant(name, AVAILABLE), "core_s"] == view.available[0]
        assert view.used[0] + view.available[0] == 5000 * HOUR
        totals[project] -= view.used[0]
    assert not any(totals.values()), f"the projects' grants do not sum to what ran: {totals}"
    assert accounts[of_pool("res"), "core_s"] == -4 * 5000 * HOUR
    assert sum(exchange.values()) == 0
    assert any(exchange.values()), "each ran at the other's machine"
