"""When jobs that wait are expected to start: the queue in the release profiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.model.capacity import FreeNodes
from res_federation.model.resources import ResourceRequest
from res_federation.placement import forecast
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.snapshot import ReleaseIn
from res_federation.placement.waiting import Waiting
from tests.builders import A100, a_job, a_row, a_snapshot, busy
from tests.strategies import examples

POLICY = named("federated")
LOOPS = [name for name, value in vars(forecast).items() if hasattr(value, "py_func")]


def cores(count: int, **fields):
    return a_job(
        fields.pop("number", 0),
        ResourceRequest(nodes=count, tasks_per_node=64),
        **({"time_limit_s": 1000} | fields),
    )


def expected(rows, jobs, asked=None):
    view = Waiting(POLICY.seed, jobs).view([job.id for job in (asked or jobs)])
    plan = place(a_snapshot(*rows), view, POLICY)
    return {one.job: one for one in plan.expected}


def starts(rows, jobs):
    found = expected(rows, jobs)
    return [found[job.id].raw_s if job.id in found else None for job in jobs]


releases = st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 3)), max_size=8)


@given(releases, st.integers(1, 12))
def test_of_a_lone_job_it_is_when_the_profile_has_enough(some, need):
    some = sorted(some)
    row = busy(
        a_row("a", nodes=12 + sum(nodes for _, nodes in some)),
        releases=tuple(ReleaseIn(float(at), float(nodes)) for at, nodes in some),
    )
    have, due = 0, float("inf")
    for at, nodes in some:
        have += nodes
        if have >= need:
            due = float(at)
            break
    assert starts([row], [cores(need)]) == [due]


def test_who_starts_now_is_told_nothing():
    assert starts([a_row("a", nodes=4)], [cores(4)]) == [None]


def test_those_before_it_come_first_and_are_not_moved():
    row = busy(a_row("a", nodes=2), releases=(ReleaseIn(100.0, 1.0), ReleaseIn(300.0, 1.0)))
    wide = cores(2, number=1, time_limit_s=50)
    narrow = cores(1, number=2, time_limit_s=1000)
    assert starts([row], [wide, narrow]) == [300.0, 350.0], "it would hold what the wide one needs"
    short = cores(1, number=3, time_limit_s=60)
    assert starts([row], [wide, short])[1] == 100.0, "it ends before"


def test_only_new_jobs_are_asked_for():
    row = busy(a_row("a", nodes=2), releases=(ReleaseIn(100.0, 2.0),))
    old, new = cores(2, number=1), cores(2, number=2)
    found = expected([row], [old, new], asked=[new])
    assert [*found] == [new.id]
    assert found[new.id].raw_s == 1100.0
    assert found[new.id].partition == "a/c/p"


def test_nothing_is_foretold_where_nobody_says_when_nodes_come_back():
    (told,) = expected([busy(a_row("a", nodes=2))], [cores(1)]).values()
    assert told.raw_s == float("inf")
    assert told.partition is None


def test_pieces_that_are_too_small_do_not_count():
    half = (FreeNodes(2, 32, 128_000, 0),)
    row = a_row("a", nodes=3, free=half, releases=(ReleaseIn(70.0, 1.0),))
    assert starts([row], [cores(1)]) == [70.0]


def test_a_job_without_accelerators_does_not_delay_one_that_has_its_own_nodes():
    plain = busy(a_row("a", nodes=2), releases=(ReleaseIn(500.0, 2.0),))
    gpus = busy(a_row("b", A100, nodes=1), releases=(ReleaseIn(100.0, 1.0),))
    many = [cores(2, number=number) for number in range(1, 6)]
    wanted = a_job(9, ResourceRequest(nodes=1, accelerators_per_node=4), time_limit_s=1000)
    told = starts([plain, gpus], [*many, wanted])
    assert told[-1] == 100.0


@settings(max_examples=examples(20))
@given(st.integers(2, 40), st.integers(1, 3))
def test_behind_those_that_are_laid_the_work_counts(count, nodes):
    """The fluid estimate of a queue of like jobs is within one job of the exact one."""
    row = busy(a_row("a", nodes=nodes), releases=(ReleaseIn(100.0, float(nodes)),))
    jobs = [cores(nodes, number=number) for number in range(1, count + 1)]
    exact = starts([row], jobs)[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("res_federation.placement.foretell.LAID", 1)
        fluid = starts([row], jobs)[-1]
    assert exact == 100.0 + (count - 1) * 1000.0
    assert abs(fluid - exact) <= 1000.0 + 0.01 * exact


@st.composite
def profiles(draw):
    rows = draw(st.integers(1, 3))
    shapes, jobs = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    laid = draw(st.integers(0, jobs))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    after = np.sort(rng.integers(0, 900, (rows, 6)).astype(float), axis=1)
    after[:, draw(st.integers(0, 6)) :] = np.inf
    return (
        np.where(rng.random((shapes, rows)) < 0.2, -1.0, rng.integers(1, 9, (shapes, rows)) / 2),
        rng.integers(0, 3, (shapes, rows)) / 4,
        rng.integers(1, 4, shapes), rng.integers(1, 4, shapes),
        rng.integers(1, 500, shapes).astype(float), rng.integers(0, shapes, jobs),
        np.array([laid]), rng.random((jobs - laid, rows)) * 1e4, rng.integers(0, 4, rows) * 1.0,
        after, rng.integers(1, 4, (rows, 6)).astype(float), rng.random(rows) * 50,
        rng.integers(4, 30, rows).astype(float),
    )  # fmt: skip


@given(profiles())
def test_the_plain_loops_say_the_same(drawn):
    compiled = forecast.expect(*drawn)
    with pytest.MonkeyPatch.context() as patch:
        for name in LOOPS:
            patch.setattr(forecast, name, getattr(forecast, name).py_func)
        plain = forecast.expect(*drawn)
    for mine, its in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_every_loop_has_its_twin():
    assert {"demands", "expect", "before", "first_in_turn", "lay", "first_fit"} <= set(LOOPS)
