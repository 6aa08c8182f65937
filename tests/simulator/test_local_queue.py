"""The queue event by event: as a whole-trace replay, and what only a live queue knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import AlreadyExists, InvalidArgument, NotFound
from res_federation.simulator import pool
from res_federation.simulator.local_queue import LocalQueue
from res_federation.simulator.pool_state import DISCIPLINES
from tests.simulator.drive import drive
from tests.simulator.oracle import jobs_of
from tests.simulator.slow_queue import SlowQueue

SIZE = 8
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit"] * 5 + ["finish"] * 3 + ["cancel", "resize", "wait"]),
        st.integers(0, 5),  # seconds since the step before
        st.integers(1, SIZE),
        st.integers(1, 9),
        st.sampled_from([0.0, 1.0, -2.5, 7.0]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_real_trace_driven_event_by_event_is_the_whole_trace_replay(discipline):
    workload = jobs_of("kth-sp2-5k")
    whole = pool.replay_pool(workload, workload.processors, discipline).start.tolist()
    columns = (workload.submit, workload.procs, workload.runtime, workload.estimate)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert drive(LocalQueue(workload.processors, discipline), rows) == whole


@pytest.mark.parametrize("order", ["submit", "fair-share"])
@pytest.mark.parametrize("discipline", DISCIPLINES)
@given(steps=STEPS)
def test_whatever_happens_it_does_what_the_slow_queue_does(discipline, order, steps):
    """Cancels, ends before and after the believed one, drains, returns, priorities."""
    fast = LocalQueue(SIZE, discipline, order=order)
    slow = SlowQueue(SIZE, discipline, order=order)
    now, running = 0, list[int]()
    for key, (what, later, procs, estimate, priority) in enumerate(steps):
        now += later
        if what == "submit":
            fast.submit(key, procs, estimate, now, priority)
            slow.submit(key, procs, estimate, now, priority)
        elif what == "finish" and running:
            ended = running.pop(procs % len(running))
            fast.finish(ended, now)
            slow.finish(ended, now)
        elif what == "cancel":
            assert fast.cancel(key - procs) == slow.cancel(key - procs)
        elif what == "resize":
            fast.set_processors(procs)
            slow.set_processors(procs)
        started = fast.start(now)
        assert started == slow.start(now)
        running += started
        assert fast.free == slow.free
        assert fast.waiting == len(slow.queue)
        assert fast.running == len(slow.runs)
        assert fast.pending_work == sum(job.procs * job.estimate for job in slow.queue)
        expected = sorted((slow.end(job, now), job.procs) for job in slow.runs.values())
        assert fast.releases(now) == expected


def test_higher_priorities_come_first_and_equal_ones_as_they_came():
    queue = LocalQueue(1, "fcfs", order="formula")
    for key, priority in enumerate([0.0, -1.5, 3e300, -1e-9, 0.5, float("inf"), 0.5]):
        queue.submit(key, 1, 10, 0, priority)
    begun = []
    while queue.waiting:
        (key,) = queue.start(0)
        begun.append(key)
        queue.finish(key, 0)
    assert begun == [5, 2, 4, 6, 0, 3, 1]


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_queue_of_thousands_is_no_burden(discipline):
    """Slots grow, are used again, and nothing is left behind."""
    queue = LocalQueue(64, discipline)
    draw = np.random.default_rng(3)
    procs, estimates = draw.integers(1, 65, 3000).tolist(), draw.integers(1, 9000, 3000).tolist()
    for key in range(3000):
        queue.submit(key, procs[key], estimates[key], 0)
    assert queue.waiting == 3000
    done, now, ends = 0, 0, dict[int, int]()
    while queue.waiting or queue.running:
        ends |= {key: now + estimates[key] for key in queue.start(now)}
        now = min(ends.values())
        for key in [key for key, end in ends.items() if end == now]:
            queue.finish(key, now)
            del ends[key]
            done += 1
    assert done == 3000
    assert queue.free == 64
    assert queue.pending_work == 0


def test_what_waits_is_not_finished_and_what_runs_is_not_cancelled():
    queue = LocalQueue(4, "easy")
    queue.submit(1, 4, 10, 0)
    queue.submit(2, 4, 10, 0)
    assert queue.start(0) == [1]
    assert not queue.cancel(1)
    with pytest.raises(NotFound, match="job 2"):
        queue.finish(2, 5)
    with pytest.raises(AlreadyExists, match="job 2"):
        queue.submit(2, 1, 1, 5)
    assert queue.cancel(2)
    assert not queue.cancel(2)
    queue.finish(1, 5)
    assert (queue.free, queue.waiting, queue.running) == (4, 0, 0)


def test_during_an_outage_nothing_starts_and_what_runs_goes_on():
    queue = LocalQueue(4, "easy")
    queue.submit(1, 3, 10, 0)
    queue.start(0)
    queue.set_processors(0)
    queue.submit(2, 1, 10, 1)
    assert queue.start(1) == []
    assert (queue.free, queue.processors) == (-3, 0)
    queue.finish(1, 10)
    assert queue.start(10) == []
    queue.set_processors(4)
    assert queue.start(20) == [2]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LocalQueue(4, "sjf"),
        lambda: LocalQueue(-1, "easy"),
        lambda: LocalQueue(4, "easy", order="luck"),
        lambda: LocalQueue(4, "easy").submit(1, 0, 5, 0),
        lambda: LocalQueue(4, "easy").submit(1, 1, 0, 0),
        lambda: LocalQueue(4, "easy").submit(1, 1, 5, 0, float("nan")),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        wrong()
