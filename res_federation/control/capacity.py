"""What the federation knows of its sites, as the frozen snapshot that a round looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from math import inf
from operator import attrgetter, itemgetter

import numpy as np

from res_federation.accounting.fair_share import factors
from res_federation.control import paying
from res_federation.control.known_rows import NOTHING, KnownRows, Part, Place
from res_federation.control.leases import stale
from res_federation.control.state import FederationState, SiteState
from res_federation.model.accelerators import family_in
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import PartitionId, site_of
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.placement.declared import declared, nowhere
from res_federation.placement.row_memo import Same
from res_federation.placement.snapshot import (
    First,
    Floats,
    Ordered,
    Profile,
    Row,
    Snapshot,
    released,
)
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import Moving

Known = tuple[object, ...]


def snapshot(state: FederationState, at: float) -> Snapshot:
    """Return what a round may look at, rows by partition and shape."""
    rows: list[tuple[tuple[str, str], Row]] = []
    known = state.known_rows()
    for site in state.sites.values():
        dialect = state.dialects.get(site.site.id)
        rows += _site_rows(known, site, dialect, at, state.terms.shared_s)
    rows.sort(key=itemgetter(0))
    ordered = tuple(_ordered(state))
    return Snapshot(
        state.version, at, tuple([row for _, row in rows]), state.distances, ordered,
        tuple(_moving(ordered)), shares=_shares(state, at), residency=state.residency,
        parity=paying.parity(state), funds=paying.funds(state, at),
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


def _site_rows(
    known: KnownRows, site: SiteState, dialect: Dialect | None, at: float, shared_s: float
) -> Iterator[tuple[tuple[str, str], Row]]:
    """Yield the rows of a site, each with its place in the snapshot."""
    report, problem, since = site.report, _problem(site, at), at - shared_s
    of = (site.fences, problem, _queued(site, since))
    parts = known.site(
        site.site.id, report, dialect, of, lambda: [*_parts(known, site, dialect, problem, since)]
    )
    now_there = 0.0 if report is None else report.taken_at + (at - site.received)
    for place, row, ends, nodes in parts:
        yield place, released(row, Profile(ends, nodes, now_there)) if len(ends) else row


def _queued(site: SiteState, since: float) -> tuple[object, ...]:
    """Return which parts are shared, and who of those that wait there is ours."""
    if not site.others or site.report is None:
        return ()
    return tuple(
        tuple([one.token in site.runs for one in part.queue])
        if site.others.get(part.id, -inf) > since
        else None
        for part in site.report.partitions
    )


def _parts(
    known: KnownRows, site: SiteState, dialect: Dialect | None, problem: tuple[Code, int],
    since: float,
) -> Iterator[Part]:  # fmt: skip
    """Yield the rows of a site without their releases, and those apart."""
    name = site.site.id
    if site.report is None and not site.site.partitions:
        yield _placed(known.row((name, ""), (), lambda: _finished(nowhere(site.site), site, None)))
    reported = set()
    for place, part in enumerate(() if site.report is None else site.report.partitions):
        reported.add(part.id)
        of, make = _part(site, part, dialect, problem, since)
        yield _placed(known.row((name, place), of, make), *_profile(known, (name, place), part))
    if len(reported) == len(site.declared) and reported == site.declared.keys():
        return
    if site.report is None:
        problem = Code.SITE_NOT_CONNECTED, -1
    elif problem[0] is Code.FITS:
        problem = Code.PARTITION_DOWN, -1
    for partition in site.site.partitions:
        if partition.id not in reported:
            of, make = _declared(site, partition, dialect, problem[0])
            yield _placed(known.row((name, partition.id), of, make))


def _placed(row: Row, ends: Floats = NOTHING, nodes: Floats = NOTHING) -> Part:
    return (row.partition, _written(row.shape)), row, ends, nodes


def _part(
    site: SiteState, part: PartitionCapacity, dialect: Dialect | None, problem: tuple[Code, int],
    since: float,
) -> tuple[Known, Callable[[], Row]]:  # fmt: skip
    """Return all that the row of a part of the report is made of, and what makes it.

    Without its releases; the part is shared where others were seen there after *since*.
    """
    report = site.report
    assert report is not None, "it reported"
    shared = site.others.get(part.id, -inf) > since
    ours: tuple[bool, ...] = ()
    if shared:
        ours = (site.fences, report.arranges, *[one.token in site.runs for one in part.queue])

    def make() -> Row:
        row = _reported(part, site.declared.get(part.id), site.pins)
        if shared:
            row = _shared(row, part, site)
        if problem[0] is not Code.FITS:
            row = replace(row, problem=problem[0], problem_have=problem[1])
        return _finished(row, site, dialect)

    return (problem, shared, ours, report.needs_account, Same(dialect), Same(part)), make


def _declared(
    site: SiteState, partition: Partition, dialect: Dialect | None, problem: Code
) -> tuple[Known, Callable[[], Row]]:
    unpaid = site.report is not None and site.report.needs_account

    def make() -> Row:
        return _finished(declared(partition, site.pins, problem), site, dialect)

    return (problem, unpaid, Same(dialect)), make


def _finished(row: Row, site: SiteState, dialect: Dialect | None) -> Row:
    """Add what is known of a member besides its reports: words, electricity, whose rule it is."""
    grams = site.site.grams_per_kwh
    if grams is not None:
        part = site.declared.get(row.partition)
        watts = None if part is None else part.node_watts
        row = replace(row, grams_per_kwh=grams, node_watts=watts)
    if dialect is not None and row.names:
        unpaid = site.report is not None and site.report.needs_account
        row = replace(row, dialect=dialect, needs_account=unpaid)
    if site.site.governance is not None:
        row = replace(row, governance=site.site.governance)
    return row


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


def _reported(part: PartitionCapacity, declared: Partition | None, pins: tuple[str, ...]) -> Row:
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


def _profile(known: KnownRows, place: Place, part: PartitionCapacity) -> tuple[Floats, Floats]:
    """Return when nodes come free by the site's clock, and how many; made once for each part."""
    profile = known.profiles.get(place)
    if profile is None or profile[0] is not part:
        worth = _worth(part)
        ends = _each(part, "at")
        order = np.argsort(ends, kind="stable")
        profile = known.profiles[place] = (part, ends[order], worth[order])
    return profile[1], profile[2]


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
