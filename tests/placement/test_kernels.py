"""Compiled loops and their plain twins say the same."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from res_federation.model.resources import layout_numbers
from res_federation.placement import fit, kernels
from res_federation.placement.compiling import compiled
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.placement.row_memo import encode_rows
from res_federation.placement.score import Board, Shard, score_shard
from res_federation.placement.shapes import encode_jobs
from res_federation.slurm.site_rules import NO_RULES, ruled_layout
from tests.placement.drawn import queues, snapshots
from tests.strategies import examples

layout = compiled(layout_numbers)
KERNELS = [name for name, value in vars(kernels).items() if hasattr(value, "py_func")]


def test_every_loop_has_its_twin():
    loops = {
        name
        for name, value in vars(kernels).items()
        if isinstance(value, FunctionType) and value.__module__ == kernels.__name__
    }
    assert loops == set(), "each is compiled"
    assert {"score_shapes", "decide", "fitting", "take", "wait_for"} <= set(KERNELS)


@pytest.fixture
def plainly(monkeypatch):
    """Give a function that runs another one with all kernels plain."""

    def run(function, *args):
        with monkeypatch.context() as patch:
            for name in KERNELS:
                patch.setattr(kernels, name, getattr(kernels, name).py_func)
            with np.errstate(over="ignore"):
                return function(*args)

    return run


def _place(snapshot, queue) -> Any:
    return place(snapshot, queue, Policy(max_waiting_per_partition=4))


def test_plans_are_the_same_with_plain_loops(plainly):
    @settings(max_examples=examples(30))
    @given(snapshots(), queues)
    def law(snapshot, queue):
        assert plainly(_place, snapshot, queue) == _place(snapshot, queue)

    law()


@given(snapshots(), queues)
def test_scores_of_a_shard_do_not_depend_on_the_rest(snapshot, queue):
    rows = encode_rows(snapshot, Policy())
    shapes = encode_jobs(queue, rows, snapshot.distances, Policy()).shapes
    board = Board(1, rows.fixed, shapes.codes)
    whole = score_shard(board, Shard(0, shapes.numbers, shapes.tables)).verdicts
    for number in range(len(shapes.numbers)):
        part = slice(number, number + 1)
        alone = score_shard(board, Shard(0, shapes.numbers[part], shapes.tables[part]))
        assert (alone.verdicts == whole[part]).all()


@given(st.tuples(*(st.sampled_from((-2, -1, 1, 2, 7, 64, 4000)),) * 3), st.data())
def test_the_fit_test_is_the_same_compiled(shape, data):
    numbers = st.sampled_from((-1, 1, 2, 8, 100))
    request = [data.draw(numbers) for _ in range(11)]
    request[3] = abs(request[3])
    rule = (data.draw(st.sampled_from((0, 20, 32))), *(data.draw(st.integers(0, 2)) for _ in "ab"))
    share, wish = (data.draw(st.sampled_from((0, 1, 2048))) for _ in "ab")
    flags = st.sampled_from((0, 1))
    exclusive, home = data.draw(flags), data.draw(flags)
    args = (*request, exclusive, *shape, *rule, share, wish, home)
    assert fit.layout(*args) == ruled_layout(*args)
    plain = (*request, exclusive, *shape)
    found = ruled_layout(*plain, *NO_RULES, 0, 0)
    assert found[:3] == layout_numbers(*plain)[:3], "without rules it is the plain test"
    if found[0] == 0:
        assert found[3:7] == layout_numbers(*plain)[3:7]
    job, site = [*args[:12], 60, 1, wish, 1 - home], [*shape, *(0,) * 8, *rule, share, 0]
    board = (np.array([job]), np.array([site]))
    loop: Any = fit.lay_out
    expected = list(ruled_layout(*args)[:7])
    assert loop(*board)[0, 0].tolist() == loop.py_func(*board)[0, 0].tolist() == expected


amounts = st.tuples(
    st.integers(0, 4), st.integers(1, 64), st.sampled_from((-1, 100, 900)), st.integers(0, 4)
)


@given(
    st.lists(amounts, min_size=1, max_size=5),
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(0, 200), st.integers(0, 2)),
    st.integers(1, 6),
    st.integers(0, 8),
)
def test_what_is_taken_is_what_was_there(histogram, lies, tasks, spare):
    free = np.zeros((len(histogram) + spare, 4), np.int64)
    free[: len(histogram)] = histogram
    layout = np.array(lies, np.int64)
    before = free.copy()
    fits = min(kernels.fitting(free, len(histogram), layout, tasks) // lies[0], tasks)
    if fits == 0:
        return
    bars = kernels.take(free, len(histogram), layout, fits)
    assert bars <= len(free)
    assert (free[:, 0] >= 0).all()
    taken = fits * lies[0]
    for column, each in ((1, lies[1]), (3, lies[3])):
        gone = (before[:, 0] * before[:, column]).sum() - (free[:, 0] * free[:, column]).sum()
        assert gone >= taken * each
    assert free[:bars, 0].sum() <= before[:, 0].sum(), "no node appears from nowhere"
