"""Whatever happens to a site, no job is lost and none begins twice."""

from __future__ import annotations

import pytest

from res_federation.errors import InvalidArgument
from res_federation.simulator.disturbances import Disturbance, Kind
from res_federation.simulator.federation import COPIES, POLICIES, replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.site_models import FederationModel, pool
from tests.simulator.drawn_workload import drawn
from tests.simulator.test_federation import conserved

THREE = FederationModel("three", (pool("a", 16), pool("b", 16), pool("c", 8)))
CHECKED = Rules(check=True)


@pytest.mark.parametrize(
    "policy", ["federated", "earliest-start", "slurm-federation", "least-load"]
)
@pytest.mark.parametrize("seed", range(3))
def test_all_at_once(policy, seed):
    events = (
        Disturbance(Kind.SILENCE, "a", 300, 2500),
        Disturbance(Kind.DRAIN, "b", 500, 700),
        Disturbance(Kind.NODES, "b", 200, 900, nodes=10),
        Disturbance(Kind.MAINTENANCE, "c", 600, 800, partition="pool"),
        Disturbance(Kind.MAINTENANCE, "c", 1000, 1100),
    )
    outcome = replay_federation(
        drawn(seed, 250), THREE, policy=policy, local_share=0.2, seed=1,
        rules=Rules(report_interval_s=20, order_delay_s=1, check=True), events=events,
    )  # fmt: skip
    conserved(outcome)
    assert outcome.left_out == {}
    jobs, there = outcome.workload, outcome.place == 2
    for start, end in ((600, 800), (1000, 1100)):
        # a fenced one begins a second after its nodes were given, and nobody kills it here
        reaches = outcome.end - int(policy == "federated") > start
        assert not (there & (outcome.start < end) & reaches).any(), "maintained"
    assert (there & (outcome.start < 600) & (jobs.estimate > 0)).any()


def test_a_silent_site_takes_nothing_new_and_gives_back_what_has_not_begun():
    jobs = drawn(4, 400)
    quiet = Disturbance(Kind.SILENCE, "a", 200, 3000)
    outcome = replay_federation(jobs, THREE, rules=CHECKED, events=(quiet,))
    conserved(outcome)
    assert outcome.left_out == {}
    there = (outcome.place == 0) & (outcome.start < 3000)
    assert not (there & (outcome.workload.submit > 200)).any()
    assert not (there & (outcome.start > 200 + 900)).any()


def test_a_crash_ends_what_runs_and_nothing_begins_until_the_nodes_are_back():
    crash = Disturbance(Kind.CRASH, "a", 400, 1400)
    outcome = replay_federation(drawn(8, 150, gap=20), THREE, rules=CHECKED, events=(crash,))
    hit = (outcome.place == 0) & (outcome.start < 400) & (outcome.end == 400)
    short = outcome.end - outcome.start < outcome.workload.runtime
    assert hit.any()
    assert not (short & ~hit).any()
    assert not ((outcome.place == 0) & (outcome.start > 400) & (outcome.start < 1400)).any()
    assert (outcome.start >= 0).all()


def test_a_drained_site_takes_no_jobs_of_the_federation():
    away = Disturbance(Kind.DRAIN, "a", 0, 10**7)
    for policy in POLICIES:
        if policy not in COPIES:  # they have no operator
            outcome = replay_federation(
                drawn(5, 80), THREE, policy=policy, rules=CHECKED, events=(away,)
            )
            assert not (outcome.place == 0).any()
            assert outcome.left_out == {}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Disturbance(Kind.DRAIN, "x", 0, 9), "no site 'x'"),
        (Disturbance(Kind.NODES, "a", 0, 9, partition="q"), "no partition 'q'"),
        (Disturbance(Kind.CRASH, "a", 9, 9), "ends before it begins"),
    ],
)
def test_faults_are_named(event, told):
    with pytest.raises(InvalidArgument, match=told):
        replay_federation(drawn(1, 5), THREE, events=(event,))
