"""Workloads drawn from a seed, for scenarios that ship without a trace.

Arrivals follow the day and the week, sizes are uniform in their logarithm with a weight on powers
of two, run times are lognormal, and estimates are what users write: a round figure at or above the
run time.  The same seed draws the same jobs, on every machine with the same numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.resources import ResourceRequest
from res_federation.simulator.workload import Ints, Workload

ROUND_LIMITS_S = tuple(
    60 * minutes
    for minutes in (
        15, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 2160, 2880, 4320, 5760, 7200, 10080,
    )
)  # fmt: skip
"""Time limits that users write."""
_DAY = 86400
_WEEK = 7 * _DAY
_MOST_JOBS = 5_000_000


@dataclass(frozen=True, slots=True)
class Mix:
    """One kind of jobs.

    Attributes:
        name: Of the kind; the group of its users.
        smallest: Processors of the smallest job, or accelerators where *accelerator* is given.
        largest: Of the largest job.
        powers_of_two: Part of the jobs whose size is rounded to a power of two, 0 to 1.
        median_s: Median run time in seconds.
        spread: Standard deviation of the logarithm of run times.
        longest_s: Longest run time, in seconds; also the longest time limit.
        exact: Part of the users who write the run time nearly as it is, 0 to 1.
        day: Arrivals at the busiest hour by those at the quietest, at least 1.
        weekend: Arrivals of a day of the weekend by those of a working day.
        users: How many users there are; few of them send most of the jobs.
        accelerator: Family of accelerators ("any" for any), "" for a job without.
        accelerators_per_node: Most that a job takes of one node.
        cores_per_accelerator: Cores that go with one.

    """

    name: str
    smallest: int = 1
    largest: int = 1024
    powers_of_two: float = 0.6
    median_s: float = 3600.0
    spread: float = 1.6
    longest_s: int = 72 * 3600
    exact: float = 0.15
    day: float = 4.0
    weekend: float = 0.45
    users: int = 40
    accelerator: str = ""
    accelerators_per_node: int = 4
    cores_per_accelerator: int = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    submit: Ints
    runtime: Ints
    estimate: Ints
    size: Ints
    user: Ints


def generate(
    mix: Mix,
    *,
    seed: Sequence[int],
    begin: int,
    end: int,
    work: float | None = None,
    jobs: int | None = None,
) -> Workload:
    """Draw jobs that are submitted between *begin* and *end*.

    Args:
        mix: What they are like.
        seed: Numbers that settle every draw.
        begin: Seconds; a multiple of a week is a Monday's midnight.
        end: Seconds, after *begin*.
        work: Processor-seconds that they ask for in all (the last job may exceed it), or None.
        jobs: How many, where *work* is None.

    """
    draw = np.random.default_rng(list(seed))
    if work is not None:
        size, runtime = _enough(draw, mix, work)
    else:
        size, runtime = _sizes(draw, mix, jobs or 0), _runtimes(draw, mix, jobs or 0)
    count = len(size)
    drawn = _Drawn(
        submit=_arrivals(draw, mix, begin, end, count),
        runtime=runtime,
        estimate=_limits(draw, mix, runtime),
        size=size,
        user=np.minimum(draw.zipf(1.5, count) - 1, mix.users - 1).astype(np.int64),
    )
    return _workload(mix, drawn)


def _enough(draw: np.random.Generator, mix: Mix, work: float) -> tuple[Ints, Ints]:
    """Draw sizes and run times until they make up *work* processor-seconds."""
    sizes: list[Ints] = []
    runtimes: list[Ints] = []
    done, count = 0.0, 0
    each = mix.cores_per_accelerator if mix.accelerator else 1
    while done < work and count < _MOST_JOBS:
        size, runtime = _sizes(draw, mix, 4096), _runtimes(draw, mix, 4096)
        area = np.cumsum(size.astype(np.float64) * each * runtime)
        last = int(np.searchsorted(area, work - done)) + 1
        sizes.append(size[:last])
        runtimes.append(runtime[:last])
        done += float(area[min(last, len(area)) - 1])
        count += min(last, len(area))
    if not sizes:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(sizes), np.concatenate(runtimes)


def _sizes(draw: np.random.Generator, mix: Mix, count: int) -> Ints:
    low, high = np.log2(mix.smallest), np.log2(mix.largest)
    exponents = draw.uniform(low, high, count)
    powers = draw.random(count) < mix.powers_of_two
    sizes = np.where(powers, np.exp2(np.round(exponents)), np.round(np.exp2(exponents)))
    return np.clip(sizes, mix.smallest, mix.largest).astype(np.int64)


def _runtimes(draw: np.random.Generator, mix: Mix, count: int) -> Ints:
    runtimes = draw.lognormal(np.log(mix.median_s), mix.spread, count)
    return np.clip(runtimes, 1, mix.longest_s).astype(np.int64)


def _limits(draw: np.random.Generator, mix: Mix, runtime: Ints) -> Ints:
    """Return what users would write: the run time times what they do not know, rounded up."""
    count = len(runtime)
    doubt = np.where(draw.random(count) < mix.exact, 1.05, 1.2 + draw.exponential(2.0, count))
    wanted = np.minimum(runtime * doubt, mix.longest_s)
    words = np.array([*(each for each in ROUND_LIMITS_S if each < mix.longest_s), mix.longest_s])
    found: Ints = words[np.searchsorted(words, wanted)]
    return np.maximum(found, runtime)


def _arrivals(draw: np.random.Generator, mix: Mix, begin: int, end: int, count: int) -> Ints:
    """Draw *count* times by the rate of each hour, ascending."""
    edges = np.append(np.arange(begin, end, 3600), end).astype(np.float64)
    hours = (edges[:-1] % _DAY) / 3600.0
    # Busiest in the afternoon, quietest twelve hours away from it.
    swing = (mix.day - 1.0) / (mix.day + 1.0)
    rate = 1.0 + swing * np.cos((hours - 14.5) / 24.0 * 2.0 * np.pi)
    rate = np.where((edges[:-1] % _WEEK) // _DAY >= 5, rate * mix.weekend, rate)
    area = np.concatenate(([0.0], np.cumsum(rate * np.diff(edges))))
    times = np.interp(draw.uniform(0.0, area[-1], count), area, edges)
    found: Ints = np.sort(times.astype(np.int64))
    return found


def _workload(mix: Mix, drawn: _Drawn) -> Workload:
    count = len(drawn.size)
    procs, shape = drawn.size, np.full(count, -1, np.int64)
    found: tuple[ResourceRequest, ...] = ()
    if mix.accelerator:
        sizes, shape = np.unique(drawn.size, return_inverse=True)
        found = tuple(_request(mix, int(size)) for size in sizes)
        procs = drawn.size * mix.cores_per_accelerator
    return Workload(
        name=mix.name,
        processors=0,
        job_ids=np.arange(1, count + 1),
        submit=drawn.submit,
        runtime=drawn.runtime,
        estimate=drawn.estimate,
        procs=procs.astype(np.int64),
        user=drawn.user,
        group=np.zeros(count, np.int64),
        queue=np.full(count, -1, np.int64),
        users=tuple(f"{mix.name}-{number + 1}" for number in range(mix.users)),
        groups=(mix.name,),
        shape=shape.astype(np.int64),
        shapes=found,
        read=count,
    )


def _request(mix: Mix, accelerators: int) -> ResourceRequest:
    """Return a request for so many accelerators, on whole nodes where they are more than one's."""
    nodes = -(-accelerators // mix.accelerators_per_node)
    each = -(-accelerators // nodes)
    return ResourceRequest(
        nodes=nodes,
        tasks_per_node=each,
        cpus_per_task=mix.cores_per_accelerator,
        accelerator=AcceleratorNeed("" if mix.accelerator == "any" else mix.accelerator),
        accelerators_per_node=each,
    )


def merged(name: str, parts: Sequence[Workload], *, end: int | None = None) -> Workload:
    """Return several workloads as one, in order of submission; jobs are numbered anew.

    Args:
        name: Of the whole.
        parts: At least one; users and groups stay apart by part.
        end: Leave out what is submitted at this second or later; None for nothing.

    """
    submit = np.concatenate([part.submit for part in parts])
    order = np.argsort(submit, kind="stable")
    if end is not None:
        order = order[submit[order] < end]

    def joined(field: str) -> Ints:
        found: Ints = np.concatenate([getattr(part, field) for part in parts])[order]
        return found

    return Workload(
        name=name,
        processors=0,
        job_ids=np.arange(1, len(order) + 1),
        submit=submit[order],
        runtime=joined("runtime"),
        estimate=joined("estimate"),
        procs=joined("procs"),
        user=_shifted(parts, "user", [len(part.users) for part in parts])[order],
        group=_shifted(parts, "group", [len(part.groups) for part in parts])[order],
        queue=np.full(len(order), -1, np.int64),
        users=tuple(each for part in parts for each in part.users),
        groups=tuple(each for part in parts for each in part.groups),
        shape=_shifted(parts, "shape", [len(part.shapes) for part in parts])[order],
        shapes=tuple(each for part in parts for each in part.shapes),
        read=sum(part.read for part in parts),
        dropped=_counted([part.dropped for part in parts]),
        repaired=_counted([part.repaired for part in parts]),
    )


def _shifted(parts: Sequence[Workload], field: str, names: Sequence[int]) -> Ints:
    """Return numbers of all parts, each part's behind those of the parts before it."""
    found, first = [], 0
    for part, count in zip(parts, names, strict=True):
        numbers = getattr(part, field)
        if len(numbers) != len(part):
            numbers = np.full(len(part), -1, np.int64)
        found.append(np.where(numbers >= 0, numbers + first, -1))
        first += max(count, int(numbers.max(initial=-1)) + 1)
    return np.concatenate(found)


def _counted(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for rule, number in each.items():
            total[rule] = total.get(rule, 0) + number
    return total
