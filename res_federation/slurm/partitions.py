"""Partitions as ``scontrol -a -o show partition`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from res_federation.slurm import durations
from res_federation.slurm.key_values import number, records, word, words

ARGV = ("scontrol", "-a", "-o", "show", "partition")


@dataclass(frozen=True, slots=True)
class SlurmPartition:
    """A partition and its limits; None where there is none.

    Attributes:
        name: ``PartitionName``.
        up: Whether jobs can be submitted and begin (State=UP) by others than root.
        state: Slurm's own word: ``UP``, ``DOWN``, ``DRAIN``, ``INACTIVE``.
        default: Whether jobs that name none come here.
        nodes: Node list as Slurm writes it.
        total_nodes: How many.
        max_time_s: Longest time limit.
        default_time_s: Time limit of a job that asks for none.
        max_nodes: Most nodes of one job.
        min_nodes: Least nodes of one job.
        max_cpus_per_node: Most CPUs of a node that its jobs get.
        max_memory_per_node_mib: Most memory of a node that a job gets.
        whole_nodes: Whether a job always gets whole nodes (OverSubscribe=EXCLUSIVE).
        qos: The partition's own quality of service, or "".
        allow_qos: Those that may be asked for; () for all.
        deny_qos: Those that may not.
        allow_accounts: Those that may submit; () for all.
        allow_groups: Groups that may submit; () for all.

    """

    name: str
    up: bool = True
    state: str = "UP"
    default: bool = False
    nodes: str = ""
    total_nodes: int = 0
    max_time_s: int | None = None
    default_time_s: int | None = None
    max_nodes: int | None = None
    min_nodes: int = 0
    max_cpus_per_node: int | None = None
    max_memory_per_node_mib: int | None = None
    whole_nodes: bool = False
    qos: str = ""
    allow_qos: tuple[str, ...] = ()
    deny_qos: tuple[str, ...] = ()
    allow_accounts: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] = ()


def read(text: str) -> tuple[SlurmPartition, ...]:
    """Read partitions, one line each; lines that are none are left out."""
    return tuple(_partition(fields) for fields in records(text, "PartitionName"))


def _partition(fields: Mapping[str, str]) -> SlurmPartition:
    state = fields.get("State", "").upper()
    closed = any(fields.get(key, "").upper() == "YES" for key in ("RootOnly", "ReqResv"))
    return SlurmPartition(
        name=fields["PartitionName"],
        up=state == "UP" and not closed,
        state=state,
        default=fields.get("Default", "").upper() == "YES",
        nodes=word(fields, "Nodes"),
        total_nodes=number(fields, "TotalNodes") or 0,
        max_time_s=duration(fields, "MaxTime"),
        default_time_s=duration(fields, "DefaultTime"),
        max_nodes=number(fields, "MaxNodes"),
        min_nodes=number(fields, "MinNodes") or 0,
        max_cpus_per_node=number(fields, "MaxCPUsPerNode") or None,
        max_memory_per_node_mib=number(fields, "MaxMemPerNode") or None,
        whole_nodes=fields.get("OverSubscribe", "").upper().startswith("EXCLUSIVE"),
        qos=word(fields, "QoS"),
        allow_qos=_some(fields, "AllowQos"),
        deny_qos=words(fields, "DenyQos"),
        allow_accounts=_some(fields, "AllowAccounts"),
        allow_groups=_some(fields, "AllowGroups"),
    )


def _some(fields: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return the words of a list, () for ALL."""
    listed = words(fields, key)
    return () if listed == ("ALL",) else listed


def duration(fields: Mapping[str, str], key: str) -> int | None:
    """Return seconds of ``01:00:00`` and its like, None for none and for UNLIMITED."""
    seconds = durations.seconds(word(fields, key))
    return None if seconds is None or seconds < 0 else seconds
