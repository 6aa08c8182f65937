"""Ratios over seeds: paired, with Student's interval, and none where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.simulator.statistics_of_seeds import (
    baseline_of,
    mean_over_seeds,
    ratio_over_seeds,
    student,
)


def test_one_seed_has_no_interval():
    ratio = ratio_over_seeds({1: 50.0}, {1: 100.0})
    assert (ratio.ratio, ratio.low, ratio.high, ratio.seeds) == (0.5, None, None, 1)
    assert mean_over_seeds([3.0]).half_width is None


def test_seeds_are_paired():
    under = {1: 100.0, 2: 1000.0, 3: 10.0}
    over = {seed: value / 2 for seed, value in under.items()} | {9: 1.0}
    ratio = ratio_over_seeds(over, under)
    assert ratio.seeds == 3
    assert ratio.ratio == pytest.approx(0.5)
    assert ratio.low == pytest.approx(0.5)  # the seeds differ much, their ratios not at all
    assert ratio.high == pytest.approx(0.5)


def test_nothing_is_divided_by_zero():
    assert ratio_over_seeds({1: 5.0}, {1: 0.0}).ratio is None
    assert ratio_over_seeds({1: 0.0}, {1: 0.0}).ratio == 1.0
    assert ratio_over_seeds({1: 0.0, 2: 1.0}, {1: 2.0, 2: 2.0}).ratio == 0.25
    assert ratio_over_seeds({}, {}).ratio is None


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=40))
def test_a_ratio_lies_in_its_interval_and_turned_round_is_its_inverse(values):
    over = dict(enumerate(values))
    under = dict(enumerate(reversed(values)))
    one, other = ratio_over_seeds(over, under), ratio_over_seeds(under, over)
    assert one.ratio is not None
    assert other.ratio is not None
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.ratio <= one.high
    assert one.ratio * other.ratio == pytest.approx(1.0)


def test_the_interval_holds_the_truth_nineteen_times_in_twenty():
    draw = np.random.default_rng(5)
    held = 0
    for _ in range(2000):
        logs = draw.normal(math.log(0.8), 0.3, 5)
        ratio = ratio_over_seeds(
            dict(enumerate(np.exp(logs).tolist())), dict.fromkeys(range(5), 1.0)
        )
        assert ratio.low is not None
        assert ratio.high is not None
        held += ratio.low <= 0.8 <= ratio.high
    assert 0.935 < held / 2000 < 0.965


def test_quantiles_fall_to_the_normal_one():
    falling = [student(freedom) for freedom in (1, 2, 5, 30, 31, 60, 120, 10_000)]
    assert falling == sorted(falling, reverse=True)
    assert student(60) == pytest.approx(2.000, abs=2e-3)
    assert student(120) == pytest.approx(1.980, abs=1e-3)


def test_slurm_is_the_yardstick_where_it_is():
    assert baseline_of(["random", "slurm-federation"]) == "slurm-federation"
    assert baseline_of(["random", "federated"]) == "random"
