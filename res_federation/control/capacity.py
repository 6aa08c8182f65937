"""What the federation knows of its sites, as the frozen snapshot that a round looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from math import inf
from operator import attrgetter

import numpy as np

from res_federation.accounting.fair_share import factors
from res_federation.control.leases import stale
from res_federation.control.state import FederationState, SiteState
from res_federation.model.accelerators import family_in
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import PartitionId, site_of
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.placement.declared import declared, nowhere
from res_federation.placement.snapshot import First, Floats, Ordered, Profile, Row, Snapshot
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import Moving


def snapshot(state: FederationState, at: float) -> Snapshot:
    """Return what a round may look at, rows by partition and shape."""
    rows: list[Row] = []
    for site in state.sites.values():
        known = _with_power(_site_rows(site, at, state.terms.shared_s), site)
        rows += _with_dialect(known, site, state.dialects.get(site.site.id))
    rows.sort(key=lambda row: (row.partition, _written(row.shape)))
    ordered = tuple(_ordered(state))
    return Snapshot(
        state.version, at, tuple(rows), state.distances, ordered, tuple(_moving(ordered)),
        shares=_shares(state, at),
    )  # fmt: skip


def _shares(state: FederationState, at: float) -> Mapping[str, float]:
    late = state.policy.late
    if late is None or late.fair_share <= 0:
        return {}
    return factors(state.usage, at, late.half_life_s)


def _moving(ordered: Iterable[Ordered]) -> Iterator[Moving]:
    """Yield the input of jobs whose site has not counted them yet: taken to be on its way."""
    for one in ordered:
        spec = one.job.spec
        if spec.input_mib > 0 and spec.input_site:
            yield Moving(spec.input_site, site_of(one.partition), spec.input_mib)


def _ordered(state: FederationState) -> Iterator[Ordered]:
    """Yield what was ordered and does not count in a report yet, in the order of placement."""
    for site in state.sites.values():
        for token in site.uncounted:
            job = state.jobs[site.runs[token]]
            run = job.run
            if run is not None and not run.counted and not run.held:
                yield Ordered(job, PartitionId(job.partition))


def _site_rows(site: SiteState, at: float, shared_s: float) -> list[Row]:
    problem, have = _problem(site, at)
    if site.report is None and not site.site.partitions:
        return [nowhere(site.site)]
    rows = []
    if site.report is not None:
        age = at - site.received
        for place, part in enumerate(site.report.partitions):
            profile = _profile(site, place, part, site.report.taken_at + age)
            row = _reported(part, site.declared.get(part.id), site.pins, profile)
            if at - site.others.get(part.id, -inf) < shared_s:
                row = _shared(row, part, site)
            if problem is not Code.FITS:
                row = replace(row, problem=problem, problem_have=have)
            rows.append(row)
    reported = {row.partition for row in rows}
    missing = Code.PARTITION_DOWN if site.report is not None else Code.SITE_NOT_CONNECTED
    rows += [
        declared(partition, site.pins, problem if site.report and problem else missing)
        for partition in site.site.partitions
        if partition.id not in reported
    ]
    return rows


def _with_power(rows: list[Row], site: SiteState) -> list[Row]:
    grams = site.site.grams_per_kwh
    if grams is None:
        return rows
    watts = {part.id: part.node_watts for part in site.site.partitions}
    return [replace(row, grams_per_kwh=grams, node_watts=watts.get(row.partition)) for row in rows]


def _with_dialect(rows: list[Row], site: SiteState, dialect: Dialect | None) -> list[Row]:
    if dialect is None:
        return rows
    unpaid = site.report is not None and site.report.needs_account
    return [
        replace(row, dialect=dialect, needs_account=unpaid) if row.names else row for row in rows
    ]


def _problem(site: SiteState, at: float) -> tuple[Code, int]:
    if site.report is None or not site.connected:
        return Code.SITE_NOT_CONNECTED, -1
    if site.drained:
        return Code.SITE_DRAINED, -1
    if stale(site, at):
        return Code.REPORT_STALE, int(at - site.received)
    if site.report.problem:  # the agent is well, and what it stands on is not
        return Code.REPORT_STALE, int(at - site.received + site.report.lag_s)
    return Code.FITS, -1


def _reported(
    part: PartitionCapacity, declared: Partition | None, pins: tuple[str, ...], profile: Profile
) -> Row:
    shape = part.shape
    names, features = _words(part.id, declared, part.features)
    return Row(
        partition=part.id,
        names=names,
        site_names=pins,
        problem=Code.FITS if part.up else Code.PARTITION_DOWN,
        shape=shape,
        family=_family(shape.accelerator),
        nodes=part.nodes,
        available=part.available,
        free=part.free,
        releases=profile,
        backlog_node_s=_nodes_worth(shape, part.pending_core_s, part.pending_accelerator_s),
        waiting=part.pending_jobs,
        max_time_s=part.max_time_s,
        max_nodes=part.max_nodes,
        max_array=part.max_array,
        features=features,
    )  # fmt: skip


def _shared(row: Row, part: PartitionCapacity, site: SiteState) -> Row:
    """Say what a partition with users of its own has waiting, in which order."""
    shape, ahead, others, ours = part.shape, [], 0.0, 0.0
    for job in part.queue:
        work = _nodes_worth(shape, job.cores * job.limit_s, job.accelerators * job.limit_s)
        if job.token is not None and job.token in site.runs:
            ahead.append(others)
            ours += work
        else:
            others += work
    first = None
    if part.queue and part.queue[0].token not in site.runs:
        one = part.queue[0]
        nodes = max(1, one.nodes)
        first = First(nodes, -(-one.cores // nodes), -(-one.accelerators // nodes), one.limit_s)
    report = site.report
    return replace(
        row,
        shared=True,
        places=site.fences,
        arranges=report is not None and report.arranges,
        ahead=tuple(ahead),
        others_node_s=max(0.0, row.backlog_node_s - ours),
        first=first,
    )


def _profile(site: SiteState, place: int, part: PartitionCapacity, now_there: float) -> Profile:
    """Return the release profile from now on; the arrays are made once for a report's part."""
    kept = site.profiles.get(place)
    if kept is None or kept[0] is not part:
        worth = _worth(part)
        ends = _each(part, "at")
        order = np.argsort(ends, kind="stable")
        kept = site.profiles[place] = (part, ends[order], worth[order])
    _, ends, nodes = kept
    return Profile(np.maximum(ends - now_there, 0.0), nodes)


def _worth(part: PartitionCapacity) -> Floats:
    """Return each release as nodes of the shape: the scarcer of cores and accelerators."""
    shape = part.shape
    worth = np.zeros(len(part.releases))
    if shape.cores:
        worth = _each(part, "cores") / shape.cores
    if shape.accelerators:
        worth = np.maximum(worth, _each(part, "accelerators") / shape.accelerators)
    return worth


def _each(part: PartitionCapacity, figure: str) -> Floats:
    return np.fromiter(map(attrgetter(figure), part.releases), np.float64, len(part.releases))


_family = lru_cache(maxsize=4096)(family_in)


@lru_cache(maxsize=4096)
def _written(shape: NodeShape) -> str:
    return repr(shape)


@lru_cache(maxsize=4096)
def _words(
    partition: PartitionId, declared: Partition | None, features: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a partition, and all the words that its nodes answer to."""
    if declared is None:
        return (partition.rsplit("/", 1)[1],), tuple(sorted(set(features)))
    return (declared.name, *declared.aliases), tuple(sorted({*features, *declared.features}))


def _nodes_worth(shape: NodeShape, cores: float, accelerators: float) -> float:
    """Return amounts as nodes of *shape*: the scarcer of the two counts."""
    by_cores = cores / shape.cores if shape.cores else 0.0
    by_accelerators = accelerators / shape.accelerators if shape.accelerators else 0.0
    return max(by_cores, by_accelerators)
