"""When nodes come back: as reported, as this round itself holds them, or nobody knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.capacity import FreeNodes
from res_federation.model.plan import Assignment
from res_federation.model.resources import ResourceRequest
from res_federation.placement import kernels
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import ReleaseIn
from tests.builders import a_job, a_row, a_snapshot, answers, busy

POLICY = Policy()
WHOLE = ResourceRequest(nodes=1, tasks_per_node=64)


def _starts_in(row, *jobs) -> list[float]:
    found = answers(place(a_snapshot(row), jobs, POLICY))
    return [
        one.expected_start_s
        for one in (found[job.id] for job in jobs)
        if isinstance(one, Assignment)
    ]


def test_what_begins_in_this_round_is_expected_back_at_its_limit():
    first = a_job(0, WHOLE, time_limit_s=900)
    assert _starts_in(a_row("bsc", nodes=1), first, a_job(1, WHOLE)) == [0, 900]


def test_the_shortest_of_this_rounds_jobs_comes_back_first():
    long, short = (a_job(n, WHOLE, time_limit_s=limit) for n, limit in ((0, 9000), (1, 300)))
    assert _starts_in(a_row("bsc", nodes=2), long, short, a_job(2, WHOLE)) == [0, 0, 300]


def test_nodes_of_which_nobody_says_when_they_come_back_are_not_free_at_once():
    row = busy(a_row("bsc", nodes=2))
    assert _starts_in(row, a_job(0, WHOLE)) == [POLICY.unknown_release_s]
    late = replace(row, releases=(ReleaseIn(5000.0, 0.5),))
    assert _starts_in(late, a_job(0, WHOLE)) == [5000]


def test_a_node_of_which_a_part_is_free_is_whole_when_the_rest_is_released():
    row = a_row(
        "bsc", nodes=1, free=(FreeNodes(1, 16, 64_000, 0),), releases=(ReleaseIn(40.0, 0.75),)
    )
    assert _starts_in(row, a_job(0, WHOLE)) == [40]


releases = st.lists(
    st.tuples(st.integers(0, 50).map(float), st.integers(1, 4).map(float)), max_size=12
)


@given(releases, st.integers(1, 6))
def test_a_profile_stays_in_order_and_never_promises_too_early(added, size):
    after, worth = np.full(size, np.inf), np.zeros(size)
    for at, nodes in added:
        kernels.add_release(after, worth, at, nodes)
    assert (np.diff(after[np.isfinite(after)]) > 0).all()
    assert worth.sum() == sum(nodes for _, nodes in added)
    for moment in range(51):
        promised = worth[after <= moment].sum()
        assert promised <= sum(nodes for at, nodes in added if at <= moment)
    if len({at for at, _ in added}) <= size:
        assert dict(zip(after.tolist(), worth.tolist(), strict=True)).keys() >= {
            at for at, _ in added
        }
