"""Federations to replay on: one machine, pools in proportion to a trace's machine, catalogues."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Site
from res_federation.simulator.virtual_site_partition import is_pool
from res_federation.topology.distances import NOWHERE, DistanceTable

CORE = NodeShape(cores=1, memory_mib=None)
"""A node of a pool: `place` sees a pool of N processors as N of these."""


@dataclass(frozen=True, slots=True)
class FederationModel:
    """Who takes part.

    Attributes:
        name: For people.
        sites: In the order of the file, in which copies are started.
        distances: The network between them.

    """

    name: str
    sites: tuple[Site, ...]
    distances: DistanceTable = NOWHERE

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """All partitions, in the order of the sites."""
        return tuple(part for site in self.sites for part in site.partitions)

    @property
    def shaped(self) -> bool:
        """Whether any partition is more than a pool of processors."""
        return not all(is_pool(part) for part in self.partitions)

    @property
    def processors(self) -> int:
        """Cores in all."""
        return sum(cores(part) for part in self.partitions)


def cores(partition: Partition) -> int:
    """Return the cores of a partition; 0 where they are not known."""
    return (partition.nodes or 0) * (partition.shape.cores or 0)


def pool(site: str, processors: int, *, cluster: str = "", name: str = "pool") -> Site:
    """Return a site with one pool of processors."""
    return pools(site, ((cluster or site, name, processors),))


def pools(site: str, sizes: tuple[tuple[str, str, int], ...]) -> Site:
    """Return a site whose partitions are pools: cluster, name, processors."""
    return Site(
        id=SiteId(site), name=site, machine=site, city="", latitude=None, longitude=None,
        batch="slurm",
        partitions=tuple(
            Partition(partition_id(site, cluster, name), name, CORE, processors)
            for cluster, name, processors in sizes
        ),
        clusters=tuple(dict.fromkeys(cluster for cluster, _, _ in sizes)),
    )  # fmt: skip


def machine(processors: int) -> FederationModel:
    """Return one site with one pool."""
    return FederationModel("machine", (pool("machine", processors),))
