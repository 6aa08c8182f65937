"""A queue over nodes: like the pool where nodes have one core, never more than a node has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.model.resources import Layout, NodeShape
from res_federation.simulator.shaped_queue import ShapedQueue
from tests.simulator.drawn_workload import drawn
from tests.simulator.plain_queue import PlainQueue
from tests.strategies import examples

NODES = 6
SHAPE = NodeShape(cores=8, memory_mib=64, accelerator="nvidia-v100", accelerators=2)


def drive(queue, sizes, jobs):
    """Play a workload out; return the starts and the nodes of each job."""
    submit, runtime, limit = (x.tolist() for x in (jobs.submit, jobs.runtime, jobs.estimate))
    start: dict[int, int] = {}
    ends: dict[int, list[int]] = {}
    times = set(submit)
    while times:
        now = min(times)
        times.remove(now)
        for job in ends.pop(now, []):
            queue.finish(job, now)
        for job in range(len(jobs)):
            if submit[job] == now:
                queue.submit(job, sizes[job], limit[job], now)
        for job in queue.start(now):
            start[job] = now
            ends.setdefault(now + runtime[job], []).append(job)
            times.add(now + runtime[job])
    return start


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("discipline", ["fcfs", "easy"])
def test_nodes_of_one_core_are_a_pool(seed, discipline):
    jobs = drawn(seed, 120, gap=15)
    procs = jobs.procs.tolist()
    plain = drive(PlainQueue(16, discipline), procs, jobs)
    shaped = ShapedQueue(NodeShape(1, None), 16, discipline)
    assert drive(shaped, [Layout(n, 1, 0, 0) for n in procs], jobs) == plain


layouts = st.builds(
    Layout, st.integers(1, NODES), st.integers(1, 8), st.sampled_from([0, 1, 32, 64]),
    st.sampled_from([0, 0, 1, 2]),
)  # fmt: skip
requests = st.lists(st.tuples(layouts, st.integers(1, 50), st.integers(0, 9)), max_size=25)


@settings(max_examples=examples(40), deadline=None)
@given(requests, st.sampled_from(["fcfs", "easy", "conservative"]))
def test_no_node_gives_more_than_it_has_and_everything_runs(wanted, discipline):
    queue = ShapedQueue(SHAPE, NODES, discipline)
    now, ran = 0, []
    ends: dict[int, int] = {}
    for key, (layout, estimate, gap) in enumerate(wanted):
        now += gap
        for job, end in sorted(ends.items()):
            if end <= now:
                queue.finish(job, now)
                del ends[job]
        queue.submit(key, layout, estimate, now)
        for job in queue.start(now):
            ends[job] = now + wanted[job][1]
            ran.append(job)
        assert (queue._free >= 0).all()
    while ends:
        now = min(ends.values())
        for job in [job for job, end in ends.items() if end == now]:
            queue.finish(job, now)
            del ends[job]
        for job in queue.start(now):
            ends[job] = now + wanted[job][1]
            ran.append(job)
        assert (queue._free >= 0).all()
    assert sorted(ran) == list(range(len(wanted)))
    if discipline == "fcfs":
        assert ran == sorted(ran)
    assert np.array_equal(queue._free, np.tile([8, 64, 2], (NODES, 1)))


@settings(max_examples=examples(60), deadline=None)
@given(requests.filter(len), st.sampled_from(["easy", "conservative"]))
def test_backfilling_never_delays_the_head(wanted, discipline):
    """Queue all at once: the first that cannot begin does so no later than without the others."""

    def first_start(jobs):
        queue = ShapedQueue(SHAPE, NODES, discipline)
        for key, (layout, estimate, _) in jobs:
            queue.submit(key, layout, estimate, 0)
        now, starts = 0, {}
        ends: dict[int, int] = {}
        while True:
            for job in queue.start(now):
                starts[job] = now
                ends[job] = now + wanted[job][1]
            if not ends:
                return starts
            now = min(ends.values())
            for job in [job for job, end in ends.items() if end == now]:
                queue.finish(job, now)
                del ends[job]

    jobs = list(enumerate(wanted))
    all_of_them = first_start(jobs)
    head = next((key for key, _ in jobs if all_of_them[key] > 0), None)
    if head is not None:
        alone = first_start(jobs[: head + 1])
        assert all_of_them[head] <= alone[head]


def test_nodes_that_leave_finish_what_they_run():
    queue = ShapedQueue(SHAPE, 2, "easy")
    queue.submit(1, Layout(2, 8, 0, 0), 10, 0)
    assert queue.start(0) == [1]
    queue.set_processors(1)
    queue.submit(2, Layout(1, 4, 0, 0), 10, 0)
    queue.submit(3, Layout(2, 1, 0, 0), 10, 0)
    assert queue.start(1) == []
    queue.finish(1, 10)
    assert queue.start(10) == [2]
    queue.set_processors(2)
    assert queue.start(11) == [3]
    assert [(bar.nodes, bar.cores) for bar in queue.histogram()] == [(1, 3), (1, 7)]
