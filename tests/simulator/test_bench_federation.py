"""The bench of the production machine replays what it says."""

from __future__ import annotations

from itertools import count

from res_federation.simulator.bench_federation import bench_federation


def test_it_says_what_was_replayed_and_how_fast():
    clock = count()
    found = bench_federation(200, 14, 1, seconds=lambda: float(next(clock)))
    assert (found["jobs"], found["sites"]) == (200, 14)
    assert (found["seconds"], found["jobs_per_second"]) == (1.0, 200.0)
