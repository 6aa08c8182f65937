"""The laws of placement, on drawn federations and queues."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import assume, given

from res_federation.model.job import Job
from res_federation.model.plan import Assignment
from res_federation.model.reason import Code
from res_federation.model.resources import Layout, layout
from res_federation.placement.decide import recheck
from res_federation.placement.engine import place
from res_federation.placement.explain import explain
from res_federation.placement.packing import frame_of, unpack
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import ReleaseIn, Row, Snapshot
from tests.builders import CPU, a_job, a_row, a_snapshot, answers
from tests.placement.drawn import bars, jobs, queues, requests, rows, snapshots
from tests.placement.recount import Piece, can_stand, nodes_of, piece_of, within_sums

POLICY = Policy()
Queue = tuple[Job, ...]


@given(snapshots(), queues)
def test_what_the_planner_accepts_the_commit_accepts(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    by_id = {job.id: job for job in queue}
    assert recheck(snapshot, by_id, plan.assignments, POLICY) == (None,) * len(plan.assignments)


@given(snapshots(), queues)
def test_every_job_is_answered_once(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    answered = [one.job for one in plan.assignments] + [one.job for one in plan.rejections]
    assert sorted(answered) == sorted(job.id for job in queue)


def _pieces(snapshot: Snapshot, queue: Queue) -> dict[int, list[Piece]]:
    """Return what surely begins at once, by row of the snapshot sorted."""
    plan = place(snapshot, queue, POLICY)
    ordered = sorted(snapshot.rows, key=lambda row: (row.partition, repr(row.shape)))
    specs = {job.id: job.spec for job in queue}
    pieces: dict[int, list[Piece]] = {}
    for one in plan.assignments:
        lies = layout(specs[one.job].request, ordered[one.row].shape)
        assert isinstance(lies, Layout)
        if one.starts_now:
            pieces.setdefault(one.row, []).append(piece_of(lies))
    return pieces


@given(snapshots(), queues)
def test_no_partition_is_over_allocated(snapshot: Snapshot, queue: Queue):
    ordered = sorted(snapshot.rows, key=lambda row: (row.partition, repr(row.shape)))
    for row, pieces in _pieces(snapshot, queue).items():
        free = nodes_of(ordered[row])
        assert within_sums(free, pieces), (ordered[row], pieces)
        assert len(pieces) > 8 or can_stand(free, pieces), (ordered[row], pieces)


@st.composite
def one_crowded_row(draw: st.DrawFn) -> tuple[Snapshot, Queue]:
    """Draw a row whose nodes are free in part, and jobs of one and of several nodes for it."""
    free = draw(bars(CPU, draw(st.integers(1, 5))))
    row = a_row("bsc", nodes=5, free=free)
    asked = st.builds(
        lambda nodes, cores: replace(
            a_job().spec.request, nodes=nodes, tasks_per_node=1, cpus_per_task=cores
        ),
        st.integers(1, 3),
        st.sampled_from((8, 16, 20, 32, 64)),
    )
    wanted = draw(st.lists(asked, max_size=6))
    return a_snapshot(row), tuple(a_job(n, request) for n, request in enumerate(wanted))


@given(one_crowded_row())
def test_a_job_of_several_nodes_never_counts_one_node_twice(drawn: tuple[Snapshot, Queue]):
    snapshot, queue = drawn
    for pieces in _pieces(snapshot, queue).values():
        assert can_stand(nodes_of(snapshot.rows[0]), pieces)


@given(snapshots(), queues, st.randoms(use_true_random=False))
def test_the_order_of_sites_and_jobs_changes_nothing(snapshot, queue, chance):
    shuffled_rows, shuffled_jobs = list(snapshot.rows), list(queue)
    chance.shuffle(shuffled_rows)
    chance.shuffle(shuffled_jobs)
    other = replace(snapshot, rows=tuple(shuffled_rows))
    assert place(other, shuffled_jobs, POLICY) == place(snapshot, queue, POLICY)


@st.composite
def roomier(draw: st.DrawFn, row: Row) -> Row:
    """Draw *row* with more free capacity, in one way or in several."""
    shape = row.shape
    idle = row.available - sum(bar.nodes for bar in row.free)
    free = row.free
    if idle > 0 and draw(st.booleans()):
        free = (*free, *draw(bars(shape, idle)))
    free = tuple(
        replace(
            bar,
            cores=draw(st.integers(bar.cores, shape.cores or bar.cores)),
            accelerators=draw(st.integers(bar.accelerators, shape.accelerators)),
        )
        for bar in free
    )
    return replace(
        row,
        free=free,
        releases=tuple(
            ReleaseIn(draw(st.floats(0.0, one.after_s)), one.nodes) for one in row.releases
        ),
        backlog_node_s=draw(st.floats(0.0, row.backlog_node_s)),
        waiting=draw(st.integers(0, row.waiting)),
    )


def _terms(snapshot: Snapshot, job: Job) -> tuple[int, list[dict[str, float]]]:
    answer = answers(place(snapshot, (job,), POLICY))[job.id]
    chosen, verdicts = unpack(answer.decision)
    return chosen, [dict(verdict.terms) for verdict in verdicts]


@given(st.data())
def test_more_free_capacity_never_ranks_a_partition_lower(data: st.DataObject):
    snapshot = data.draw(snapshots())
    assume(snapshot.rows)
    ordered = sorted(snapshot.rows, key=lambda row: row.partition)
    number = data.draw(st.integers(0, len(ordered) - 1))
    more = list(ordered)
    more[number] = data.draw(roomier(ordered[number]))
    job = data.draw(jobs(1))
    chosen, before = _terms(replace(snapshot, rows=tuple(ordered)), job)
    chosen_then, after = _terms(replace(snapshot, rows=tuple(more)), job)
    if before[number]:
        assert after[number]["start_s"] <= before[number]["start_s"]
        assert sum(after[number].values()) <= sum(before[number].values())
    if chosen == number:
        assert chosen_then == number


@given(st.data())
def test_a_run_that_ends_early_never_ranks_a_partition_lower(data: st.DataObject):
    """Its whole nodes are free now in place of being released later."""
    row = data.draw(rows("bsc/c/p"))
    assume(row.available and row.releases)
    whole = tuple(ReleaseIn(one.after_s, float(max(1, round(one.nodes)))) for one in row.releases)
    early = whole[data.draw(st.integers(0, len(whole) - 1))]
    rest = list(whole)
    rest.remove(early)
    idle = a_row("bsc", row.shape, int(early.nodes)).free
    before = replace(row, problem=Code.FITS, releases=whole)
    after = replace(before, releases=tuple(rest), free=(*row.free, *idle))
    job = a_job(1, data.draw(requests()))
    terms_before, terms_after = (
        _terms(a_snapshot(before), job)[1],
        _terms(a_snapshot(after), job)[1],
    )
    if terms_before[0]:
        assert terms_after[0]["start_s"] <= terms_before[0]["start_s"]


@given(snapshots(), queues)
def test_every_decision_is_explained_for_every_partition(snapshot: Snapshot, queue: Queue):
    plan = place(snapshot, queue, POLICY)
    for job, answer in answers(plan).items():
        assert frame_of(answer.decision) == plan.frame_id
        found = explain(job, bytes(answer.decision), plan.frame, 5.0)
        assert {one.partition for one in found.candidates} == set(plan.frame)
        assert len(found.candidates) == len(set(plan.frame))
        assert found.chosen == (answer.partition if isinstance(answer, Assignment) else None)
        for one in found.candidates:
            assert one.reasons
            assert one.feasible == (one.score_s is not None) == bool(one.terms)
            if one.score_s is not None:
                total = sum(seconds for _, seconds in one.terms)
                assert abs(total - one.score_s) <= 1e-3
        if found.chosen is not None:
            assert found.candidates[0].partition == found.chosen
            assert found.candidates[0].reasons[0].code is Code.CHOSEN
