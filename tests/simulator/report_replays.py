"""Makes directories as `replay`, `compare` and `sweep` write them, with drawn jobs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

SITES = (("bsc", 4000), ("csuc", 1200), ("cesga", 1500), ("scayle", 900), ("uma", 600))


def write_replay(
    place: Path,
    *,
    jobs: int = 300,
    policy: str = "federated",
    seed: int = 1,
    slower: float = 1.0,
    groups: tuple[str, ...] = (),
    sites: tuple[tuple[str, int], ...] = SITES,
    **more: Any,
) -> Path:
    """Write one replay of drawn jobs; *slower* stretches its waits."""
    draw = np.random.default_rng([seed, 7])
    place.mkdir(parents=True, exist_ok=True)
    submit = np.sort(draw.integers(0, 14 * 86400, jobs)) + 1_700_000_000
    wait = (draw.lognormal(6.5, 1.8, jobs) * slower).astype(int)
    run = np.maximum(draw.lognormal(8.2, 1.6, jobs), 1).astype(int)
    procs = np.exp2(draw.uniform(0, 10, jobs)).astype(int)
    weights = np.array([size for _, size in sites], float)
    site = draw.choice(len(sites), jobs, p=weights / weights.sum())
    with (place / "jobs.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["job_id", "site", "partition", "submit", "start", "end", "procs"])
        for number in range(jobs):
            name = sites[site[number]][0]
            start = submit[number] + wait[number]
            part = f"{name}/c/{'gpu' if procs[number] > 400 else 'cpu'}"
            writer.writerow(
                [number + 1, name, part, submit[number], start, start + run[number], procs[number]]
            )
    if groups:
        with (place / "groups.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["job_id", "group"])
            writer.writerows(
                [number + 1, groups[draw.integers(len(groups))]] for number in range(jobs)
            )
    slow = np.maximum(1.0, (wait + run) / np.maximum(run, 10))
    summary = {
        "trace": "drawn", "machine": None, "scheduler": "easy", "policy": policy, "seed": seed,
        "jobs": jobs, "dropped": {}, "mean_wait": float(wait.mean()), "max_wait": int(wait.max()),
        "p50_wait": float(np.median(wait)), "p95_wait": float(np.percentile(wait, 95)),
        "mean_bounded_slowdown": float(slow.mean()), "utilisation": 0.71 / slower**0.1,
        "makespan": int((submit + wait + run).max() - submit.min()),
        "first_submit": int(submit.min()), "last_end": int((submit + wait + run).max()),
        "sites": {name: {"processors": size} for name, size in sites},
        **more,
    }  # fmt: skip
    (place / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return place
