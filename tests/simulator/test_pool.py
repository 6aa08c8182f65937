"""Whole traces on one pool: exact to the second, three times over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.simulator import (
    local_queue,
    pool,
    pool_passes,
    pool_plan,
    pool_profile,
    pool_state,
    pool_tree,
)
from res_federation.simulator.pool_state import DISCIPLINES
from res_federation.simulator.workload import Workload
from tests.simulator.drive import Row, drive
from tests.simulator.oracle import jobs_of, starts_of
from tests.simulator.slow_queue import SlowQueue
from tests.strategies import examples

MODULES = (pool_tree, pool_profile, pool_state, pool_plan, pool_passes, pool, local_queue)
SIZE = 8
ROWS = st.lists(
    st.tuples(st.integers(0, 25), st.integers(1, SIZE), st.integers(1, 12), st.integers(0, 10)).map(
        lambda row: (row[0], row[1], row[2], row[2] + row[3])
    ),
    max_size=14,
).map(sorted)


@pytest.fixture
def plain_kernels(monkeypatch):
    """Put the plain twin in the place of every kernel, also where one calls another."""
    for module in MODULES:
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)


def run(rows: list[Row], discipline: str, processors: int = SIZE) -> list[int]:
    table = np.array(rows, np.int64).reshape(-1, 4)
    submit, procs, runtime, estimate = (np.ascontiguousarray(table[:, k]) for k in range(4))
    which = DISCIPLINES[discipline]
    return list(pool.starts(submit, runtime, procs, estimate, processors, which).tolist())


def used(rows: list[Row], starts: list[int], second: int) -> int:
    return sum(
        row[1] for row, start in zip(rows, starts, strict=True) if start <= second < start + row[2]
    )


@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
@pytest.mark.parametrize("trace", ["micro-ties", "kth-sp2-5k", "kth-sp2-full"])
def test_every_start_is_the_oracles(trace, scheduler):
    workload = jobs_of(trace)
    outcome = pool.replay_pool(workload, workload.processors, scheduler)
    assert np.array_equal(outcome.start, starts_of(trace, scheduler, workload))


@pytest.mark.parametrize("discipline", DISCIPLINES)
@given(rows=ROWS)
def test_kernels_agree_with_the_slow_and_obviously_right_queue(discipline, rows):
    assert run(rows, discipline) == drive(SlowQueue(SIZE, discipline), rows)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_kernels_agree_with_their_plain_twins(discipline, plain_kernels):
    draw = np.random.default_rng(5)
    for _ in range(8):
        rows = _drawn(draw, 60)
        plain = run(rows, discipline)
        assert plain == drive(SlowQueue(SIZE, discipline), rows)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_longer_queues_agree_too(discipline):
    rows = _drawn(np.random.default_rng(11), 150, spread=120)
    assert run(rows, discipline) == drive(SlowQueue(SIZE, discipline), rows)


def _drawn(draw: np.random.Generator, jobs: int, spread: int = 60) -> list[Row]:
    submit = np.sort(draw.integers(0, spread, jobs))
    procs, runtime = draw.integers(1, SIZE + 1, jobs), draw.integers(1, 9, jobs)
    estimate = runtime + draw.integers(0, 7, jobs)
    columns = (column.tolist() for column in (submit, procs, runtime, estimate))
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("discipline", DISCIPLINES)
@given(rows=ROWS)
def test_no_processor_is_given_twice_and_every_job_runs_once_in_its_time(discipline, rows):
    starts = run(rows, discipline)
    assert all(start >= row[0] for row, start in zip(rows, starts, strict=True))
    assert all(used(rows, starts, second) <= SIZE for second in starts)


@given(rows=ROWS)
def test_fcfs_keeps_the_order_of_the_queue(rows):
    starts = run(rows, "fcfs")
    assert starts == sorted(starts)


@pytest.mark.parametrize("discipline", DISCIPLINES)
@given(rows=ROWS)
def test_the_head_of_the_queue_never_waits_beside_enough_free_processors(discipline, rows):
    starts = run(rows, discipline)
    for second in range(60):
        waiting = [k for k, row in enumerate(rows) if row[0] <= second < starts[k]]
        if waiting:
            assert rows[waiting[0]][1] > SIZE - used(rows, starts, second)


@given(rows=ROWS)
def test_easy_delays_no_head_beyond_its_shadow(rows):
    """With true estimates, what a blocked head is promised is kept."""
    rows = [(submit, procs, runtime, runtime) for submit, procs, runtime, _ in rows]
    queue, promised = SlowQueue(SIZE, "easy"), dict[int, int]()

    def watch(now: int) -> None:
        if queue.queue:
            head = queue.queue[0]
            promised.setdefault(head.key, queue.earliest(head, now) or 0)

    drive(queue, rows, watch)
    starts = run(rows, "easy")
    assert all(starts[key] <= until for key, until in promised.items())


@settings(max_examples=examples(50))
@given(rows=ROWS)
def test_conservative_keeps_every_promise_that_it_ever_made(rows):
    """What a job is first promised, and each earlier time since, bounds its start."""
    queue, promised = SlowQueue(SIZE, "conservative"), dict[int, int]()

    def watch(now: int) -> None:
        del now
        for job in queue.queue:
            assert job.reserved is not None
            assert job.reserved <= promised.get(job.key, job.reserved)
            promised[job.key] = job.reserved

    drive(queue, rows, watch)
    starts = run(rows, "conservative")
    assert all(starts[key] <= until for key, until in promised.items())


@given(rows=ROWS, last=st.tuples(st.integers(1, SIZE), st.integers(1, 12)))
def test_a_job_behind_changes_no_promise_before_it(rows, last):
    """Conservative with true estimates: one more job at the end of the queue delays nobody."""
    rows = [(submit, procs, runtime, runtime) for submit, procs, runtime, _ in rows]
    late = (max((row[0] for row in rows), default=0), last[0], last[1], last[1])
    assert run([*rows, late], "conservative")[:-1] == run(rows, "conservative")


def test_no_jobs_are_no_starts():
    assert run([], "easy") == []


@pytest.mark.parametrize(
    ("processors", "scheduler", "culprit"),
    [(0, "easy", "processor"), (9, "sjf", "sjf"), (5, "easy", "job 1 asks for 6")],
)
def test_what_cannot_be_replayed_is_refused_in_one_line(processors, scheduler, culprit):
    rows = np.array([[0, 6, 4, 4]], np.int64)
    workload = _workload(rows)
    with pytest.raises(InvalidArgument, match=culprit):
        pool.replay_pool(workload, processors, scheduler)


def _workload(rows: np.ndarray) -> Workload:
    nobody = np.full(len(rows), -1, np.int64)
    return Workload(
        name="drawn", processors=SIZE, job_ids=np.arange(1, len(rows) + 1),
        submit=rows[:, 0], procs=rows[:, 1], runtime=rows[:, 2], estimate=rows[:, 3],
        user=nobody, group=nobody, queue=nobody,
    )  # fmt: skip
