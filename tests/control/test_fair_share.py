"""Fair share: where the policy asks for it, who used much has a later turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from res_federation.accounting.fair_share import Usage
from res_federation.control.capacity import snapshot
from res_federation.control.history import spend
from res_federation.control.state import federation
from res_federation.model.identifiers import SiteId, run_token
from res_federation.model.job import Run
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.waiting import Waiting
from tests.builders import a_job, a_row, a_snapshot

DEFAULT = named("federated")
assert DEFAULT.late is not None
FAIR = replace(DEFAULT, late=replace(DEFAULT.late, fair_share=1.0))
WHOLE = ResourceRequest(nodes=4, cpus_per_task=64)


def of(user, number):
    job = a_job(number, WHOLE)
    return replace(job, spec=replace(job.spec, user=user))


def first(policy, shares, jobs):
    plan = place(replace(a_snapshot(a_row("uv", nodes=4)), shares=shares), jobs, policy)
    by_id = {job.id: job.spec.user for job in jobs}
    return [by_id[one.job] for one in plan.assignments]


@pytest.mark.parametrize(("policy", "user"), [(DEFAULT, "ana"), (FAIR, "ben")])
def test_who_used_much_comes_later_where_the_policy_says_so(policy, user):
    shares = {"ana": 0.1, "ben": 0.9}
    jobs = [of("ana", 1), of("ben", 2)]
    assert first(policy, shares, jobs) == [user]
    assert first(policy, shares, Waiting(0, jobs, by_user=policy is FAIR).view()) == [user]


def test_jobs_of_one_user_stay_in_their_order():
    jobs = [of("ana", 2), of("ana", 1)]
    plan = place(replace(a_snapshot(a_row("uv")), shares={"ana": 0.2}), jobs, FAIR)
    assert [one.job for one in plan.assignments] == [jobs[1].id]


def ended(user, number):
    job = of(user, number)
    token, uv = run_token(job.id, 1), SiteId("uv")
    run = Run(token, 1, a_row("uv").partition, uv, 0.0, started=0.0, ended=100.0)
    job.runs.append(run)
    job.state = JobState.COMPLETED
    return job


def test_what_ended_jobs_used_reaches_the_next_round():
    state = federation((), policy=FAIR)
    spend(state, ended("ana", 1), 100.0)
    assert state.usage == {"ana": Usage(4 * 64 * 100.0, 100.0)}
    spend(state, ended("ben", 2), 100.0)
    spend(state, ended("ben", 3), 100.0)
    shares = snapshot(state, 200.0).shares
    assert shares["ben"] < shares["ana"] < 1.0


def test_nothing_is_kept_where_the_policy_does_not_ask():
    state = federation((), policy=DEFAULT)
    spend(state, ended("ana", 1), 100.0)
    assert state.usage == {}
    assert snapshot(state, 200.0).shares == {}
