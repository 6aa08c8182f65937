"""Lists hold what one may see and no more; accounts of machines outlive the broker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from res_federation.model.identifiers import SiteId
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from res_federation.model.machine_account import MachineAccount
from res_federation.model.visible import EVERYTHING, Visible
from res_federation.store.filters import JobFilter, parse_filter
from res_federation.store.store import Store
from tests.store.making import Log, a_job, a_run

CSUC = frozenset({SiteId("csuc")})


def job_of(number: int, user: str, project: str, site: str = "") -> Job:
    job = a_job(number, user=user)
    job.spec = replace(job.spec, project=project)
    if site:
        job.runs = [a_run(job, site, JobState.RUNNING)]
    return job


@pytest.fixture
async def filled(store: Store) -> Store:
    jobs = [
        job_of(1, "ana@people", "p"), job_of(2, "bea@people", "p", "csuc"),
        job_of(3, "eva@people", "q", "csuc"), job_of(4, "ana@people", "q", "iac"),
        job_of(5, "ana@others", ""),
    ]  # fmt: skip
    await store.commit(Log().submit(*jobs))
    return store


@pytest.mark.parametrize(
    ("seen", "text", "expected"),
    [
        (EVERYTHING, "", [5, 4, 3, 2, 1]),
        (Visible(), "", []),
        (Visible(user="ana@people"), "", [4, 1]),
        (Visible(user="ana@people", projects=frozenset({"p"})), "", [4, 2, 1]),
        (Visible(user="ana@people", projects=frozenset({"p"})), "user=eva@people", []),
        (Visible(user="ana@people", projects=frozenset({"p"})), "user=bea@people", [2]),
        (Visible(projects=frozenset({"q"})), "active=true", [4, 3]),
        (Visible(projects=frozenset({"' OR 1=1 --"})), "", []),
        (Visible(sites=CSUC), "", [3, 2]),
        (Visible(sites=CSUC), "user=eva@people", []),
        (Visible(sites=CSUC, projects=frozenset({"q"})), "user=eva@people", [3]),
        (Visible(anonymised=True), "", [5, 4, 3, 2, 1]),
        (Visible(anonymised=True), "site=csuc", [3, 2]),
        (Visible(anonymised=True), "user=eva@people", []),
        (Visible(anonymised=True, user="ana@people"), "user=ana@people", [4, 1]),
        (EVERYTHING, "project=q", [4, 3]),
        (Visible(anonymised=True), "project=q", []),
    ],
)
async def test_a_list_holds_what_one_may_see(filled: Store, seen, text, expected):
    found, token = await filled.jobs(parse_filter(text), 100, "", seen)
    assert [int(job.submitted) for job in found] == expected
    assert token == ""


async def test_a_page_is_as_full_as_if_nothing_else_were_there(filled: Store):
    seen = Visible(user="ana@people")
    first, token = await filled.jobs(JobFilter(), 1, "", seen)
    second, end = await filled.jobs(JobFilter(), 1, token, seen)
    assert [job.spec.project for job in (*first, *second)] == ["q", "p"]
    assert end == ""


async def test_an_account_of_a_machine_is_there_again(store: Store, url: str):
    robot = MachineAccount(
        "ci-abc", b"d" * 32, "ci", "p", ("read", "submit"), "ana@people", 10.0, 99.5
    )
    await store.machine_accounts.add(robot)
    await store.machine_accounts.revoke("ci-abc", 50.0)
    await store.machine_accounts.revoke("ci-abc", 60.0)
    await store.close()
    again = await Store.open(url)
    try:
        assert await again.machine_accounts.all() == [replace(robot, revoked=50.0)]
    finally:
        await again.close()
