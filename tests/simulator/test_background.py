"""Load of the sites' own users: drawn, made up, put together."""

from __future__ import annotations

import numpy as np
import pytest

from res_federation.errors import InvalidArgument
from res_federation.simulator import background
from res_federation.simulator.federation import replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.site_models import FederationModel, pool
from tests.simulator.drawn_workload import drawn, workload
from tests.simulator.test_federation import conserved

THREE = FederationModel("three", (pool("a", 16), pool("b", 8), pool("c", 4)))


def day_and_night(jobs=3000):
    """Ten days with jobs between eight and nine in the morning only."""
    draw = np.random.default_rng(1)
    at = np.sort(draw.integers(0, 10, jobs) * 86_400 + 8 * 3600 + draw.integers(0, 3600, jobs))
    rows = np.stack(
        [np.diff(at, prepend=0), draw.integers(1, 99, jobs), draw.integers(0, 50, jobs),
         draw.integers(1, 16, jobs)], axis=1,
    )  # fmt: skip
    return workload([tuple(row) for row in rows.tolist()])


def test_what_is_made_up_keeps_the_hours_the_rate_and_whole_jobs():
    seen = day_and_night()
    users = background.fit(seen)
    made = background.generate(users, seed=5, start=86_400, seconds=20 * 86_400, rate=0.5)
    assert set((made.submit % 86_400 // 3600).tolist()) == {8}
    assert made.submit[0] >= 86_400
    assert made.submit[-1] < 21 * 86_400
    assert (np.diff(made.submit) >= 0).all()
    assert len(made) == pytest.approx(0.5 * 20 * 300, rel=0.15)

    def kinds(jobs):
        figures = np.stack([jobs.runtime, jobs.estimate, jobs.procs], axis=1)
        return set(map(tuple, figures.tolist()))

    assert kinds(made) <= kinds(seen)


def test_the_same_seed_makes_the_same_jobs():
    users = background.fit(day_and_night(200))
    one, same, other = (
        background.generate(users, seed=seed, start=0, seconds=86_400 * 3).submit
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_nothing_can_be_learnt_from_one_job():
    with pytest.raises(InvalidArgument, match="no habits"):
        background.fit(workload([(0, 5, 0, 1)]))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_share_is_one_of_the_load(share):
    outcome = replay_federation(drawn(1, 800), THREE, local_share=share, seed=2)
    jobs = outcome.workload
    work = jobs.procs * jobs.runtime
    assert work[outcome.local].sum() / work.sum() == pytest.approx(share, abs=0.01)
    large = (outcome.place[outcome.local] == 0).sum()
    assert large > (outcome.place[outcome.local] == 2).sum()


def test_a_share_above_one_is_no_share():
    with pytest.raises(InvalidArgument, match="no share"):
        replay_federation(drawn(1, 5), THREE, local_share=1.5)


@pytest.mark.parametrize("policy", ["federated", "slurm-federation"])
def test_a_second_workload_runs_at_the_sites_beside_the_first(policy):
    mine, theirs = drawn(1, 120), drawn(2, 90)
    outcome = replay_federation(
        mine, THREE, policy=policy, local=theirs, rules=Rules(check=True), seed=3
    )
    conserved(outcome)
    jobs = outcome.workload
    assert len(jobs) == 210
    assert outcome.local.sum() == 90
    assert len(set(jobs.job_ids.tolist())) == 210
    assert np.array_equal(jobs.submit[outcome.local], theirs.submit)
    assert np.array_equal(jobs.runtime[~outcome.local], mine.runtime)
    assert not set(jobs.user[outcome.local].tolist()) & set(jobs.user[~outcome.local].tolist())
