"""Late start: order, who is sent where, and places that are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.capacity import FreeNodes
from res_federation.model.job import Job
from res_federation.model.plan import Plan
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement import held_places, kept_places, kernels, turns, walk
from res_federation.placement.counterfactual import counterfactual
from res_federation.placement.decide import consider, recheck, spent
from res_federation.placement.decide_late import decide_late
from res_federation.placement.engine import place
from res_federation.placement.explain import explain
from res_federation.placement.order import in_turn, processors, turn
from res_federation.placement.policies import NAMES, named
from res_federation.placement.policy import EMPTIEST, LateStart, Policy
from res_federation.placement.score import in_process
from res_federation.placement.snapshot import Ordered, ReleaseIn, Row, Snapshot
from res_federation.placement.waiting import Waiting
from tests.builders import A100, H100, a_job, a_row, a_snapshot
from tests.placement.drawn import queues, snapshots
from tests.strategies import examples

POLICY = named("federated")
CORE = NodeShape(cores=1, memory_mib=None)
Queue = tuple[Job, ...]


def with_late(**words: Any) -> Policy:
    return replace(POLICY, late=LateStart(**words))


def a_pool(site: str, size: int, free: int, *releases: tuple[float, int]) -> Row:
    """Return *size* nodes of one core, *free* of them free."""
    bars = (FreeNodes(free, 1, -1, 0),) if free else ()
    told = tuple(ReleaseIn(float(after), float(nodes)) for after, nodes in releases)
    return a_row(site, shape=CORE, nodes=size, available=size, free=bars, releases=told)


def a_wide(number: int, width: int, limit: int = 3600, submitted: float = 0.0) -> Job:
    return replace(
        a_job(number, ResourceRequest(tasks=width), time_limit_s=limit), submitted=submitted
    )


def sites(plan: Plan) -> dict[str, str]:
    return {one.job: str(one.partition).split("/", 1)[0] for one in plan.assignments}


def codes(plan: Plan) -> dict[str, Code]:
    return {one.job: one.reason.code for one in plan.rejections}


# --- order


def test_short_wide_and_old_jobs_come_first():
    narrow, wide = a_wide(1, 4), a_wide(2, 64)
    short, old = a_wide(3, 4, limit=60), a_wide(4, 4, submitted=-90_000.0)
    queue = in_turn((narrow, wide, short, old), 0.0, POLICY)
    assert queue == [short, wide, old, narrow]
    assert in_turn((old, short, wide, narrow), 0.0, POLICY) == queue


def test_a_turn_is_age_times_root_of_width_over_limit():
    job = a_wide(1, 16, limit=7200, submitted=100.0)
    assert POLICY.late is not None
    patient = replace(POLICY.late, patience_s=1e12)
    assert turn(job, 700.0, patient) == (600 + 86_400) * math.sqrt(16) / 7200
    assert turn(job, 0.0, POLICY.late) == 86_400 * 4 / 7200, "a clock that went back adds nothing"


def test_who_waits_for_the_policys_patience_counts_twice():
    job = a_wide(1, 16, limit=7200, submitted=100.0)
    late = POLICY.late
    assert late is not None
    patient = replace(late, patience_s=1e15)
    waited = 100.0 + late.patience_s
    assert turn(job, waited, late) == pytest.approx(2.0 * turn(job, waited, patient))


def test_without_late_start_it_is_first_come_first_served():
    early, late_one = a_wide(9, 1), a_wide(1, 64, limit=60, submitted=1.0)
    assert in_turn((late_one, early), 5.0, Policy()) == [early, late_one]


@pytest.mark.parametrize(
    ("request_", "width"),
    [
        (ResourceRequest(), 1),
        (ResourceRequest(nodes=3), 3),
        (ResourceRequest(nodes=2, tasks_per_node=8, cpus_per_task=2), 32),
        (ResourceRequest(tasks=7), 7),
        (ResourceRequest(tasks=4, accelerators_total=2), 4 + 20),
        (ResourceRequest(nodes=2, accelerators_per_node=4), 2 + 80),
        (ResourceRequest(tasks=3, accelerators_per_task=1), 3 + 30),
    ],
)
def test_processors_of_a_request(request_: ResourceRequest, width: float):
    assert processors(request_, 10.0) == width


# --- who goes where


def test_a_job_that_can_start_nowhere_stays():
    snapshot = a_snapshot(a_pool("bsc", 10, 2, (100, 8)), a_pool("uv", 4, 1))
    plan = place(snapshot, [a_wide(1, 3)], with_late(reservations=0))
    assert not plan.assignments
    (kept,) = plan.rejections
    assert not kept.permanent
    assert kept.reason.code is Code.NODES_BUSY
    assert kept.reason.needed == 3


def test_a_job_that_can_never_run_is_told_so():
    plan = place(a_snapshot(a_pool("bsc", 10, 2)), [a_wide(1, 30)], POLICY)
    assert [one.permanent for one in plan.rejections] == [True]


def test_the_smallest_that_can_start_it_takes_it_or_the_emptiest():
    snapshot = a_snapshot(a_pool("bsc", 100, 90), a_pool("uv", 10, 5), a_pool("cesga", 20, 20))
    job = a_wide(1, 4)
    assert sites(place(snapshot, [job], POLICY)) == {job.id: "uv"}
    assert sites(place(snapshot, [job], with_late(prefer=EMPTIEST))) == {job.id: "bsc"}
    wide = a_wide(2, 8)
    assert sites(place(snapshot, [wide], POLICY)) == {wide.id: "cesga"}


def test_of_equal_ones_the_fuller_takes_it():
    snapshot = a_snapshot(*(a_pool(s, 10, free) for s, free in (("a", 9), ("b", 5), ("c", 7))))
    assert set(sites(place(snapshot, [a_wide(n, 2) for n in range(2)], POLICY)).values()) == {"b"}


def test_the_least_accelerator_that_will_do_is_taken_while_it_is_free():
    big = a_row("bsc", shape=H100, nodes=2, available=2, free=_whole(H100, 2))
    less = a_row("uv", shape=A100, nodes=9, available=9, free=_whole(A100, 1))
    snapshot = a_snapshot(big, less)
    assert set(sites(place(snapshot, _gpu(1), POLICY)).values()) == {"uv"}
    assert sorted(sites(place(snapshot, _gpu(2), POLICY)).values()) == ["bsc", "uv"]


def _whole(shape: NodeShape, nodes: int) -> tuple[FreeNodes, ...]:
    memory = -1 if shape.memory_mib is None else shape.memory_mib
    return (FreeNodes(nodes, shape.cores or 1, memory, shape.accelerators),)


def _gpu(count: int) -> list[Job]:
    request = ResourceRequest(
        nodes=1, accelerator=AcceleratorNeed(), accelerators_per_node=A100.accelerators
    )
    return [a_job(number, request) for number in range(count)]


def test_a_job_without_accelerators_leaves_them_alone():
    gpus = a_row("bsc", shape=A100, nodes=1, available=1, free=_whole(A100, 1))
    plain = a_pool("uv", 500, 400)
    job = a_wide(1, 4)
    assert sites(place(a_snapshot(gpus, plain), [job], POLICY)) == {job.id: "uv"}


# --- places that are kept


def test_the_first_that_cannot_start_keeps_nodes_from_longer_jobs():
    snapshot = a_snapshot(a_pool("bsc", 10, 4, (1000, 6)))
    wide = a_wide(1, 10, limit=60)
    long, short = a_wide(2, 4, limit=5000), a_wide(3, 4, limit=900)
    plan = place(snapshot, [wide, long], with_late(reservations=1))
    assert codes(plan) == {wide.id: Code.NODES_KEPT_FOR_IT, long.id: Code.WAITS_FOR_TURN}
    plan = place(snapshot, [wide, short], POLICY)
    assert sites(plan) == {short.id: "bsc"}, "it ends before"


def test_what_a_kept_place_leaves_over_may_be_used():
    snapshot = a_snapshot(a_pool("bsc", 10, 4, (1000, 6)))
    wide, long = a_wide(1, 8, limit=60), a_wide(2, 2, limit=50_000)
    more = a_wide(3, 1, limit=50_000)
    plan = place(snapshot, [wide, long, more], with_late(reservations=1))
    assert sites(plan) == {long.id: "bsc"}
    assert codes(plan)[more.id] is Code.WAITS_FOR_TURN


def test_no_more_places_are_kept_than_the_policy_says():
    snapshot = a_snapshot(a_pool("bsc", 10, 1, (1000, 9)))
    queue = [a_wide(number, 10, limit=60 + number) for number in range(4)]
    for count in range(4):
        plan = place(snapshot, queue, with_late(reservations=count))
        kept = [code for code in codes(plan).values() if code is Code.NODES_KEPT_FOR_IT]
        assert len(kept) == count


def test_what_is_on_its_way_is_spent_first():
    snapshot = a_snapshot(a_pool("bsc", 10, 4))
    sent = Ordered(a_wide(1, 3), snapshot.rows[0].partition)
    plan = place(replace(snapshot, ordered=(sent,)), [a_wide(2, 2)], POLICY)
    assert not plan.assignments


class Kept(NamedTuple):
    """What a round keeps: places, with the number of the job in its turn; and where jobs went."""

    kept: NDArray[np.float64]
    chosen: NDArray[np.int64]


def _kept(snapshot: Snapshot, queue: Sequence[Job], policy: Policy) -> Kept:
    assert policy.late is not None
    ordered = in_turn(queue, snapshot.at, policy)
    view = Waiting(policy.seed, queue).view()
    rows = spent(snapshot, policy, in_process)
    found = decide_late(snapshot, rows, view, policy, policy.late, in_process)
    kept = found.kept.copy()
    kept[:, kept_places.JOB] = [
        ordered.index(view.job(int(slot))) for slot in kept[:, kept_places.JOB]
    ]
    return Kept(kept, consider(snapshot, ordered, policy)[1].chosen)


pools = st.lists(
    st.tuples(
        st.integers(1, 20),
        st.integers(0, 20),
        st.lists(st.tuples(st.integers(0, 500), st.integers(1, 6)), max_size=4),
    ),
    min_size=1,
    max_size=3,
)
wides = st.lists(
    st.tuples(st.integers(1, 20), st.integers(1, 600), st.integers(-90_000, 0)), max_size=12
)


@settings(max_examples=examples(200))
@given(pools, wides, st.integers(0, 4))
def test_kept_places_are_never_broken(
    drawn: list[tuple[int, int, list[tuple[int, int]]]],
    asked: list[tuple[int, int, int]],
    count: int,
):
    """Count every second's cores anew: what was sent, and what is kept, fit into what is there."""
    rows = []
    for number, (size, free, releases) in enumerate(drawn):
        held = sum(nodes for _, nodes in releases)
        rows.append(a_pool(f"s{number}", size + held, min(free, size), *sorted(releases)))
    snapshot = a_snapshot(*rows)
    queue = [a_wide(n, w, limit, float(at)) for n, (w, limit, at) in enumerate(asked)]
    policy = with_late(reservations=count)
    ordered = in_turn(queue, snapshot.at, policy)
    found = _kept(snapshot, queue, policy)
    by_site = sorted(snapshot.rows, key=lambda row: row.partition)
    assert len(found.kept) <= (len(rows) if count else 0)  # the first of each partition
    for number, row in enumerate(by_site):
        spans = [
            (0.0, float(job.spec.time_limit_s), job.spec.request.tasks or 0)
            for job, chosen in zip(ordered, found.chosen.tolist(), strict=True)
            if chosen == number
        ]
        began = len(spans)
        spans += [
            (one[kept_places.BEGIN], one[kept_places.END], int(one[kept_places.WORTH]))
            for one in found.kept.tolist()
            if one[kept_places.ROW] == number
        ]
        free = row.free[0].nodes if row.free else 0
        assert sum(width for _, _, width in spans[:began]) <= free
        foretold = free + sum(one.nodes for one in row.releases)
        if any(width > foretold for _, _, width in spans):
            continue  # nobody says when the rest comes back
        for at in sorted({begin for begin, _, _ in spans}):
            there = free + sum(one.nodes for one in row.releases if one.after_s <= at)
            assert sum(width for begin, end, width in spans if begin <= at < end) <= there


@given(pools, wides)
def test_a_place_is_kept_only_for_who_cannot_start(
    drawn: list[tuple[int, int, list[tuple[int, int]]]], asked: list[tuple[int, int, int]]
):
    snapshot = a_snapshot(
        *(a_pool(f"s{n}", size, min(free, size)) for n, (size, free, _) in enumerate(drawn))
    )
    queue = [a_wide(n, w, limit, float(at)) for n, (w, limit, at) in enumerate(asked)]
    found = _kept(snapshot, queue, POLICY)
    for one in found.kept[:, kept_places.JOB].astype(int).tolist():
        assert found.chosen[one] == -1


# --- laws of every policy


@given(snapshots(), queues)
def test_what_is_sent_starts_and_the_commit_accepts_it(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    assert all(one.starts_now for one in plan.assignments)
    by_id = {job.id: job for job in queue}
    assert recheck(snapshot, by_id, plan.assignments, POLICY) == (None,) * len(plan.assignments)


@given(snapshots(), queues)
def test_every_job_is_answered_once_in_any_order(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    answered = [one.job for one in plan.assignments] + [one.job for one in plan.rejections]
    assert sorted(answered) == sorted(job.id for job in queue)
    turned = replace(snapshot, rows=tuple(reversed(snapshot.rows)))
    assert place(turned, tuple(reversed(queue)), POLICY) == plan


@given(snapshots(), queues)
def test_a_job_is_infeasible_under_both_policies_or_under_none(snapshot: Snapshot, queue: Queue):
    never = [
        {one.job for one in place(snapshot, queue, named(name)).rejections if one.permanent}
        for name in NAMES
    ]
    assert never[0] == never[1]


@given(snapshots(), queues)
def test_somebody_is_sent_if_anybody_can_start(snapshot: Snapshot, queue: Queue):
    """Places are kept for the blocked only: the queue never stands still beside free nodes."""
    alone = [job for job in queue if place(snapshot, (job,), POLICY).assignments]
    policy = with_late(reservations=0)
    assert bool(place(snapshot, queue, policy).assignments) == bool(alone)


@given(snapshots(), queues)
def test_every_row_has_its_reason(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    for one in plan.assignments:
        told = explain(one.job, bytes(one.decision), plan.frame, 0.0)
        assert told.chosen == one.partition
        assert [each.reasons[0].code for each in told.candidates].count(Code.CHOSEN) == 1
    for other in plan.rejections:
        told = explain(other.job, bytes(other.decision), plan.frame, 0.0)
        assert told.chosen is None
        assert not any(each.feasible for each in told.candidates)


def test_the_counterfactual_knows_that_others_could_start_it():
    snapshot = a_snapshot(a_pool("bsc", 100, 90), a_pool("uv", 10, 5))
    text = counterfactual(snapshot, a_wide(1, 4), POLICY).sentence
    assert text == "bsc/c/p would be chosen but for 0.09 s more, mostly of size"


# --- loops and their twins

ROOMS = (kernels, held_places, kept_places, turns, walk)


def test_every_loop_has_its_twin():
    loops = {n for room in ROOMS for n, v in vars(room).items() if hasattr(v, "py_func")}
    assert {"walk", "look", "send", "keep_place", "breaks", "first_room"} <= loops
    for room in (kept_places, turns, walk):
        own = {
            name
            for name, value in vars(room).items()
            if isinstance(value, FunctionType) and value.__module__ == room.__name__
        }
        assert all(name.startswith("_") or name == "stands_on" for name in own)


def test_plans_are_the_same_with_plain_loops(monkeypatch: pytest.MonkeyPatch):
    @settings(max_examples=examples(30))
    @given(snapshots(), queues, st.integers(0, 3))
    def law(snapshot: Snapshot, queue: Queue, count: int):
        policy = with_late(reservations=count)
        compiled = place(snapshot, queue, policy)
        with monkeypatch.context() as patch, np.errstate(over="ignore"):
            for room in ROOMS:
                for name in [n for n, v in vars(room).items() if hasattr(v, "py_func")]:
                    patch.setattr(room, name, getattr(room, name).py_func)
            assert place(snapshot, queue, policy) == compiled

    law()


def test_policies_have_names():
    assert named("earliest-start", 3) == Policy(seed=3)
    assert named("federated").name == "federated"
    with pytest.raises(InvalidArgument, match="no policy 'best'") as found:
        named("best")
    assert found.value.way_out == "earliest-start, federated"
