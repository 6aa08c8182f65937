"""Federations to replay on: one machine, pools in proportion to a trace's machine, catalogues."""

from __future__ import annotations

from dataclasses import dataclass, replace

from res_federation.config.federations import FederationFile, PoolEntry
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Site
from res_federation.simulator.virtual_site_partition import is_pool
from res_federation.simulator.workload import Workload
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


def federation_of(file: FederationFile, workload: Workload) -> FederationModel:
    """Return a federation in proportion to the machine and the jobs of *workload*.

    Raises:
        InvalidArgument: If no partition of a catalogue tells its nodes.

    """
    if file.catalogue:
        sites = tuple(_known(site) for site in file.catalogue)
        sites = tuple(site for site in sites if site.partitions)
        if not sites:
            raise InvalidArgument(
                f"no partition of '{file.name}' tells how many nodes and cores it has",
                way_out="give nodes and cores in the site files",
            )
        if file.to_scale:
            return FederationModel(file.name, _to_scale(sites, _largest_job(workload)))
        return FederationModel(file.name, sites, file.distances)
    whole = workload.processors or _largest_job(workload)
    return FederationModel(
        file.name,
        tuple(
            pools(
                member.id,
                tuple((member.id, one.name, _processors(one, whole)) for one in member.pools),
            )
            for member in file.members
        ),
    )


def _largest_job(workload: Workload) -> int:
    return int(workload.procs.max()) if len(workload) else 1


def _processors(entry: PoolEntry, whole: int) -> int:
    if entry.processors is not None:
        return entry.processors
    return max(1, int(whole * (entry.size or 0.0)))


def _known(site: Site) -> Site:
    """Leave out partitions of which nobody knows how large they are: nothing can run there."""
    return replace(site, partitions=tuple(part for part in site.partitions if cores(part) > 0))


def _to_scale(sites: tuple[Site, ...], largest: int) -> tuple[Site, ...]:
    most = max(cores(part) for site in sites for part in site.partitions)
    return tuple(
        pools(
            site.id,
            tuple(
                (part.id.split("/")[1], part.name, max(1, cores(part) * largest // most))
                for part in site.partitions
            ),
        )
        for site in sites
    )
