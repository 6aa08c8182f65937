"""Measures placements a second, in process and through Ray, over the members' own partitions.

The two are measured in turns, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from time import perf_counter

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import PartitionId, SiteId, new_job_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.model.site import Site
from res_federation.placement.declared import all_free
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.placement.rows import draw
from res_federation.placement.score import Scatter, in_process
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.waiting import Waiting
from res_federation.scatter.bench_queue import without_collection
from res_federation.scatter.ray_scatter import RayScatter
from res_federation.slurm.dialect import Dialect

_FAMILIES = ("", "a100", "h100", "v100")


_MANY_SITES = 1000


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
        jobs: Jobs of a round; nearly each has a shape of its own.
        workers: Ray workers.
        repeats: Rounds of each measure.
        seed: Draws the jobs, and settles ties.
        home: Where the Ray runtime keeps its files.
        begin: Sets the process up that drives Ray; it must pickle by name.

    Returns:
        ``policy, jobs, classes, rows, in_process_per_s, ray_per_s`` (medians of warm rounds, every
        class looked at), ``ratio`` (median of neighbouring rounds), ``spread`` (least, greatest);
        the same with ``cold_`` for rounds that know nothing; ``workers, repeats, same_plan``;
        ``sites_1000_times``: how many times as long a round takes with 1,000 sites.

    Raises:
        RoundLost: If Ray could not be had.

    """
    snapshot, policy = all_free(sites, dialects=dialects), named("federated", seed)
    queue = drawn_jobs(jobs, seed)
    here, there = Waiting(seed, queue).view(), Waiting(seed, queue).view()
    ray = RayScatter(workers, home=home, begin=begin)
    try:
        ray.start()
        same = place(snapshot, queue, policy) == place(snapshot, queue, policy, scatter=ray)
        cold = _in_turns(snapshot, queue, queue, policy, ray, max(3, repeats // 5))
        _in_turns(snapshot, here, there, policy, ray, 1)
        warm = _in_turns(snapshot, here, there, policy, ray, repeats)
    finally:
        ray.close()
    many = all_free(multiplied(sites, _MANY_SITES), dialects=dialects)
    times = statistics.median(one for one, _ in warm) / _warm_rate(many, queue, policy)
    return {
        "policy": policy.name,
        "jobs": jobs,
        "classes": len(here.specimens),
        "rows": len(snapshot.rows),
        **_told("", warm),
        **_told("cold_", cold),
        "workers": workers,
        "repeats": repeats,
        "same_plan": same,
        "sites_1000_rows": len(many.rows),
        "sites_1000_times": round(times, 2),
    }


def _in_turns(
    snapshot: Snapshot,
    here: Sequence[Job],
    there: Sequence[Job],
    policy: Policy,
    ray: Scatter,
    repeats: int,
) -> list[tuple[float, float]]:
    """Return rates in process and through Ray, measured one after the other again and again."""
    return [
        (_rate(snapshot, here, policy, in_process), _rate(snapshot, there, policy, ray))
        for _ in range(repeats)
    ]


def _warm_rate(snapshot: Snapshot, queue: Sequence[Job], policy: Policy) -> float:
    """Return the median rate of warm rounds in process."""
    view = Waiting(policy.seed, queue).view()
    _rate(snapshot, view, policy, in_process)
    return statistics.median(_rate(snapshot, view, policy, in_process) for _ in range(3))


def _told(prefix: str, pairs: Sequence[tuple[float, float]]) -> dict[str, object]:
    ratios = [there / here for here, there in pairs]
    return {
        f"{prefix}in_process_per_s": round(statistics.median(here for here, _ in pairs), 1),
        f"{prefix}ray_per_s": round(statistics.median(there for _, there in pairs), 1),
        f"{prefix}ratio": round(statistics.median(ratios), 3),
        f"{prefix}spread": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def _rate(snapshot: Snapshot, jobs: Sequence[Job], policy: Policy, scatter: Scatter) -> float:
    """Return placements a second of one round that looks at all."""
    with without_collection():
        begun = perf_counter()
        place(snapshot, jobs, policy, scatter=scatter, sweep=True)
        return len(jobs) / (perf_counter() - begun)


def multiplied(sites: Sequence[Site], count: int) -> list[Site]:
    """Return *count* members: the given ones again and again under other names."""
    found = list(sites[:count])
    for number in range(len(sites), count):
        site = sites[number % len(sites)]
        name = SiteId(f"{site.id}-{number // len(sites)}")
        parts = tuple(
            replace(part, id=PartitionId(f"{name}/{part.id.split('/', 1)[1]}"))
            for part in site.partitions
        )
        found.append(replace(site, id=name, partitions=parts))
    return found


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
