"""One job against one row says what a round says; what may wait is told so."""

from __future__ import annotations

from hypothesis import given

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import ResourceRequest
from res_federation.placement.admission import admission
from res_federation.placement.counterfactual import counterfactual
from res_federation.placement.engine import place
from res_federation.placement.packing import unpack
from res_federation.placement.policy import Policy
from tests.builders import A100, CPU, a_job, a_row, a_snapshot, answers
from tests.placement.drawn import jobs, snapshots

POLICY = Policy()


@given(snapshots(), jobs(1))
def test_a_row_alone_is_judged_as_in_a_round(snapshot, job):
    plan = place(snapshot, (job,), POLICY)
    _, verdicts = unpack(answers(plan)[job.id].decision)
    for row, partition, verdict in zip(
        sorted(snapshot.rows, key=lambda one: one.partition), plan.frame, verdicts, strict=True
    ):
        assert row.partition == partition
        assert admission(row, job, POLICY) == verdict.reason


def test_the_numbers_are_those_of_the_constraint():
    eight = ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=8)
    expected = Reason(Code.TOO_FEW_ACCELERATORS_PER_NODE, 8, 4)
    assert admission(a_row("bsc", A100), a_job(0, eight), POLICY) == expected


def test_where_nothing_is_up_a_change_may_let_the_job_wait():
    down = a_snapshot(a_row("bsc", CPU, 4, problem=Code.SITE_NOT_CONNECTED))
    too_wide = a_job(0, ResourceRequest(nodes=5))
    assert counterfactual(down, too_wide, POLICY) == "with 4 nodes, it could wait for bsc/c/p"
    waits = a_job(0, ResourceRequest(nodes=4))
    assert counterfactual(down, waits, POLICY) == "no single change of the request helps now"
