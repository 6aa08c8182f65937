"""What a lab consists of: clusters, their nodes and partitions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Some like nodes, called ``CLUSTER-PREFIX1`` and so on.

    Attributes:
        prefix: Of their names.
        count: How many.
        cores: Cores of each.
        memory_mib: Memory of each.
        gres: ``gpu:h100:4``, several with commas, or "".
        features: Constraint words.
        sockets: Sockets that the cores are in, as many in each; 0 for one each.

    """

    prefix: str
    count: int
    cores: int
    memory_mib: int
    gres: str = ""
    features: tuple[str, ...] = ()
    sockets: int = 0


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """A partition over the nodes of some prefixes; *options* are further words of its line."""

    name: str
    prefixes: tuple[str, ...]
    max_time: str = "3-00:00:00"
    default: bool = False
    options: str = ""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """One Slurm cluster.

    Attributes:
        name: Lower-case letters and digits.
        nodes: Its nodes.
        partitions: Its partitions.
        max_array_size: One more than the largest index of an array.
        lines: Added to its slurm.conf.
        accounting: Words of sacctmgr that are run before the controller starts, for what
            slurm.conf may refer to: ``("add", "qos", "debug", "MaxWall=02:00:00")``.
        files: Name and text of files beside slurm.conf (``job_submit.lua``).

    """

    name: str
    nodes: tuple[NodePlan, ...]
    partitions: tuple[PartitionPlan, ...]
    max_array_size: int = 1001
    lines: tuple[str, ...] = ()
    accounting: tuple[tuple[str, ...], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


THREE = (
    ClusterPlan(
        "acclab",
        (
            NodePlan("acc", 2, 80, 524_288, "gpu:h100:4"),
            NodePlan("gpp", 2, 112, 262_144, features=("highmem",)),
        ),
        (PartitionPlan("acc", ("acc",)), PartitionPlan("gpp", ("gpp",), default=True)),
    ),
    ClusterPlan(
        "ftlab",
        (
            NodePlan("gpu", 2, 64, 262_144, "gpu:a100:2"),
            NodePlan("cpu", 1, 64, 262_144),
        ),
        (PartitionPlan("gpu", ("gpu",)), PartitionPlan("cpu", ("cpu",), default=True)),
    ),
    ClusterPlan(
        "palmalab",
        (NodePlan("n", 3, 16, 65_536),),
        (PartitionPlan("batch", ("n",), default=True),),
        max_array_size=101,
    ),
)
"""An accelerated cluster with H100, one with A100, one without any and with short arrays."""
