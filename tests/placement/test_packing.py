"""A packed decision is small and comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from res_federation.model.capacity import FreeNodes
from res_federation.model.reason import Code
from res_federation.placement.decide import consider
from res_federation.placement.engine import place
from res_federation.placement.packing import frame_of, pack, unpack
from res_federation.placement.policy import Policy
from tests.builders import A100, CPU, H100, a_job, a_row, a_snapshot, busy

POLICY = Policy()
SNAPSHOT = a_snapshot(
    a_row("bsc", H100, 2),
    busy(a_row("csuc", A100, 3), backlog_node_s=1234.5),
    a_row("uv", CPU, problem=Code.REPORT_STALE, problem_have=77),
    a_row("upm", replace(CPU, cores=None), nodes=-1),
)


def test_all_numbers_of_a_decision_come_back():
    rows, decided = consider(SNAPSHOT, [a_job(n) for n in range(3)], POLICY)
    for number, decision in enumerate(pack(rows.frame_id, decided)):
        chosen, verdicts = unpack(decision)
        assert frame_of(decision) == rows.frame_id
        assert chosen == decided.chosen[number]
        for row, verdict in enumerate(verdicts):
            code, needed, have = decided.verdicts[number, row]
            assert verdict.reason.code == code
            assert (verdict.reason.needed, verdict.reason.have) == (needed, have)
            if verdict.terms:
                seconds = [value for _, value in verdict.terms]
                assert np.allclose(seconds, decided.terms[number, row], atol=1e-3)


def test_sixty_rows_take_little_more_than_a_kilobyte():
    snapshot = a_snapshot(*(a_row(f"s/c/p{n}", nodes=1) for n in range(60)))
    decision = place(snapshot, (a_job(),), POLICY).assignments[0].decision
    assert len(bytes(decision)) < 1100


def test_groups_of_like_shape_in_one_partition_may_come_in_any_order():
    rows = [
        a_row("bsc", nodes=2),
        busy(a_row("bsc", nodes=2)),
        a_row("bsc", nodes=2, free=(FreeNodes(1, 8, 1000, 0),)),
    ]
    jobs = [a_job(n) for n in range(4)]
    plans = {place(a_snapshot(*rows[n:], *rows[:n]), jobs, POLICY) for n in range(3)}
    assert len(plans) == 1
