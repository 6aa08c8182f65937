"""Terms: seconds by name, never above their cap, in the order that the defaults promise."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement.engine import place
from res_federation.placement.explain import explain
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy, Weight
from res_federation.placement.row_memo import encode_rows
from res_federation.placement.shapes import encode_jobs
from res_federation.placement.terms import (
    STATIC,
    TERMS,
    Considered,
    of_queue,
    run_factor,
    static_cost,
    static_terms,
)
from res_federation.topology.distances import Distance, DistanceTable, Moving
from tests.builders import A100, CPU, H100, a_job, a_row, a_snapshot
from tests.placement.drawn import queues, snapshots

LATE = named("federated")
V100 = NodeShape(40, 192_000, "nvidia-v100-16gb", 2, 16_384)
K80 = NodeShape(40, 192_000, "nvidia-k80-12gb", 2, 12_288)
ANY = ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=1)


def considered(snapshot, *jobs, policy=LATE) -> Considered:
    rows = encode_rows(snapshot, policy)
    return of_queue(rows, encode_jobs(jobs, rows, snapshot.distances, policy), snapshot, policy)


def told(snapshot, job, policy=LATE):
    """Return what each partition's site gets, by term, without what says nothing."""
    of = considered(snapshot, job, policy=policy)
    found = static_terms(of)[0]
    return {
        row.partition.split("/")[0]: {
            name: float(value) for name, value in zip(STATIC, values, strict=True) if value
        }
        for row, values in zip(of.rows.rows, found, strict=True)
    }


def cheapest(snapshot, job, policy=LATE):
    of = considered(snapshot, job, policy=policy)
    order = np.argsort(static_cost(of)[0], kind="stable")
    return [of.rows.rows[place].partition.split("/")[0] for place in order]


def with_weight(policy: Policy, term: str, weight: Weight) -> Policy:
    return replace(policy, weights=replace(policy.weights, **{term: weight}))


@given(snapshots(), queues)
def test_terms_are_finite_seconds_within_their_caps_and_their_sum_is_the_cost(snapshot, jobs):
    for policy in (LATE, named("earliest-start")):
        for each in fields(policy.weights):
            policy = with_weight(policy, each.name, Weight(7.0, 1000.0))  # noqa: PLW2901
        of = considered(snapshot, *jobs, policy=policy)
        found = static_terms(of)
        assert found.shape == (*of.zeros.shape, len(STATIC))
        known = np.nan_to_num(found)
        assert np.isfinite(known).all()
        for number, name in enumerate(TERMS):
            cap = 3600.0 if name == "idle_accelerator_s" else 1000.0
            assert (np.abs(known[:, :, number]) <= cap).all(), name
        assert static_cost(of) == pytest.approx(known.sum(axis=2), abs=1e-5)


def test_without_accelerators_the_smallest_cluster_comes_first_and_accelerated_ones_last():
    rows = (
        a_row("bsc", nodes=6000), a_row("uv", nodes=3), a_row("uam", nodes=2),
        a_row("upm", V100, nodes=1), a_row("csuc", H100, nodes=1),
    )  # fmt: skip
    assert cheapest(a_snapshot(*rows), a_job(0)) == ["uam", "uv", "bsc", "upm", "csuc"]
    assert told(a_snapshot(*rows), a_job(0))["uv"] == {"size_s": pytest.approx(0.192)}


def test_one_core_more_is_enough():
    near = [a_row(f"s{nodes}", NodeShape(1, 1000), nodes=nodes) for nodes in (727_000, 726_999)]
    assert cheapest(a_snapshot(*near), a_job(0)) == ["s726999", "s727000"]


def test_the_least_accelerator_that_will_do_comes_first_and_one_far_too_slow_last():
    rows = (a_row("bsc", H100), a_row("cesga", A100), a_row("uc", V100), a_row("uma", K80))
    snapshot = a_snapshot(*rows)
    assert cheapest(snapshot, a_job(0, ANY)) == ["uc", "cesga", "bsc", "uma"]
    seconds = told(snapshot, a_job(0, ANY))
    assert seconds["bsc"]["scarcity_s"] - seconds["uc"]["scarcity_s"] == 2 * 3600
    assert seconds["uma"]["slow_s"] > 86_400
    one = replace(ANY, accelerator=AcceleratorNeed("h100"))
    assert "scarcity_s" not in told(snapshot, a_job(0, one))["bsc"]


def test_a_job_goes_where_its_data_is_unless_an_accelerator_is_dearer():
    network = DistanceTable({("csuc", "uv"): Distance(1.0, 5.0), ("csuc", "bsc"): Distance(0.1, 1)})
    rows = (a_row("csuc", nodes=100), a_row("uv", nodes=2), a_row("bsc", nodes=2))
    snapshot = a_snapshot(*rows, distances=network)
    assert cheapest(snapshot, a_job(0, input_mib=10_000, input_site="csuc")) == [
        "csuc",
        "uv",
        "bsc",
    ]


def test_what_is_in_flight_makes_a_transfer_dearer():
    network = DistanceTable({("csuc", "uv"): Distance(1.0, 5.0)})
    snapshot = a_snapshot(a_row("csuc"), a_row("uv"), distances=network)
    job = a_job(0, input_mib=10_000, input_site="csuc")
    alone = told(snapshot, job)["uv"]["transfer_s"]
    busy = replace(snapshot, moving=(Moving("csuc", "uv", 50_000),))
    assert told(busy, job)["uv"]["transfer_s"] == pytest.approx(2 * alone, rel=0.01)


def test_what_was_observed_of_a_project_overrides_the_table():
    snapshot = a_snapshot(a_row("cesga", A100), a_row("csuc", H100))
    job = a_job(0, ANY)
    assert run_factor(considered(snapshot, job)).tolist() == [[1.0, 0.5]]
    seen = replace(snapshot, factors={("p7", "h100"): 4.0})
    paid = replace(job, spec=replace(job.spec, account="p7"))
    assert run_factor(considered(seen, job, paid)).tolist() == [[1.0, 0.5], [1.0, 0.25]]


def test_carbon_is_energy_times_grid_and_unknown_where_either_is():
    policy = with_weight(LATE, "carbon", Weight(10.0, 3600.0))
    rows = (
        a_row("bsc", node_watts=1000.0, grams_per_kwh=100.0),
        a_row("csuc", grams_per_kwh=100.0),
    )
    job = a_job(0, ResourceRequest(nodes=2, cpus_per_task=32), time_limit_s=36_000)
    found = told(a_snapshot(*rows), job, policy)
    assert found["bsc"]["carbon_s"] == pytest.approx(10.0)  # two halves of a kW for 10 h: 1 kg
    assert np.isnan(found["csuc"]["carbon_s"])
    cost = static_cost(considered(a_snapshot(*rows), job, policy=policy))
    assert np.isfinite(cost).all()


def test_a_member_that_gave_much_is_spared_and_one_with_a_queue_too():
    policy = with_weight(LATE, "parity", Weight(60.0, 900.0))
    policy = with_weight(policy, "pressure", Weight(0.5, 3600.0))
    snapshot = a_snapshot(a_row("bsc"), a_row("uv", backlog_node_s=4 * 100.0))
    snapshot = replace(snapshot, parity={"bsc": 2000.0, "uv": -50_000.0})
    found = told(snapshot, a_job(0), policy)
    assert found["bsc"]["parity_s"] == 120.0
    assert found["uv"]["parity_s"] == -900.0
    assert found["uv"]["pressure_s"] == 50.0


def test_a_policy_that_sends_at_once_ranks_by_completion():
    snapshot = a_snapshot(a_row("bsc", H100), a_row("uv", CPU, nodes=9))
    found = told(snapshot, a_job(0), named("earliest-start"))
    assert found == {"bsc": {"idle_accelerator_s": 3600.0}, "uv": {}}


@pytest.mark.parametrize("base", ["earliest-start", "federated"])
def test_every_term_that_counts_is_told_and_adds_up_to_the_margin(base):
    policy = with_weight(named(base), "pressure", Weight(0.5, 3600.0))
    policy = with_weight(policy, "carbon", Weight(10.0, 3600.0))
    rows = (
        a_row("bsc", node_watts=1000.0, grams_per_kwh=100.0),
        a_row("uv", backlog_node_s=4 * 100.0, node_watts=500.0, grams_per_kwh=100.0),
        a_row("upm"),
    )
    job = a_job(0, ResourceRequest(nodes=2, cpus_per_task=64), time_limit_s=36_000)
    plan = place(a_snapshot(*rows), (job,), policy)
    told = explain(job.id, bytes(plan.assignments[0].decision), plan.frame, 0.0)
    by_site = {one.partition.split("/")[0]: dict(one.terms) for one in told.candidates}
    assert by_site["bsc"]["carbon_s"] == pytest.approx(20.0)
    assert by_site["uv"]["pressure_s"] == 50.0
    assert "carbon_s" not in by_site["upm"]
    best, second = (sum(dict(one.terms).values()) for one in told.candidates[:2])
    assert told.candidates[0].partition == told.chosen == "upm/c/p"
    assert told.margin_s == pytest.approx(second - best, abs=0.01)
    assert all(one.feasible for one in told.candidates)
