"""What a member declares: site, partitions, each figure with its confidence and source."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.confidence import Confidence
from res_federation.model.governance import Governance
from res_federation.model.identifiers import PartitionId, SiteId
from res_federation.model.resources import NodeShape

__all__ = ["Confidence", "Partition", "Qos", "Site", "SlurmAccess"]


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as it is declared (not what is free in it now).

    Attributes:
        id: ``site/cluster/partition``.
        name: The name that the site's batch system uses.
        aliases: Other names that scripts use for it (QoS, constraint words).
        nodes: Declared nodes, or None where the figure is not known.
        shape: What one node has.
        cpu: Processor as published.
        max_time_s: Longest time limit, or None.
        max_nodes: Most nodes of one job, or None.
        max_array: Most tasks of one array, or None.
        features: Constraint words that its nodes have.
        confidence: Of the figures above.
        sources: Keys into the catalogue's list of sources.
        note: What a reader should know.
        node_watts: Power of a busy node, or None where it is not known.

    """

    id: PartitionId
    name: str
    shape: NodeShape
    nodes: int | None
    aliases: tuple[str, ...] = ()
    cpu: str = ""
    max_time_s: int | None = None
    max_nodes: int | None = None
    max_array: int | None = None
    features: tuple[str, ...] = ()
    confidence: Confidence = Confidence.SOURCED
    sources: tuple[str, ...] = ()
    note: str = ""
    node_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Qos:
    """A quality of service, its limits as the site documents them, the partitions it opens."""

    name: str
    partition: str
    max_nodes: int | None = None
    max_time_s: int | None = None
    confidence: Confidence = Confidence.SOURCED
    note: str = ""
    opens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlurmAccess:
    """How an agent reaches the Slurm of its site.

    Attributes:
        conf: Path of slurm.conf.
        user: Local account that submits for the federation; "" for the agent's own.
        account: Slurm account that is charged, or "" for what the dialect says.
        programs: Directory of Slurm's commands, or "" to find them on the path.
        shared: Directory that the compute nodes have under the same path, for scripts, output and
            marks of runs; "" for the agent's own state directory, which is then on such a file
            system. With it the journal can stay on a local disk.

    """

    conf: str
    user: str = ""
    account: str = ""
    programs: str = ""
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """A member's site.

    Attributes:
        id: Identifier such as ``csuc``.
        name: The institution; its identifier where nobody has written it down.
        machine: Name of the machine as people write it.
        city: Where it stands, or "".
        latitude: Degrees north, or None where the place is not known.
        longitude: Degrees east, or None.
        batch: ``local``, ``slurm``; "" for a site that runs no batch jobs for the federation.
        partitions: What can be asked for; empty for a data-only member.
        clusters: Names of its machines as they stand in partition ids; one Slurm each.
        qos: Documented qualities of service.
        res_share_percent: Share of the machine for RES, or None where it is not known.
        wan_gbps: Speed of the link to the national network, or None.
        country: ISO code.
        slurm: How its agent reaches Slurm, for ``batch = "slurm"``.
        grams_per_kwh: CO2 of a kWh that its nodes use, cooling counted in, or None where it is
            not known.
        governance: Under whose rule it is, or None where nothing is known.
        identity: Path of the file that says who runs as whom there, or "" for none.

    """

    id: SiteId
    name: str
    machine: str
    city: str
    latitude: float | None
    longitude: float | None
    batch: str
    partitions: tuple[Partition, ...]
    clusters: tuple[str, ...] = ()
    qos: tuple[Qos, ...] = ()
    res_share_percent: float | None = None
    wan_gbps: float | None = None
    country: str = "ES"
    slurm: SlurmAccess | None = None
    grams_per_kwh: float | None = None
    governance: Governance | None = None
    identity: str = ""
