"""A scenario's federation and workload: what each cell of its grid is replayed with.

The demand is measured by the federation before any overlay: an overlay changes the machines, not
what users ask for, so that cells of one load are comparable.  A load of 0.8 asks for eight tenths
of the cores of the nodes without accelerators, and for eight tenths of the accelerators.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from res_federation.config.scenarios import Overlay, Scenario, WorkloadPart
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import family_in
from res_federation.model.site import Partition, Site
from res_federation.simulator.generated import Mix, generate, merged
from res_federation.simulator.site_models import FederationModel, cores, federation_of
from res_federation.simulator.traces.read import read_trace
from res_federation.simulator.workload import Workload


@dataclass(frozen=True, slots=True)
class Cell:
    """One replay of a scenario's grid."""

    overlay: Overlay
    load: float | None
    policy: str
    seed: int

    @property
    def place(self) -> str:
        """Where its results stand, below the directory of the sweep."""
        load = "" if self.load is None else f"load-{self.load:g}/"
        return f"{self.overlay.name}/{load}{self.policy}/seed-{self.seed}"


def cells(scenario: Scenario) -> list[Cell]:
    """Return the grid: overlays, loads, seeds, policies, in that order."""
    return [
        Cell(overlay, load, policy, seed)
        for overlay in scenario.overlays
        for load in scenario.loads
        for seed in scenario.seeds
        for policy in scenario.policies
    ]


def base_model(scenario: Scenario) -> FederationModel:
    """Return the federation without any overlay.

    Raises:
        InvalidArgument: If no partition of it tells its nodes.

    """
    model = federation_of(scenario.federation, _yardstick(scenario))
    sites = tuple(
        _scaled(site, {site.id: scenario.scale})
        for site in model.sites
        if not scenario.only or site.id in scenario.only
    )
    return dataclasses.replace(model, sites=sites)


def _yardstick(scenario: Scenario) -> Workload:
    """Return what sizes of a federation file are multiples of: a machine and its largest job."""
    largest = max(_largest(part) for part in scenario.workload)
    one, none = np.ones(1, np.int64), np.full(1, -1, np.int64)
    return Workload(
        name=scenario.name,
        processors=scenario.machine or largest,
        job_ids=one,
        submit=one,
        runtime=one,
        estimate=one,
        procs=one * largest,
        user=none,
        group=none,
        queue=none,
    )


def _largest(part: WorkloadPart) -> int:
    if part.trace is not None:
        trace = _read(part.trace, part.first)
        return max(trace.processors, int(trace.procs.max(initial=1)))
    mix = _mix(part)
    return mix.largest * (mix.cores_per_accelerator if mix.accelerator else 1)


def model_of(scenario: Scenario, overlay: Overlay) -> FederationModel:
    """Return the federation with *overlay*."""
    return overlaid(base_model(scenario), overlay)


def overlaid(model: FederationModel, overlay: Overlay) -> FederationModel:
    """Return *model* with partitions added, then sites and partitions removed, then scaled.

    Names are those that `load_scenario` has checked.
    """
    factors = dict(overlay.scale)
    sites = []
    for site in model.sites:
        if site.id in overlay.remove:
            continue
        more = tuple(part for part in overlay.add if part.id.split("/")[0] == site.id)
        parts = tuple(part for part in (*site.partitions, *more) if part.id not in overlay.remove)
        clusters = tuple(dict.fromkeys([*site.clusters, *(p.id.split("/")[1] for p in parts)]))
        changed = dataclasses.replace(site, partitions=parts, clusters=clusters)
        if parts:
            sites.append(_scaled(changed, factors))
    return dataclasses.replace(model, sites=tuple(sites))


def _scaled(site: Site, factors: Mapping[str, float]) -> Site:
    def grown(part: Partition) -> Partition:
        factor = factors.get(part.id, 1.0) * factors.get(site.id, 1.0)
        if factor == 1.0 or part.nodes is None:
            return part
        return dataclasses.replace(part, nodes=max(1, round(part.nodes * factor)))

    return dataclasses.replace(site, partitions=tuple(grown(part) for part in site.partitions))


def workload_of(scenario: Scenario, overlay: Overlay, load: float | None, seed: int) -> Workload:
    """Return the workload mix of one cell; equal arguments give equal jobs.

    Raises:
        InvalidArgument: If a trace cannot be read, or no job is left.

    """
    model = base_model(scenario)
    parts = []
    for part in scenario.workload:
        if part.overlays and overlay.name not in part.overlays:
            continue
        work = None
        if part.share is not None and load is not None:
            work = load * part.share * _capacity(model, part) * scenario.days * 86400.0
        # By the part's name: a part that is added leaves the draws of the others as they are.
        numbers = (seed, zlib.crc32(part.name.encode()))
        parts.append(_drawn(part, work, numbers) if part.trace is None else _traced(part, work))
    parts = [part for part in parts if len(part)]
    if not parts:
        raise InvalidArgument(
            f"scenario '{scenario.name}': overlay '{overlay.name}' has no jobs",
            field="workload",
            way_out="give a [[workload]] that is there in all overlays",
        )
    return merged(scenario.name, parts, end=scenario.days * 86400)


def _capacity(model: FederationModel, part: WorkloadPart) -> int:
    """Return the cores that a part's share is of: of the accelerators it asks for, or the others'.

    Raises:
        InvalidArgument: If there are no such nodes.

    """
    if part.trace is not None:
        return model.processors  # a trace asks for processors, wherever they are
    mix = _mix(part)
    if mix.accelerator:
        found = sum(
            (each.nodes or 0) * each.shape.accelerators
            for each in model.partitions
            if mix.accelerator in {"any", family_in(each.shape.accelerator)}
        )
    else:
        found = sum(cores(each) for each in model.partitions if not each.shape.accelerators)
    if not found:
        what = (
            f"accelerator '{mix.accelerator}'" if mix.accelerator else "node without accelerators"
        )
        raise InvalidArgument(
            f"workload '{part.name}' has a share of the load, and the federation has no {what}",
            field="workload",
            way_out="say jobs = ... in place of share, or name another accelerator",
        )
    return found * (mix.cores_per_accelerator if mix.accelerator else 1)


@lru_cache(2)
def _read(trace: Path, first: int | None) -> Workload:
    return read_trace(trace, first=first)


def _drawn(part: WorkloadPart, work: float | None, numbers: Sequence[int]) -> Workload:
    return generate(
        _mix(part), seed=numbers, begin=part.begin_s, end=part.end_s, work=work, jobs=part.jobs
    )


def _mix(part: WorkloadPart) -> Mix:
    figures: dict[str, Any] = dict(part.figures)
    return Mix(name=part.name, **figures)


def _traced(part: WorkloadPart, work: float | None) -> Workload:
    """Return a trace between the part's begin and end, its submissions stretched to its load.

    A trace that is too short at that rate is repeated.
    """
    assert part.trace is not None
    trace = _read(part.trace, part.first)
    if not len(trace):
        raise InvalidArgument(f"'{part.trace}' has no jobs", field="trace")
    length = part.end_s - part.begin_s
    submit = trace.submit - trace.submit[0]
    area = float(np.sum(trace.procs.astype(np.float64) * trace.runtime))
    if work is not None:
        span = length * area / work
        submit = (submit * (span / max(int(submit[-1]), 1))).astype(np.int64)
    else:
        span = float(submit[-1] + 1)
    times = max(1, -(-length // max(int(span), 1))) if work is not None else 1
    rounds = [
        dataclasses.replace(trace, submit=submit + part.begin_s + int(span * turn))
        for turn in range(times)
    ]
    alike = [
        dataclasses.replace(
            each,
            users=_named(trace, "user", trace.users, part.name),
            groups=_named(trace, "group", trace.groups, part.name),
        )
        for each in rounds
    ]
    return merged(part.name, alike, end=part.end_s)


def _named(trace: Workload, kind: str, names: tuple[str, ...], part: str) -> tuple[str, ...]:
    """Return a name for every number of a user or group: the trace's own, else the number."""
    most = int(getattr(trace, kind).max(initial=-1)) + 1
    return (*names, *(f"{part}-{kind}-{number}" for number in range(len(names), most)))
