"""What a user's ended jobs tell of how long the next one runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.control.events import JobSubmitted
from res_federation.control.history import KEPT, estimate, learn
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, federation
from res_federation.model.identifiers import PartitionId, SiteId, new_job_id, run_token
from res_federation.model.job import Job, JobSpec, Run, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.placement.order import run_estimate
from res_federation.placement.policies import named
from tests.builders import a_job
from tests.control.test_fences import member

WHERE, SITE = PartitionId("a/c/p"), SiteId("a")
RATIOS = st.lists(st.floats(0, 1), max_size=12)


def ended(state: FederationState, ran: float, state_at_end: JobState = JobState.COMPLETED) -> None:
    job = a_job(time_limit_s=1000)
    run = Run(
        run_token(job.id, 1), 1, WHERE, SITE, 0.0, state=state_at_end, started=10.0,
        ended=10.0 + ran,
    )  # fmt: skip
    job.runs.append(run)
    job.state = state_at_end
    learn(state, job)


def submit(state: FederationState, limit: int = 1000) -> Job:
    number = len(state.jobs) + 1
    job = new_job_id(1_000_000 + number, number.to_bytes(10, "big"))
    handle(state, JobSubmitted(50.0, job, JobSpec("j", "ana", "", time_limit_s=limit)))
    return state.jobs[job]


def fresh(history: int = 5) -> FederationState:
    policy = named("federated")
    assert policy.late is not None
    object.__setattr__(policy.late, "history", history)
    return federation((member("a"),), policy=policy)


@given(limit=st.integers(1, 10**7), ratios=RATIOS, newest=st.integers(0, 8))
def test_it_is_at_least_a_second_and_at_most_the_limit(
    limit: int, ratios: list[float], newest: int
):
    assert 1 <= estimate(limit, ratios, newest) <= limit


@given(limit=st.integers(1, 10**6), ratios=RATIOS.filter(lambda some: len(some) >= 5))
def test_it_covers_each_of_the_jobs_that_it_looks_at(limit: int, ratios: list[float]):
    found = estimate(limit, ratios, 5)
    assert all(found >= min(limit, limit * one) for one in ratios[-5:])


def test_two_jobs_tell_nothing_and_three_do():
    state = fresh()
    ended(state, 100.0)
    ended(state, 200.0)
    assert run_estimate(submit(state)) == 1000
    ended(state, 50.0)
    assert run_estimate(submit(state)) == 200
    assert run_estimate(submit(state, 60)) == 12


def test_the_sixth_job_back_is_forgotten():
    state = fresh()
    ended(state, 900.0)
    for _ in range(5):
        ended(state, 100.0)
    assert submit(state).estimate_s == 100


def test_it_is_fixed_at_submission():
    state = fresh()
    job = submit(state)
    for _ in range(5):
        ended(state, 100.0)
    assert run_estimate(job) == 1000


def test_none_of_it_without_history_in_the_policy():
    state = fresh(0)
    for _ in range(5):
        ended(state, 100.0)
    assert run_estimate(submit(state)) == 1000


@pytest.mark.parametrize("end", [JobState.CANCELLED, JobState.LOST, JobState.NODE_FAIL])
def test_a_job_that_might_have_run_on_tells_nothing(end: JobState):
    state = fresh()
    for _ in range(5):
        ended(state, 100.0, end)
    assert not state.history


def test_a_job_that_ran_past_its_limit_counts_as_its_limit():
    state = fresh()
    for _ in range(3):
        ended(state, 1007.0, JobState.TIMEOUT)
    assert submit(state).estimate_s == 1000


def test_of_an_array_the_longest_task_counts():
    state, job = fresh(), a_job(time_limit_s=1000, array=(0, 1))
    tasks = tuple(
        TaskOutcome(number, JobState.COMPLETED, started=at, ended=at + length)
        for number, at, length in ((0, 0.0, 100.0), (1, 500.0, 300.0))
    )
    run = Run(
        run_token(job.id, 1),
        1,
        PartitionId("a/c/p"),
        SiteId("a"),
        0.0,
        started=0.0,
        ended=800.0,
        tasks=tasks,
    )
    job.runs.append(run)
    job.state = JobState.COMPLETED
    assert learn(state, job) == (0.3,)


def test_little_is_kept_of_a_user():
    state = fresh()
    for _ in range(3 * KEPT):
        ended(state, 100.0)
    assert len(state.history["ana"]) == KEPT


def test_a_job_of_which_nothing_is_known_runs_for_its_limit():
    assert run_estimate(a_job(time_limit_s=77)) == 77
