"""Orders of a site's queue: fair share, formulas, and what is no formula."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from res_federation.errors import InvalidArgument
from res_federation.simulator.demand import Demand
from res_federation.simulator.federation import replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.site_models import FederationModel, machine, pool
from res_federation.simulator.site_order import HALF_LIFE_S, SiteOrder, formula
from tests.simulator.drawn_workload import drawn, workload
from tests.simulator.test_federation import conserved

VALUES = {"wait": 8.0, "limit": 2.0, "procs": 4.0, "usage": 0.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(wait / limit) ** 3 * procs", 256.0),
        ("-limit + 1.5", -0.5),
        ("max(sqrt(procs), log(1), wait - limit)", 6.0),
    ],
)
def test_a_formula_is_worked_out(text, value):
    assert formula(text)(VALUES) == value


@pytest.mark.parametrize(
    "text",
    ["", "wait +", "age", "wait.real", "__import__('os')", "open(1)", "[wait]", "sqrt()", "'a'",
     "lambda: 1", "sqrt(1, 2)", "max(1)", "1" * 501, "wait if limit else 1", "True"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_way_out(text):
    with pytest.raises(InvalidArgument, match=r"fair-share|such as"):
        formula(text)


def test_a_formula_that_cannot_be_worked_out_ranks_a_job_as_nothing():
    demand = Demand(drawn(1, 3), shaped=False)
    assert SiteOrder("1 / wait", demand).rank(0, 5, 5) == 0.0
    assert SiteOrder("limit ** 9999", demand).rank(0, 5, 5) == 0.0


def test_use_counts_half_after_a_while():
    order = SiteOrder("fair-share", Demand(drawn(1, 9), shaped=False))
    order.used(0, 100.0, 0)
    assert order.usage(0, HALF_LIFE_S) == pytest.approx(50.0)
    assert order.rank(5, 0, HALF_LIFE_S) == pytest.approx(-50.0)  # job 5 is of the same user
    assert order.rank(1, 0, HALF_LIFE_S) == 0.0


def test_shortest_first_lets_a_short_job_pass():
    jobs = workload([(0, 100, 0, 16), (1, 90, 0, 16), (1, 10, 0, 16)])
    here = partial(replay_federation, jobs, machine(16), policy="earliest-start", scheduler="fcfs")
    by_time, short = here(), here(order="-limit")
    assert by_time.start.tolist() == [0, 100, 190]
    assert short.start.tolist() == [0, 110, 100]


def test_a_user_who_used_much_waits_behind_one_who_did_not():
    jobs = workload([(0, 900, 0, 16), (0, 900, 0, 16), (1, 10, 0, 16)])
    jobs.user[:] = [1, 1, 2]
    fair = replay_federation(jobs, machine(16), scheduler="fcfs", order="fair-share")
    assert fair.start.tolist() == [0, 910, 900]


@pytest.mark.parametrize("order", ["fair-share", "(wait / limit) ** 3 * procs"])
@pytest.mark.parametrize("policy", ["earliest-start", "slurm-federation"])
def test_other_orders_lose_nothing(policy, order):
    model = FederationModel("two", (pool("a", 16), pool("b", 8)))
    outcome = replay_federation(
        drawn(3, 200, gap=20), model, policy=policy, order=order, rules=Rules(check=True)
    )
    conserved(outcome)
    assert (outcome.start >= 0).all()
    plain = replay_federation(drawn(3, 200, gap=20), model, policy=policy)
    assert not np.array_equal(plain.start, outcome.start)
