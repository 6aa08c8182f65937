"""Runs that should end before their limits: what a start is foretold by, and nothing else."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.model.resources import ResourceRequest
from res_federation.placement import early
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.row_memo import encode_rows
from res_federation.placement.snapshot import Early, ReleaseIn
from res_federation.placement.waiting import Waiting
from tests.builders import A100, CPU, a_job, a_row, a_snapshot, busy

HERE = PartitionId("a/c/p")
NODE = ResourceRequest(nodes=1, tasks_per_node=64)
POLICY = named("federated")


def known(limit: int, estimate: int) -> Job:
    return replace(a_job(1, NODE, time_limit_s=limit), estimate_s=estimate)


def test_a_run_should_end_by_its_estimate_and_then_by_half_of_what_it_took():
    assert early.early(known(1000, 200), HERE, 50.0) == Early(HERE, NODE, 950.0, 150.0)
    assert early.early(known(1000, 200), HERE, 400.0) == Early(HERE, NODE, 600.0, 200.0)


def test_of_a_run_of_which_nothing_is_known_its_limit_stands():
    assert early.early(a_job(1, NODE, time_limit_s=1000), HERE, 50.0) is None
    assert early.early(known(1000, 200), HERE, 990.0) is None, "half as long again is past it"


@pytest.mark.parametrize(
    ("request_", "shape", "worth"),
    [
        (ResourceRequest(tasks=32), CPU, 0.5),
        (ResourceRequest(nodes=3, exclusive=True), CPU, 3.0),
        (ResourceRequest(nodes=2, accelerators_per_node=2), A100, 1.0),
    ],
)
def test_what_a_run_holds_is_the_scarcest_of_a_node(request_, shape, worth):
    assert early.nodes_worth(request_, shape) == worth


runs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=6)


@given(runs)
def test_nothing_is_lost_and_nothing_is_made(some):
    row = busy(
        a_row("a", nodes=20),
        releases=tuple(ReleaseIn(1000.0 + 100 * number, 2.0) for number in range(10)),
    )
    rows = encode_rows(a_snapshot(row), POLICY)
    told = [Early(HERE, NODE, 1000.0 + 100 * at, float(soon)) for at, soon in some]
    after, worth = early.expected_releases(rows, told)
    assert worth.sum() == rows.release_nodes.sum()
    assert (np.diff(after[0][np.isfinite(after[0])]) >= 0).all()
    for moment in range(0, 2500, 50):  # never later than if all took their limits
        limits = rows.release_nodes[0][rows.release_after[0] <= moment].sum()
        assert worth[0][after[0] <= moment].sum() >= limits
    plain = vars(early)["moved"].py_func
    if told:
        row_, limit, soon = (
            np.zeros(len(told), np.int64),
            *np.array([one[2:] for one in told]).T.copy(),
        )
        args = (rows.release_after, rows.release_nodes, row_, limit, soon, np.ones(len(told)))
        for mine, its in zip(early.moved(*args), plain(*args), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_a_start_is_foretold_by_both_and_places_are_kept_by_limits():
    row = busy(a_row("a", nodes=1), releases=(ReleaseIn(1000.0, 1.0),))
    waits = replace(a_job(2, NODE, time_limit_s=100))
    snapshot = replace(a_snapshot(row), early=(Early(HERE, NODE, 1000.0, 150.0),))
    plan = place(snapshot, Waiting(0, [waits]).view([waits.id]), POLICY)
    (told,) = plan.expected
    assert (told.raw_s, told.near_s) == (1000.0, 150.0)
    assert plan == place(a_snapshot(row), [waits], POLICY)


def test_who_runs_is_told_when_somebody_asks_and_goes_to_others_without_jobs():
    soon, never = known(1000, 200), a_job(2, NODE, time_limit_s=1000)
    running = early.Running([(soon, HERE, 50.0), (never, HERE, 50.0)])
    told = (Early(HERE, NODE, 950.0, 150.0),)
    assert running == told
    assert (len(running), running[0], running[:]) == (1, told[0], told)
    assert hash(running) == hash(told)
    packed = pickle.dumps(running)
    assert pickle.loads(packed) == told
    assert soon.id.encode() not in packed
