"""The federation in virtual time: production's machine adds nothing, loses nothing."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from res_federation.placement.policy import Policy
from res_federation.simulator.federation import POLICIES, replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.site_models import FederationModel, machine, pool
from tests.simulator.drawn_workload import drawn
from tests.simulator.oracle import jobs_of, starts_of

NO_BOUND = Policy(max_waiting_per_partition=10**6)
THREE = FederationModel("three", (pool("b", 16), pool("a", 8), pool("c", 4)))
CHECKED = Rules(check=True)


def conserved(outcome: Outcome) -> None:
    """Assert that every job ran once, whole, where it fits, and no place held more than it has."""
    jobs, ran = outcome.workload, outcome.start >= 0
    assert (~ran).sum() == sum(outcome.left_out.values())
    assert np.array_equal(outcome.end[ran], (outcome.start + jobs.runtime)[ran])
    assert (outcome.start >= jobs.submit)[ran].all()
    assert (outcome.place >= 0).tolist() == ran.tolist()
    for place, of in enumerate(outcome.places):
        here = outcome.place == place
        at = np.concatenate([outcome.start[here], outcome.end[here]])
        change = np.concatenate([jobs.procs[here], -jobs.procs[here]])
        held = np.cumsum(change[np.lexsort((change, at))])  # at one second ends come first
        assert held.max(initial=0) <= of.processors


def digest(outcome: Outcome) -> str:
    return hashlib.sha256(outcome.place.tobytes() + outcome.start.tobytes()).hexdigest()


@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
@pytest.mark.parametrize("trace", ["micro-ties", "kth-sp2-5k"])
@pytest.mark.parametrize("policy", ["earliest-start", "slurm-federation"])
def test_one_site_without_delays_starts_every_job_when_the_bare_scheduler_does(
    trace, scheduler, policy
):
    workload = jobs_of(trace)
    outcome = replay_federation(
        workload, machine(workload.processors), scheduler=scheduler, policy=policy,
        weights=NO_BOUND, rules=Rules(check=len(workload) < 100),
    )  # fmt: skip
    assert np.array_equal(outcome.start, starts_of(trace, scheduler, workload))
    conserved(outcome)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_job_runs_once_and_no_site_holds_more_than_it_has(policy, share):
    outcome = replay_federation(
        drawn(7, 200), THREE, policy=policy, local_share=share, seed=3, rules=CHECKED
    )
    conserved(outcome)
    assert outcome.left_out == {}
    assert outcome.local.any() == (share > 0)
    assert outcome.local.all() == (share == 1)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(report_interval_s=60, check=True),
        Rules(report_interval_s=60, ends_at_once=False, check=True),
        Rules(report_interval_s=30, report_delay_s=3, order_delay_s=5, round_s=2, check=True),
        Rules(order_delay_s=40, round_interval_s=25, check=True),
        Rules(fences=False, report_delay_s=7, check=True),
    ],
)
@pytest.mark.parametrize("policy", ["federated", "least-load"])
def test_old_news_loses_nothing(policy, rules):
    outcome = replay_federation(drawn(11, 150), THREE, policy=policy, rules=rules)
    conserved(outcome)
    assert outcome.left_out == {}


def test_orders_on_their_way_make_jobs_later():
    late = replay_federation(drawn(5, 100), THREE, rules=Rules(order_delay_s=30))
    assert (late.start >= late.workload.submit + 30).all()


def test_a_job_that_fits_nowhere_is_left_out_with_its_reason():
    small = FederationModel("small", (pool("a", 4), pool("b", 2)))
    for policy in POLICIES:
        outcome = replay_federation(drawn(2, 60), small, policy=policy, rules=CHECKED)
        conserved(outcome)
        assert outcome.left_out == {"infeasible": int((outcome.workload.procs > 4).sum())}


def test_the_load_is_what_was_asked_for():
    outcome = replay_federation(drawn(2, 300), THREE, load=0.5)
    jobs = outcome.workload
    work = float((jobs.procs * jobs.runtime).sum())
    assert work / (THREE.processors * (jobs.submit[-1] - jobs.submit[0])) == pytest.approx(
        0.5, rel=0.01
    )


def test_killing_at_the_limit_ends_a_job_there():
    jobs = drawn(9, 80)
    short = np.minimum(jobs.estimate, 50)
    jobs.estimate[:] = short
    outcome = replay_federation(jobs, THREE, rules=Rules(kill=True, check=True))
    assert np.array_equal(outcome.end - outcome.start, np.minimum(jobs.runtime, short))


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.simulator.test_federation import *
for policy in ("federated", "slurm-federation", "random"):
    print(digest(replay_federation(drawn(3, 120), THREE, policy=policy, seed=4, local_share=0.3)))
"""


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed():
    root = str(Path(__file__).resolve().parents[2])
    found = set()
    for seed in ("1", "2"):
        done = run(
            [sys.executable, "-c", PROGRAM, root],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1
    again = replay_federation(drawn(3, 120), THREE, policy="random", seed=5, local_share=0.3)
    assert digest(again) not in next(iter(found))
