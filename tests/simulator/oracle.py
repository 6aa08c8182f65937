"""The oracle that lies beside the repository, where there is one: jobs and exact starts."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from res_federation.simulator.workload import Ints, Workload

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"


def jobs_of(name: str) -> Workload:
    """Read the cleaned jobs of an oracle; skips the test where there is none."""
    folder = ORACLE / name
    if not folder.is_dir():
        pytest.skip("no oracle beside the repository")
    with gzip.open(folder / "jobs.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    columns = {key: np.array([int(row[key]) for row in rows], np.int64) for key in rows[0]}
    order = np.argsort(columns["submit"], kind="stable")
    nobody = np.full(len(rows), -1, np.int64)
    return Workload(
        name=name,
        processors=json.loads((folder / "aggregates.json").read_text())["processors"],
        job_ids=columns["job_id"][order], submit=columns["submit"][order],
        runtime=columns["runtime"][order], estimate=columns["estimate"][order],
        procs=columns["procs"][order], user=nobody, group=nobody, queue=nobody,
        line=order.astype(np.int64),
    )  # fmt: skip


def starts_of(name: str, scheduler: str, workload: Workload) -> Ints:
    """Return the exact starts in the order of *workload*."""
    with gzip.open(ORACLE / name / f"{scheduler}.start.csv.gz", "rt") as file:
        starts = {int(row["job_id"]): int(row["start"]) for row in csv.DictReader(file)}
    return np.array([starts[job] for job in workload.job_ids.tolist()], np.int64)
