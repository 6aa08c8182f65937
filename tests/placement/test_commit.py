"""The commit holds a plan against the present, and says what changed."""

from __future__ import annotations

from dataclasses import replace

from res_federation.model.reason import Code, Reason
from res_federation.model.resources import ResourceRequest
from res_federation.placement.decide import recheck
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Ordered
from tests.builders import a_job, a_row, a_snapshot, busy

POLICY = Policy()
ROW = a_row("bsc", nodes=2)
WHOLE_NODE = ResourceRequest(nodes=1, tasks_per_node=64)


def _planned(count: int = 1):
    jobs = {job.id: job for job in (a_job(n, WHOLE_NODE) for n in range(count))}
    return jobs, place(a_snapshot(ROW), tuple(jobs.values()), POLICY).assignments


def test_an_empty_plan_stands():
    assert recheck(a_snapshot(ROW), {}, (), POLICY) == ()


def test_a_job_that_was_to_begin_is_refused_where_its_nodes_went():
    jobs, assignments = _planned()
    assert assignments[0].starts_now
    verdicts = recheck(a_snapshot(busy(ROW)), jobs, assignments, POLICY)
    assert verdicts == (Reason(Code.SNAPSHOT_OUTDATED),)


def test_only_those_beyond_the_capacity_that_is_left_are_refused():
    jobs, assignments = _planned(2)
    left = replace(ROW, free=(replace(ROW.free[0], nodes=1),))
    first, second = recheck(a_snapshot(left), jobs, assignments, POLICY)
    assert first is None
    assert second == Reason(Code.SNAPSHOT_OUTDATED)


def test_the_reason_names_what_happened_to_the_site():
    jobs, assignments = _planned()
    drained = replace(ROW, problem=Code.SITE_DRAINED)
    assert recheck(a_snapshot(drained), jobs, assignments, POLICY) == (Reason(Code.SITE_DRAINED),)


def test_a_partition_that_is_gone_is_an_outdated_snapshot():
    jobs, assignments = _planned()
    verdicts = recheck(a_snapshot(a_row("uv")), jobs, assignments, POLICY)
    assert verdicts == (Reason(Code.SNAPSHOT_OUTDATED),)
    assert recheck(a_snapshot(), jobs, assignments, POLICY) == (Reason(Code.SNAPSHOT_OUTDATED),)


def test_a_partition_is_found_where_other_sites_came_or_went():
    jobs, assignments = _planned()
    assert recheck(a_snapshot(a_row("aaa"), ROW), jobs, assignments, POLICY) == (None,)


def test_a_job_that_was_to_wait_still_may():
    jobs = {a_job(1).id: a_job(1)}
    waiting = a_snapshot(busy(ROW))
    assignments = place(waiting, tuple(jobs.values()), POLICY).assignments
    assert not assignments[0].starts_now
    assert recheck(waiting, jobs, assignments, POLICY) == (None,)


def test_what_is_ordered_already_is_spent_before_anything_else():
    ordered, waiting = a_job(1, WHOLE_NODE), a_job(2, WHOLE_NODE)
    free = a_snapshot(a_row("bsc", nodes=1))
    assert place(free, [waiting], POLICY).assignments[0].starts_now
    spent = replace(free, ordered=(Ordered(ordered, free.rows[0].partition),))
    plan = place(spent, [waiting], POLICY)
    assert [one.job for one in plan.assignments] == [waiting.id], "what is ordered is not planned"
    assert not plan.assignments[0].starts_now, "the node is spent"
    assert recheck(spent, {waiting.id: waiting}, plan.assignments, POLICY) == (None,)
