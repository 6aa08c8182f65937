"""Measures placements a second, in process and through Ray, over the members' own partitions.

The two are measured in turns, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from time import perf_counter

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import new_job_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.model.site import Site
from res_federation.placement.declared import all_free
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.placement.rows import draw, encode_rows
from res_federation.placement.score import Scatter, in_process
from res_federation.placement.shapes import encode_jobs
from res_federation.placement.snapshot import Snapshot
from res_federation.scatter.ray_scatter import RayScatter
from res_federation.slurm.dialect import Dialect

_FAMILIES = ("", "a100", "h100", "v100")


def _nothing() -> None:
    """Set nothing up."""


def bench_place(
    sites: Sequence[Site],
    *,
    dialects: Mapping[str, Dialect] | None = None,
    jobs: int = 10_000,
    workers: int = 2,
    repeats: int = 25,
    seed: int = 0,
    home: Path | None = None,
    begin: Callable[[], None] = _nothing,
) -> dict[str, object]:
    """Place *jobs* queued jobs over all partitions of *sites*, idle at first, again and again.

    Args:
        sites: The members.
        dialects: How they want their scripts.
        jobs: Jobs of a round; about four in five have a shape of their own.
        workers: Ray workers.
        repeats: Rounds of each measure.
        seed: Draws the jobs, and settles ties.
        home: Where the Ray runtime keeps its files.
        begin: Sets the process up that drives Ray (its logs); it must pickle by name.

    Returns:
        ``jobs, shapes, rows, in_process_per_s, ray_per_s`` (medians), ``ratio`` (median of the
        ratios of neighbouring rounds), ``spread`` (least and greatest of those ratios),
        ``workers, repeats, same_plan``.

    Raises:
        RoundLost: If Ray could not be had.

    """
    snapshot, policy = all_free(sites, dialects=dialects), Policy(seed=seed)
    queue = drawn_jobs(jobs, seed)
    rows = encode_rows(snapshot, policy)
    shapes = len(encode_jobs(queue, rows, snapshot.distances, policy).shapes.numbers)
    ray = RayScatter(workers, home=home, begin=begin)
    try:
        ray.start()
        same = place(snapshot, queue, policy) == place(snapshot, queue, policy, scatter=ray)
        pairs = [
            (_rate(snapshot, queue, policy, in_process), _rate(snapshot, queue, policy, ray))
            for _ in range(repeats)
        ]
    finally:
        ray.close()
    ratios = [through_ray / here for here, through_ray in pairs]
    return {
        "jobs": jobs,
        "shapes": shapes,
        "rows": len(rows.frame),
        "in_process_per_s": round(statistics.median(here for here, _ in pairs), 1),
        "ray_per_s": round(statistics.median(through_ray for _, through_ray in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "workers": workers,
        "repeats": repeats,
        "same_plan": same,
    }


def _rate(snapshot: Snapshot, jobs: Sequence[Job], policy: Policy, scatter: Scatter) -> float:
    """Return placements a second of one round."""
    begun = perf_counter()
    place(snapshot, jobs, policy, scatter=scatter)
    return len(jobs) / (perf_counter() - begun)


def drawn_jobs(count: int, seed: int) -> list[Job]:
    """Return *count* jobs drawn from *seed*: many shapes, a third of them with accelerators."""
    return [_job(number, draw(str(number), seed)) for number in range(count)]


def _job(number: int, bits: int) -> Job:
    request = ResourceRequest(
        tasks=1 << (bits & 7),
        cpus_per_task=1 + (bits >> 3) % 4,
        memory_per_cpu_mib=(512, 1024, 1536, 2048)[(bits >> 8) % 4],
    )
    if (bits >> 12) % 3 == 0:
        request = ResourceRequest(
            nodes=1 + (bits >> 16) % 4,
            tasks_per_node=1 + (bits >> 20) % 4,
            cpus_per_task=1 + (bits >> 24) % 8,
            accelerator=AcceleratorNeed(family=_FAMILIES[(bits >> 28) % 4]),
            accelerators_per_node=1 + (bits >> 32) % 4,
        )
    spec = JobSpec(
        name=f"bench-{number}",
        user="bench",
        script="#!/bin/sh\n",
        request=request,
        time_limit_s=60 * (1 + (bits >> 40) % 1440),
    )
    entropy = blake2b(number.to_bytes(8, "little"), digest_size=10).digest()
    return Job(id=new_job_id(number, entropy), spec=spec, submitted=float(number))
