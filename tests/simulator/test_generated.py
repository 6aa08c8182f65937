"""Generated workloads: the seed settles them, and they look like what users do."""

from __future__ import annotations

import numpy as np
import pytest

from res_federation.simulator.compare_cells import jobs_sha256
from res_federation.simulator.generated import ROUND_LIMITS_S, Mix, generate, merged

WEEK = 7 * 86400


def test_the_seed_settles_every_draw():
    one, same, other = (
        generate(Mix("a"), seed=seed, begin=0, end=WEEK, jobs=500) for seed in ([1], [1], [2])
    )
    assert jobs_sha256(one) == jobs_sha256(same) != jobs_sha256(other)


def test_it_asks_for_the_work_that_is_wanted():
    work = 5e8
    drawn = generate(Mix("a", largest=64), seed=[3], begin=0, end=WEEK, work=work)
    areas = drawn.procs * drawn.runtime
    assert areas[:-1].sum() < areas.sum()
    assert work <= areas.sum() < work + areas.max()


def test_jobs_are_ones_that_a_batch_system_takes():
    mix = Mix("a", smallest=3, largest=500, longest_s=100_000)
    drawn = generate(mix, seed=[4], begin=1000, end=1000 + WEEK, jobs=5000)
    assert drawn.submit.min() >= 1000
    assert drawn.submit.max() < 1000 + WEEK
    assert (np.diff(drawn.submit) >= 0).all()
    assert (drawn.runtime >= 1).all()
    assert (drawn.estimate >= drawn.runtime).all()
    assert set(drawn.estimate.tolist()) <= {*ROUND_LIMITS_S, mix.longest_s}
    assert drawn.procs.min() >= 3
    assert drawn.procs.max() <= 500


def test_days_are_busier_than_nights_and_weekends():
    drawn = generate(Mix("a", day=4.0, weekend=0.4), seed=[5], begin=0, end=4 * WEEK, jobs=40_000)
    hour = drawn.submit % 86400 // 3600
    day = drawn.submit % WEEK // 86400
    afternoon, night = ((hour >= 13) & (hour < 16)).sum(), ((hour >= 1) & (hour < 4)).sum()
    assert 3.0 < afternoon / night < 4.5
    assert (day >= 5).sum() / 2 < 0.5 * (day < 5).sum() / 5


def test_accelerators_are_asked_for_by_node():
    mix = Mix("t", smallest=1, largest=16, accelerator="h100", accelerators_per_node=4)
    drawn = generate(mix, seed=[6], begin=0, end=WEEK, jobs=300)
    for number in range(len(drawn)):
        request = drawn.shapes[drawn.shape[number]]
        assert request.nodes is not None
        assert request.accelerators_per_node is not None
        assert request.accelerators_per_node <= 4
        assert request.nodes * request.accelerators_per_node * 16 >= drawn.procs[number]
        assert request.accelerator is not None
        assert request.accelerator.family == "h100"


def test_parts_keep_their_groups_users_and_requests_apart():
    plain = generate(Mix("plain"), seed=[1], begin=0, end=WEEK, jobs=100)
    gpus = generate(Mix("gpus", accelerator="any"), seed=[1], begin=0, end=WEEK, jobs=50)
    both = merged("both", [plain, gpus])
    assert len(both) == 150
    assert (np.diff(both.submit) >= 0).all()
    assert (both.shape >= 0).sum() == 50
    for number in np.flatnonzero(both.shape >= 0):
        assert both.groups[both.group[number]] == "gpus"
        assert both.users[both.user[number]].startswith("gpus-")
        assert both.shapes[both.shape[number]].accelerator is not None
    cut = merged("cut", [plain, gpus], end=WEEK // 2)
    assert cut.submit.max() < WEEK // 2


@pytest.mark.parametrize("work", [0.0, 1.0])
def test_little_work_is_few_jobs(work):
    assert len(generate(Mix("a"), seed=[1], begin=0, end=WEEK, work=work)) == int(work)
