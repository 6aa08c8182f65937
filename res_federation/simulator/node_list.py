"""Federations to replay on, from whatever a path names: a list of nodes is one too.

Alibaba's list of nodes tells no sites.  Nodes with one model of accelerator stand for one site, as
if every generation of machine were a member of its own, and those without any for one more; nodes
of a site that are alike are a partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from res_federation.config.federations import load_federation
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Confidence, Partition, Site
from res_federation.simulator.site_models import FederationModel, federation_of
from res_federation.simulator.traces.openb import NODES, is_heading, read_nodes
from res_federation.simulator.traces.source import blocks, name_of
from res_federation.simulator.workload import Workload
from res_federation.topology.distances import NOWHERE

PLAIN = "cpu"
"""The site of the nodes without accelerators."""


def federation_at(path: Path, workload: Workload) -> FederationModel:
    """Return the federation that *path* names, in proportion to *workload* where it says so.

    Args:
        path: A federation file, a catalogue of sites, or a list of nodes (CSV, plain or gzip).
        workload: The jobs.

    Raises:
        InvalidArgument: If the path cannot be read, or has a fault.

    """
    if is_node_list(path):
        return FederationModel(name_of(path), sites_of(read_nodes(path)), NOWHERE)
    return federation_of(load_federation(path), workload)


def is_node_list(path: Path) -> bool:
    """Tell whether a file begins with the heading of a list of nodes."""
    if path.suffix == ".toml" or not path.is_file():
        return False
    try:
        head = b"".join(block.data for block in islice(blocks(path), 1))
    except InvalidArgument:
        return False
    first = head.decode("utf-8", "replace").partition("\n")[0]
    return is_heading(first, NODES)


def sites_of(nodes: Iterable[tuple[NodeShape, int]]) -> tuple[Site, ...]:
    """Return a site for each model of accelerator, by name; partitions by shape, small ones first.

    Args:
        nodes: Each shape, and how many nodes have it.

    """
    groups: dict[str, list[tuple[NodeShape, int]]] = {}
    for shape, count in nodes:
        groups.setdefault(shape.accelerator or PLAIN, []).append((shape, count))
    return tuple(_site(name, groups[name]) for name in sorted(groups))


def _site(name: str, nodes: list[tuple[NodeShape, int]]) -> Site:
    ordered = sorted(nodes, key=lambda one: _size(one[0]))
    return Site(
        id=SiteId(name), name=name, machine=name, city="", latitude=None, longitude=None,
        batch="slurm",
        partitions=tuple(_partition(name, shape, count) for shape, count in ordered),
        clusters=(name,),
    )  # fmt: skip


def _size(shape: NodeShape) -> tuple[int, int, int]:
    return shape.accelerators, shape.cores or 0, shape.memory_mib or 0


def _partition(site: str, shape: NodeShape, count: int) -> Partition:
    devices, cores, memory = _size(shape)
    name = f"{devices}x-{cores}c-{memory // 1024}g" if devices else f"{cores}c-{memory // 1024}g"
    return Partition(
        partition_id(site, site, name), name, shape, count, confidence=Confidence.DERIVED
    )
