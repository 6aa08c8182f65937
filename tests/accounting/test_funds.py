"""Funds: which grant pays, and what a job costs at its time limit."""

from __future__ import annotations

import pytest

from res_federation.accounting.funds import UNLIMITED, Purse, cost, payer
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import NodeShape, ResourceRequest

SHAPE = NodeShape(cores=64, memory_mib=256_000, accelerator="h100", accelerators=4)


def test_the_first_purse_that_has_enough_of_both_pays():
    purses = (Purse("a", 100, 0), Purse("b", 500, 10, 1), Purse("c", UNLIMITED, UNLIMITED, 2))
    assert payer(purses, 100, 0) == "a"
    assert payer(purses, 101, 0) == "b"
    assert payer(purses, 100, 1) == "b"
    assert payer(purses, 100, 11) == "c"
    assert payer(purses[:2], 501, 0) is None
    assert payer((), 0, 0) is None


def test_an_empty_purse_pays_for_nothing_only():
    assert payer((Purse("a", 0, 5),), 0, 5) == "a"
    assert payer((Purse("a", 0, 5),), 1, 5) is None


@pytest.mark.parametrize(
    ("request_", "limit_s", "tasks", "wanted"),
    [
        (ResourceRequest(), 3600, 1, (3600, 0)),
        (ResourceRequest(tasks=8, cpus_per_task=4), 10, 1, (320, 0)),
        (ResourceRequest(nodes=2, tasks_per_node=64), 60, 3, (2 * 64 * 60 * 3, 0)),
        (ResourceRequest(accelerators_per_node=2, cpus_per_task=16), 100, 1, (1600, 200)),
        (ResourceRequest(nodes=2, exclusive=True), 5, 1, (640, 40)),
    ],
)
def test_a_job_costs_what_its_layout_holds_for_as_long_as_it_may(request_, limit_s, tasks, wanted):
    assert cost(request_, SHAPE, limit_s, tasks) == wanted


def test_what_does_not_lie_on_such_nodes_has_no_cost_but_a_reason():
    found = cost(ResourceRequest(cpus_per_task=65), SHAPE, 10)
    assert isinstance(found, Reason)
    assert found.code is Code(18)
