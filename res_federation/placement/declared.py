"""Rows from what members declare, before or without any report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from res_federation.model.accelerators import family_in
from res_federation.model.capacity import FreeNodes
from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.identifiers import partition_id
from res_federation.model.reason import Code
from res_federation.model.resources import UNKNOWN, NodeShape
from res_federation.model.site import Partition, Site
from res_federation.placement.pins import pin_words
from res_federation.placement.snapshot import Row, Snapshot
from res_federation.slurm.dialect import Dialect
from res_federation.topology.distances import NOWHERE, DistanceTable

_NOTHING = NodeShape(cores=None, memory_mib=None)


def nowhere(site: Site) -> Row:
    """Return the one row of a member without partitions."""
    place = partition_id(site.id, "-", "-")
    return Row(place, (), pin_words(site), Code.NO_PARTITIONS, _NOTHING, UNKNOWN)


def declared(partition: Partition, pins: tuple[str, ...], problem: Code) -> Row:
    """Return the row of a partition of which nothing is free, because of *problem*."""
    return Row(
        partition=partition.id,
        names=(partition.name, *partition.aliases),
        site_names=pins,
        problem=problem,
        shape=partition.shape,
        family=family_in(partition.shape.accelerator),
        nodes=UNKNOWN if partition.nodes is None else partition.nodes,
        max_time_s=partition.max_time_s,
        max_nodes=partition.max_nodes,
        max_array=partition.max_array,
        features=partition.features,
    )


def all_free(
    sites: Iterable[Site],
    distances: DistanceTable = NOWHERE,
    dialects: Mapping[str, Dialect] | None = None,
    residency: Residency = NO_CLASSES,
) -> Snapshot:
    """Return the snapshot of a federation in which every declared node is up and idle."""
    spoken = dialects or {}
    rows: list[Row] = []
    for site in sites:
        pins = pin_words(site)
        rows += [
            replace(
                _idle(declared(part, pins, Code.FITS)),
                dialect=spoken.get(site.id), governance=site.governance,
            )
            for part in site.partitions
        ]  # fmt: skip
        if not site.partitions:
            rows.append(nowhere(site))
    return Snapshot(1, 0.0, tuple(rows), distances, residency=residency)


def _idle(row: Row) -> Row:
    """Return *row* with all its nodes up and free, as far as they are known."""
    if row.nodes <= 0 or row.shape.cores is None:
        return row
    memory = UNKNOWN if row.shape.memory_mib is None else row.shape.memory_mib
    free = FreeNodes(row.nodes, row.shape.cores, memory, row.shape.accelerators)
    return replace(row, available=row.nodes, free=(free,))
