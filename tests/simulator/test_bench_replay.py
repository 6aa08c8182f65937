"""The benchmark of replays: what it compares is the same, and what it draws is as it says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from res_federation.cli import bench_replay
from res_federation.simulator.load import load_of
from res_federation.simulator.plain_easy import plain_easy
from res_federation.simulator.pool import replay_pool
from res_federation.simulator.traces.read import read_trace


def test_its_figures_are_there_and_its_starts_are_the_same(tmp_path):
    file = tmp_path / "small.swf"
    drawn = bench_replay.at(bench_replay.drawn(bench_replay.LIKE_KTH, 300, 5), 100, 0.9)
    bench_replay.write_swf(file, drawn)
    found = bench_replay.measure(trace=file, jobs=10_000, repeats=1, federation_jobs=300)
    assert found["same_starts"] is True
    assert (found["jobs"], found["large_jobs"]) == (300, 10_000)
    assert found["large_longest_queue"] > 400
    assert (found["federation_sites"], found["federation_jobs"]) == (14, 300)
    assert list(found["curve_ns_by_n_log2_n"]) == ["4096", "8192"]


def test_without_the_trace_one_alike_is_drawn():
    work = bench_replay.at(bench_replay.drawn(bench_replay.LIKE_KTH, 5000, 1), 100, 0.7)
    assert abs(load_of(work, 100) - 0.7) < 0.01
    assert 400 < np.median(work.runtime) < 1600
    assert work.procs.max() <= 100


def test_what_is_written_is_read_back(tmp_path):
    work = bench_replay.drawn(bench_replay.LIKE_KTH, 200, 4)
    bench_replay.write_swf(tmp_path / "a.swf", work)
    again = read_trace(tmp_path / "a.swf")
    for name in ("submit", "runtime", "procs", "estimate"):
        assert np.array_equal(getattr(again, name), getattr(work, name))


@given(seed=st.integers(0, 1000), load=st.floats(0.3, 3.0))
def test_plain_python_starts_every_job_when_the_kernels_do(seed, load):
    work = bench_replay.at(bench_replay.drawn(bench_replay.LIKE_KTH, 120, seed), 100, load)
    assert plain_easy(work, 100) == replay_pool(work, 100, "easy").start.tolist()
