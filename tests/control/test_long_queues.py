"""A queue longer than a round: after a change all of it is seen, once, and nobody starves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.control.effects import RunRound
from res_federation.control.events import JobSubmitted, PlanReady, Ticked
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, Terms, federation
from res_federation.model.identifiers import JobId, new_job_id
from res_federation.model.job import JobSpec
from res_federation.placement.engine import place
from res_federation.placement.policies import NAMES, named
from res_federation.placement.policy import Policy
from tests.control.test_fences import member
from tests.strategies import examples

MOST = 3


class Queue:
    """A federation whose only site is away: every job is held."""

    def __init__(self, policy: Policy | None = None) -> None:
        terms = Terms(round_jobs=MOST, round_interval_s=0.0)
        self.state: FederationState = federation((member("a"),), terms=terms, policy=policy)
        self.at = 1000.0
        self.rounds: list[list[JobId]] = []
        self.count = 0

    def do(self, event: JobSubmitted | Ticked) -> None:
        effects = handle(self.state, event)
        while effects:
            asked = [effect for effect in effects if isinstance(effect, RunRound)]
            effects = []
            for effect in asked:
                self.rounds.append([job.id for job in effect.jobs])
                assert len(effect.jobs) <= MOST or self.state.policy.late is not None
                assert len(self.rounds) < 200, "rounds without end"
                plan = place(effect.snapshot, effect.jobs, self.state.policy)
                effects += handle(self.state, PlanReady(self.at, plan))
        self.state.check()

    def submit(self) -> JobId:
        self.count += 1
        self.at += 1
        job = new_job_id(int(self.at * 1000), self.count.to_bytes(10, "big"))
        self.do(JobSubmitted(self.at, job, JobSpec("j", "u", "#!/bin/sh\n")))
        return job

    def change(self) -> None:
        self.state.version += 1
        self.at += 1
        self.do(Ticked(self.at))


@pytest.mark.parametrize("name", NAMES)
@given(jobs=st.integers(1, 20))
@settings(max_examples=examples(20), deadline=None)
def test_after_a_change_every_held_job_is_seen_once(name: str, jobs: int) -> None:
    queue = Queue(named(name))
    held = {queue.submit() for _ in range(jobs)}
    assert set(queue.state.held) == held
    queue.rounds.clear()
    queue.change()
    seen = [job for one in queue.rounds for job in one]
    assert sorted(seen) == sorted(held)
    rounds = 1 if queue.state.policy.late is not None else -(-jobs // MOST)
    assert len(queue.rounds) == rounds, "by class all are seen in one"


@given(jobs=st.integers(MOST, 20))
@settings(max_examples=examples(20), deadline=None)
def test_a_new_job_is_in_the_next_round_however_long_the_queue(jobs: int) -> None:
    queue = Queue()
    for _ in range(jobs):
        queue.submit()
    queue.rounds.clear()
    queue.state.version += 1
    assert queue.submit() in queue.rounds[0]


def test_a_held_job_is_seen_though_new_ones_never_stop() -> None:
    queue = Queue()
    held = [queue.submit() for _ in range(10)]
    queue.rounds.clear()
    for _ in range(10):
        queue.state.version += 1
        queue.submit()
    seen = {job for one in queue.rounds for job in one}
    assert set(held) <= seen
