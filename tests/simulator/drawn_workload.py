"""Small workloads drawn by hypothesis or from a seed."""

from __future__ import annotations

import numpy as np

from res_federation.simulator.workload import Workload


def workload(rows: list[tuple[int, int, int, int]], processors: int = 16) -> Workload:
    """Make a workload of (gap since the last submission, run time, estimate - run time, procs)."""
    columns = np.array(rows, np.int64).reshape(len(rows), 4)
    nobody = np.full(len(rows), -1, np.int64)
    return Workload(
        name="drawn", processors=processors, job_ids=np.arange(1, len(rows) + 1),
        submit=np.cumsum(columns[:, 0]), runtime=columns[:, 1],
        estimate=columns[:, 1] + columns[:, 2], procs=columns[:, 3],
        user=np.arange(len(rows)) % 5, group=nobody, queue=nobody,
    )  # fmt: skip


def drawn(seed: int, jobs: int, processors: int = 16, gap: int = 40) -> Workload:
    """Draw a workload from a seed, with ties in time and wide jobs."""
    draw = np.random.default_rng(seed)
    rows = np.stack(
        [
            draw.integers(0, gap, jobs) * draw.integers(0, 2, jobs),
            draw.integers(1, 200, jobs),
            draw.integers(0, 300, jobs) * draw.integers(0, 2, jobs),
            np.minimum(2 ** draw.integers(0, 5, jobs), processors),
        ],
        axis=1,
    )
    return workload([tuple(row) for row in rows.tolist()], processors)
