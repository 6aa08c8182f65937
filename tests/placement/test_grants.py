"""A job goes only where a grant can pay, and no grant is given away twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from res_federation.accounting.funds import UNLIMITED, Funds, Purse, cost
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import ResourceRequest
from res_federation.placement.counterfactual import counterfactual
from res_federation.placement.decide import recheck
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.waiting import Waiting
from tests.builders import CPU, a_job, a_row, a_snapshot, answers, busy
from tests.placement.drawn import SITES, queues, snapshots

LATE = named("federated")
POLICIES = pytest.mark.parametrize("policy", [Policy(), LATE], ids=("early", "late"))
PROJECTS = ("", "one", "two")
PARTITIONS = tuple(PartitionId(f"{site}/c/{name}") for site in SITES for name in "pq")
HERE = PartitionId("bsc/c/p")
HOUR = 3600


@st.composite
def funds(draw: st.DrawFn) -> Funds:
    """Draw what projects have: some of it is shared by several partitions."""
    amounts = st.sampled_from((0, 3600, 64 * 3600, 10_000_000, UNLIMITED))
    begins = st.sampled_from((0.0, 0.0, 0.0, 1e9))
    left = {
        (project, number): Purse(
            f"{project}-{number}", draw(amounts), draw(amounts), number, draw(begins)
        )
        for project in PROJECTS
        for number in range(2)
    }
    found = {}
    for project in PROJECTS:
        for partition in PARTITIONS:
            numbers = draw(st.lists(st.integers(0, 1), max_size=2, unique=True))
            mine = [left[project, number] for number in sorted(numbers)]
            found[project, partition] = tuple(sorted(mine, key=lambda one: one.begins))
    return found


def _of_projects(queue: tuple[Job, ...]) -> tuple[Job, ...]:
    return tuple(
        replace(job, spec=replace(job.spec, project=PROJECTS[number % 3]))
        for number, job in enumerate(queue)
    )


@POLICIES
@given(snapshots(), queues, funds())
def test_no_plan_takes_more_from_a_grant_than_it_has(
    policy: Policy, snapshot: Snapshot, queue: tuple[Job, ...], has: Funds
):
    queue = _of_projects(queue)
    specs = {job.id: job.spec for job in queue}
    plan = place(replace(snapshot, funds=has), queue, policy)
    shapes = sorted(snapshot.rows, key=lambda row: (row.partition, repr(row.shape)))
    cores: Counter[str] = Counter()
    accelerators: Counter[str] = Counter()
    for one in plan.assignments:
        spec = specs[one.job]
        price = cost(spec.request, shapes[one.row].shape, spec.time_limit_s, spec.tasks)
        assert not isinstance(price, Reason)
        for purse in has[spec.project, one.partition]:
            have = (purse.core_s, purse.accelerator_s)
            after = (cores[purse.grant] + price[0], accelerators[purse.grant] + price[1])
            if not purse.begins and all(left == UNLIMITED or not asks or then <= left
                   for left, asks, then in zip(have, price, after, strict=True)):  # fmt: skip
                cores[purse.grant], accelerators[purse.grant] = after
                break
        else:
            raise AssertionError(f"nobody pays for {one.job} at {one.partition}")
    assert sorted(answers(plan)) == sorted(specs)
    assert len(plan.assignments) + len(plan.rejections) == len(specs)


@POLICIES
@given(snapshots(), queues)
def test_where_all_are_rich_nothing_is_otherwise(
    policy: Policy, snapshot: Snapshot, queue: tuple[Job, ...]
):
    queue = _of_projects(queue)
    rich = (Purse("all", UNLIMITED, UNLIMITED),)
    has = {(name, row.partition): rich for name in PROJECTS for row in snapshot.rows}
    assert place(replace(snapshot, funds=has), queue, policy) == place(snapshot, queue, policy)


@POLICIES
@given(snapshots(), queues, funds())
def test_the_commit_agrees_with_the_planner(
    policy: Policy, snapshot: Snapshot, queue: tuple[Job, ...], has: Funds
):
    queue, snapshot = _of_projects(queue), replace(snapshot, funds=has)
    plan = place(snapshot, queue, policy)
    found = recheck(snapshot, {job.id: job for job in queue}, plan.assignments, policy)
    assert found == (None,) * len(plan.assignments)


@given(snapshots(), queues, st.lists(funds(), min_size=2, max_size=4))
def test_what_is_kept_of_purses_from_round_to_round_changes_nothing(
    snapshot: Snapshot, queue: tuple[Job, ...], story: list[Funds]
):
    queue = _of_projects(queue)
    kept = Waiting(LATE.seed, queue)
    for number, has in enumerate(story):
        now = replace(snapshot, version=number, funds=has)
        assert place(now, kept.view(), LATE) == place(now, queue, LATE)


def _told(
    policy: Policy, *purses: Purse, request: ResourceRequest | None = None
) -> tuple[bool, Code]:
    job = a_job(project="one", time_limit_s=HOUR, request=request)
    has: Funds = {("one", HERE): purses} if purses else {("two", HERE): (Purse("g", -1, -1),)}
    snapshot = replace(a_snapshot(a_row("bsc")), funds=has)
    plan = place(snapshot, [job], policy)
    return (True, Code.FITS) if plan.assignments else (
        plan.rejections[0].permanent, plan.rejections[0].reason.code
    )  # fmt: skip


@POLICIES
def test_no_grant_is_for_good_and_a_spent_one_waits(policy: Policy):
    assert _told(policy) == (True, Code.NO_GRANT)
    assert _told(policy, Purse("g", HOUR - 1, 0)) == (False, Code.GRANT_SPENT)
    assert _told(policy, Purse("g", HOUR, 0)) == (True, Code.FITS)
    assert _told(policy, Purse("g", 0, 0), Purse("h", UNLIMITED, 0)) == (True, Code.FITS)
    whole = ResourceRequest(exclusive=True)
    assert _told(policy, Purse("g", 64 * HOUR - 1, 0), request=whole) == (False, Code.GRANT_SPENT)
    assert _told(policy, Purse("g", 64 * HOUR, 0), request=whole) == (True, Code.FITS)


@POLICIES
def test_a_grant_that_begins_later_pays_nothing_yet_and_is_waited_for(policy: Policy):
    later = Purse("later", UNLIMITED, UNLIMITED, begins=5000.0)
    assert _told(policy, later) == (False, Code.GRANT_NOT_BEGUN)
    assert _told(policy, Purse("g", HOUR - 1, 0), later) == (False, Code.GRANT_SPENT)
    assert _told(policy, Purse("g", HOUR, 0), later) == (True, Code.FITS)
    row = a_row("bsc", problem=Code.SITE_NOT_CONNECTED)
    snapshot = replace(a_snapshot(row), funds={("one", HERE): (later,)})
    (told,) = place(snapshot, [a_job(project="one")], policy).rejections
    assert (told.permanent, told.reason.code) == (False, Code.GRANT_NOT_BEGUN)


@POLICIES
def test_who_waits_for_nodes_where_a_grant_pays_hears_of_nodes_and_not_of_grants_elsewhere(
    policy: Policy,
):
    there = PartitionId("uv/c/p")
    for other in (Purse("h", 1, 0), Purse("h", HOUR, 0, begins=5000.0)):
        has: Funds = {("one", HERE): (Purse("g", HOUR, 0),), ("one", there): (other,)}
        row = busy(a_row("bsc"), available=0, problem=Code.SITE_DRAINED)
        snapshot = replace(a_snapshot(row, a_row("uv")), funds=has)
        (told,) = place(snapshot, [a_job(project="one", time_limit_s=HOUR)], policy).rejections
        assert told.reason.code is Code.SITE_DRAINED


@POLICIES
def test_the_counterfactual_says_from_when_a_grant_pays(policy: Policy):
    job = a_job(project="one", time_limit_s=HOUR)
    begins = 1_796_083_200.0  # the first of December of 2026
    later = Purse("late", HOUR, 0, begins=begins)
    for purses in (
        (later,), (Purse("g", 1, 0), later), (Purse("poor", 1, 0, begins=9.0), later),
    ):  # fmt: skip
        snapshot = replace(a_snapshot(a_row("bsc")), funds={("one", HERE): purses})
        told = counterfactual(snapshot, job, policy)
        assert told.sentence.startswith("bsc/c/p from 2026-12-01 00:00 UTC, when grant late begins")
        assert told.partition == HERE
    none = replace(a_snapshot(a_row("bsc")), funds={("two", HERE): purses})
    assert "from" not in counterfactual(none, job, policy).sentence


@POLICIES
def test_no_grant_is_said_of_a_site_that_is_not_connected_too(policy: Policy):
    row = a_row("bsc", problem=Code.SITE_NOT_CONNECTED)
    snapshot = replace(a_snapshot(row), funds={})
    rejection = place(snapshot, [a_job(project="one")], policy).rejections[0]
    assert (rejection.permanent, rejection.reason.code) == (True, Code.NO_GRANT)


@POLICIES
def test_the_jobs_of_one_round_share_a_purse_in_their_order(policy: Policy):
    has: Funds = {("one", HERE): (Purse("g", 5 * HOUR, 0),)}
    snapshot = replace(a_snapshot(a_row("bsc", nodes=9)), funds=has)
    queue = [a_job(number, project="one", time_limit_s=HOUR) for number in range(8)]
    plan = place(snapshot, queue, policy)
    assert [one.job for one in plan.assignments] == [job.id for job in queue[:5]]
    late = [answers(plan)[job.id] for job in queue[5:]]
    assert {(one.permanent, one.reason.code) for one in late} == {(False, Code.GRANT_SPENT)}  # type: ignore[union-attr]


def test_a_purse_that_is_filled_lets_those_go_that_slept():
    queue = Waiting(LATE.seed, [a_job(project="one", time_limit_s=HOUR)])
    now = a_snapshot(a_row("bsc"), busy(a_row("uv")))
    poor = replace(now, funds={("one", HERE): (Purse("g", 1, 0),)})
    rich = replace(now, funds={("one", HERE): (Purse("g", HOUR, 0),)})
    assert not place(poor, queue.view(), LATE).assignments
    assert not place(poor, queue.view(), LATE).assignments
    assert len(place(rich, queue.view(), LATE).assignments) == 1


def test_who_holds_a_place_has_paid_for_it():
    """His reservation took the last of the purse: he is not sent away for that."""
    holder = a_job(1, ResourceRequest(exclusive=True), project="one", time_limit_s=HOUR)
    row = busy(a_row("bsc", CPU, shared=True, places=True, arranges=True, nodes=2, available=2))
    waiting = Waiting(LATE.seed, [holder])
    waiting.hold(holder.id, HERE)
    snapshot = replace(a_snapshot(row), funds={("one", HERE): (Purse("g", 0, 0),)})
    plan = place(snapshot, waiting.view(), LATE)
    told = answers(plan)[holder.id]
    assert getattr(told, "place", None) == HERE
    other = replace(a_job(2, holder.spec.request, project="one", time_limit_s=HOUR))
    waiting.add(other)
    told = answers(place(snapshot, waiting.view(), LATE))[other.id]
    assert getattr(told, "place", None) is None


@POLICIES
def test_where_nodes_differ_the_dearest_is_set_aside(policy: Policy):
    """As `control.paying` reserves it: else a round would send what the commit refuses."""
    small = replace(CPU, cores=8)
    whole = ResourceRequest(exclusive=True)
    has: Funds = {("one", HERE): (Purse("g", 8 * HOUR, 0),)}
    rows = (a_row("bsc", small), a_row("bsc", CPU))
    job = a_job(1, whole, project="one", time_limit_s=HOUR)
    assert not place(replace(a_snapshot(*rows), funds=has), [job], policy).assignments
    assert place(replace(a_snapshot(rows[0]), funds=has), [job], policy).assignments
