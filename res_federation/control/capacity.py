"""What the federation knows of its sites, as the frozen snapshot that a round looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from res_federation.control.leases import stale
from res_federation.control.state import FederationState, SiteState
from res_federation.model.accelerators import family_in
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import PartitionId
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.placement.declared import declared, nowhere
from res_federation.placement.pins import pin_words
from res_federation.placement.snapshot import Ordered, ReleaseIn, Row, Snapshot
from res_federation.slurm.dialect import Dialect


def snapshot(state: FederationState, at: float) -> Snapshot:
    """Return what a round may look at, rows by partition and shape."""
    rows: list[Row] = []
    for site in state.sites.values():
        rows += _with_dialect(_site_rows(site, at), site, state.dialects.get(site.site.id))
    rows.sort(key=lambda row: (row.partition, repr(row.shape)))
    return Snapshot(state.version, at, tuple(rows), state.distances, tuple(_ordered(state)))


def _ordered(state: FederationState) -> Iterator[Ordered]:
    """Yield what was ordered and does not count in a report yet, in the order of placement."""
    for site in state.sites.values():
        for token in site.uncounted:
            job = state.jobs[site.runs[token]]
            run = job.run
            if run is not None and not run.counted:
                yield Ordered(job, PartitionId(job.partition))


def _site_rows(site: SiteState, at: float) -> list[Row]:
    problem, have = _problem(site, at)
    pins = pin_words(site.site)
    if site.report is None and not site.site.partitions:
        return [nowhere(site.site)]
    known = {partition.id: partition for partition in site.site.partitions}
    rows = []
    if site.report is not None:
        age = at - site.received
        for part in site.report.partitions:
            row = _reported(part, known.get(part.id), pins, site.report.taken_at + age)
            if problem is not Code.FITS:
                row = replace(row, problem=problem, problem_have=have)
            rows.append(row)
    reported = {row.partition for row in rows}
    missing = Code.PARTITION_DOWN if site.report is not None else Code.SITE_NOT_CONNECTED
    rows += [
        declared(partition, pins, problem if site.report and problem else missing)
        for partition in site.site.partitions
        if partition.id not in reported
    ]
    return rows


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
    part: PartitionCapacity, declared: Partition | None, pins: tuple[str, ...], now_there: float
) -> Row:
    shape = part.shape
    name = part.id.rsplit("/", 1)[1]
    names = (name,) if declared is None else (declared.name, *declared.aliases)
    features = part.features if declared is None else (*part.features, *declared.features)
    return Row(
        partition=part.id,
        names=names,
        site_names=pins,
        problem=Code.FITS if part.up else Code.PARTITION_DOWN,
        shape=shape,
        family=family_in(shape.accelerator),
        nodes=part.nodes,
        available=part.available,
        free=part.free,
        releases=tuple(
            ReleaseIn(max(0.0, release.at - now_there), _nodes_worth(shape, release.cores,
                                                                     release.accelerators))
            for release in part.releases
        ),
        backlog_node_s=_nodes_worth(shape, part.pending_core_s, part.pending_accelerator_s),
        waiting=part.pending_jobs,
        max_time_s=part.max_time_s,
        max_nodes=part.max_nodes,
        max_array=part.max_array,
        features=tuple(sorted(set(features))),
    )  # fmt: skip


def _nodes_worth(shape: NodeShape, cores: float, accelerators: float) -> float:
    """Return amounts as nodes of *shape*: the scarcer of the two counts."""
    by_cores = cores / shape.cores if shape.cores else 0.0
    by_accelerators = accelerators / shape.accelerators if shape.accelerators else 0.0
    return max(by_cores, by_accelerators)
