"""Jobs by class: the same plans as job by job, and as from the beginning, whatever came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given, settings

from res_federation.model.capacity import FreeNodes
from res_federation.model.job import Job
from res_federation.model.plan import Plan
from res_federation.placement import waiting
from res_federation.placement.engine import place
from res_federation.placement.order import in_turn
from res_federation.placement.policies import named
from res_federation.placement.policy import LateStart
from res_federation.placement.snapshot import Row, Snapshot
from res_federation.placement.waiting import Waiting
from tests.builders import a_job, a_snapshot
from tests.placement.drawn import queues, snapshots
from tests.placement.test_late_start import a_pool, a_wide
from tests.strategies import examples

POLICY = named("federated")

pools = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.integers(0, 12),
        st.lists(st.tuples(st.integers(0, 500), st.integers(1, 6)), max_size=3),
    ),
    min_size=1,
    max_size=3,
)
many = st.lists(
    st.tuples(st.sampled_from((1, 2, 5)), st.sampled_from((60, 400)), st.integers(-900, 0)),
    max_size=25,
)


def a_federation(drawn: Sequence[tuple[int, int, Sequence[tuple[int, int]]]]) -> Snapshot:
    rows = []
    for number, (size, free, releases) in enumerate(drawn):
        held = sum(nodes for _, nodes in releases)
        rows.append(a_pool(f"s{number}", size + held, min(free, size), *sorted(releases)))
    return a_snapshot(*rows)


def a_queue(asked: Sequence[tuple[int, int, int]]) -> list[Job]:
    return [a_wide(n, width, limit, float(at)) for n, (width, limit, at) in enumerate(asked)]


def sent(plan: Plan) -> list[tuple[object, ...]]:
    return [(one.job, one.row, bytes(one.decision)) for one in plan.assignments]


class JobByJob(Waiting):
    """The plain twin: every job is a class of its own, and each is asked in its turn."""

    def _class(self, job: Job) -> int:
        key = (job.id,)
        number = self._classes[key] = self._new_class(job, key)
        self.counts[number] += 1
        return number


@settings(max_examples=examples(150))
@given(pools, many, st.integers(0, 3))
def test_walking_by_class_sends_whom_walking_job_by_job_sends(drawn, asked, count):
    snapshot, queue = a_federation(drawn), a_queue(asked)
    policy = replace(POLICY, late=LateStart(reservations=count))
    by_class = place(snapshot, Waiting(0, queue).view(), policy)
    assert sent(place(snapshot, JobByJob(0, queue).view(), policy)) == sent(by_class)
    order = [job.id for job in in_turn(queue, snapshot.at, policy)]
    turns = [order.index(one.job) for one in by_class.assignments]
    assert turns == sorted(turns), "they are sent in their turn"


def _changed(row: Row, free: int) -> Row:
    bars = (FreeNodes(min(free, row.nodes), row.shape.cores or 1, -1, 0),) if free else ()
    return replace(row, free=bars)


@settings(max_examples=examples(150), deadline=None)
@given(
    pools,
    many,
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(1, 200), st.integers(0, 24)),
        max_size=8,
    ),
)
def test_a_round_after_others_decides_as_the_first_one_would(drawn, asked, changes):
    snapshot, queue = a_federation(drawn), a_queue(asked)
    store = Waiting(0, queue)
    live = {job.id: job for job in queue}
    for which, free, later, gone in changes:
        rows = list(snapshot.rows)
        rows[which % len(rows)] = _changed(rows[which % len(rows)], free)
        snapshot = replace(
            snapshot, rows=tuple(rows), at=snapshot.at + later, version=snapshot.version + 1
        )
        plan = place(snapshot, store.view(), POLICY)
        anew = place(snapshot, tuple(live.values()), POLICY)
        assert plan == anew
        swept = place(snapshot, store.view(), POLICY, sweep=True)
        assert swept == anew
        assert swept.caught == 0
        leaving = [one.job for one in plan.assignments] + sorted(live)[gone : gone + 1]
        for job in leaving:
            store.remove(job)
            live.pop(job, None)
        back = a_wide(1000 + later, 1 + free % 3, 60, snapshot.at)
        if back.id not in live:
            store.add(back)
            live[back.id] = back


@given(snapshots(), queues)
def test_any_queue_decides_the_same_again_and_with_a_sweep(snapshot, queue):
    view = Waiting(POLICY.seed, queue).view()
    first = place(snapshot, view, POLICY)
    assert place(snapshot, view, POLICY) == first
    assert place(snapshot, view, POLICY, sweep=True) == first == place(snapshot, queue, POLICY)


def test_jobs_of_one_class_share_their_score():
    store = Waiting(0, [a_wide(n, 4) for n in range(500)])
    store.add(a_job(1000, array=tuple(range(5000))))
    view = store.view()
    place(a_federation([(4, 0, [])]), view, POLICY)
    assert view.memo.scored_shapes == 2


def test_only_classes_that_could_use_a_change_are_looked_at():
    full = [a_pool("bsc", 10, 0), a_pool("uv", 4, 0)]
    wide = [a_wide(n, 5 + n % 5, 60 + n) for n in range(40)]
    narrow = [a_wide(100 + n, 1 + n % 3, 50_000 + n) for n in range(40)]
    view = Waiting(0, [*wide, *narrow]).view()
    place(a_snapshot(*full), view, POLICY)
    same = place(a_snapshot(*full), view, POLICY)
    assert same.looked <= 2, "no more than who has places kept"
    some = place(a_snapshot(full[0], a_pool("uv", 4, 1)), view, POLICY)
    assert 14 <= some.looked <= 17, "those that fit in what came free, and who has places kept"


def test_a_view_stays_as_it_was():
    jobs = [a_wide(n, 1) for n in range(200)]
    store = Waiting(0, jobs[:100])
    view = store.view()
    for job in jobs[100:]:
        store.add(job)
    for job in jobs[:50]:
        store.remove(job.id)
    assert [job.id for job in view] == [job.id for job in jobs[:100]]
    assert [job.id for job in store.view()] == [job.id for job in jobs[50:]]


def test_a_view_may_be_read_when_the_next_one_is_made():
    jobs = [a_wide(n, 1) for n in range(20)]
    store = Waiting(0, jobs[:10])
    view = store.view()
    for job in jobs[:10]:
        store.remove(job.id)
    for job in jobs[10:]:
        store.add(job)
    store.view()
    assert [job.id for job in view] == [job.id for job in jobs[:10]]


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_a_class_is_in_order_however_jobs_come_and_go(steps):
    store, live = Waiting(), {}
    for number, comes in steps:
        job = a_wide(number, 1, submitted=float(number % 7))
        if comes and job.id not in live:
            store.add(job)
            live[job.id] = job
        elif not comes:
            store.remove(job.id)
            live.pop(job.id, None)
        expected = sorted(live.values(), key=lambda one: (one.submitted, one.id))
        assert [one.id for one in store.view()] == [one.id for one in expected]
        assert len(store) == len(live)


def test_classes_without_jobs_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr(waiting, "_EMPTY_CLASSES", 3)
    store = Waiting()
    snapshot = a_federation([(4, 4, [])])
    for number in range(30):
        job = a_wide(number, 1 + number % 4, 100 + number)
        store.add(job)
        plan = place(snapshot, store.view(), POLICY)
        assert plan == place(snapshot, (job,), POLICY)
        store.remove(job.id)
    assert len(store.view().specimens) < 10
