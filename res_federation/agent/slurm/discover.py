"""A site file from a live Slurm: what its own commands say, and nothing else.

Five commands, none of which changes anything: the configuration, partitions, nodes, and the
qualities of service where there is an accounting.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from res_federation.agent.slurm.calls import Calls
from res_federation.errors import InvalidArgument, Unavailable
from res_federation.model.accelerators import accelerator
from res_federation.model.capacity import PartitionCapacity, QosLimit
from res_federation.model.identifiers import PartitionId, SiteId, partition_id, site_id, word
from res_federation.model.resources import NodeShape
from res_federation.model.site import Confidence, Partition, Qos, Site, SlurmAccess
from res_federation.slurm import capacity, gpu_types, nodes, partitions, qos_limits, slurm_config
from res_federation.slurm.partitions import SlurmPartition
from res_federation.slurm.slurm_config import SlurmConfig

_LONGEST_S = 9999 * 3600
"""A time limit beyond a year is none; a site file could not write it."""
_ARCHITECTURES = ("x86_64", "aarch64", "ppc64le")
_NOT_IN_A_WORD = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Live:
    """What a cluster says of itself.

    Attributes:
        config: Name, version, limits.
        partitions: All of them.
        groups: Like nodes by partition, the largest group first.
        qos: Limits; () without accounting or where sacctmgr did not answer.
        quiet: Why the qualities of service are not known, or "".

    """

    config: SlurmConfig
    partitions: tuple[SlurmPartition, ...]
    groups: Mapping[str, tuple[PartitionCapacity, ...]]
    qos: tuple[QosLimit, ...] = ()
    quiet: str = ""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A site as its Slurm shows it, and what a person should look at.

    Attributes:
        site: The site.
        head: Sentences about the whole cluster.
        remarks: Sentences about partitions, by name.
        tail: Sentences about what was left out.

    """

    site: Site
    head: tuple[str, ...]
    remarks: Mapping[str, tuple[str, ...]]
    tail: tuple[str, ...]


def readable(conf: Path) -> Path:
    """Return the absolute path of a slurm.conf; Slurm itself waits a minute for one that is away.

    Raises:
        InvalidArgument: If it cannot be read.

    """
    try:
        with conf.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidArgument(
            f"'{conf}' cannot be read: {error.strerror}",
            field="slurm.conf",
            way_out="name the slurm.conf of the cluster; on many sites it is /etc/slurm/slurm.conf",
        ) from None
    return conf.absolute()


async def look_at(calls: Calls, *, declared: Sequence[Partition] = ()) -> Live:
    """Ask the cluster.

    Args:
        calls: Runs Slurm's commands.
        declared: Partitions of a site file: their accelerators name what Slurm leaves open.

    Raises:
        Unavailable: If the controller does not answer.

    """
    try:
        async with asyncio.TaskGroup() as group:
            told = group.create_task(calls.look(*slurm_config.ARGV))
            listed = group.create_task(calls.look(*partitions.ARGV))
            shown = group.create_task(calls.look(*nodes.ARGV))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    accounted: str | None = None
    quiet = ""
    if slurm_config.read(told.result()).accounting:
        try:
            accounted = await calls.look(*qos_limits.ARGV)
        except Unavailable as error:
            quiet = error.message
    live = live_of(told.result(), listed.result(), shown.result(), accounted, declared)
    return replace(live, quiet=quiet or live.quiet)


def live_of(
    config: str, parts: str, shown: str, qos: str | None, declared: Sequence[Partition] = ()
) -> Live:
    """Read what a cluster printed: configuration, partitions, nodes, limits of QoS (or None).

    Raises:
        Unavailable: If that is not the answer of a cluster.

    """
    told = slurm_config.read(config)
    if not told.cluster:
        raise Unavailable("scontrol show config does not tell the cluster's name")
    listed = partitions.read(parts)
    found = capacity.capacities(
        SiteId("site"), told.cluster, nodes.read(shown), listed, (),
        max_array=None, now=0.0, whole_nodes=told.whole_nodes,
        declared={partition_id("site", told.cluster, each.name): each for each in declared},
    )  # fmt: skip
    groups: dict[str, tuple[PartitionCapacity, ...]] = {}
    for part in listed:
        mine = [each for each in found if each.id == _local(told.cluster, part.name)]
        groups[part.name] = _by_shape(mine)
    quiet = "" if told.accounting else "the cluster keeps no accounting (slurmdbd)"
    return Live(told, listed, groups, qos_limits.read(qos) if qos else (), quiet)


def _by_shape(groups: Sequence[PartitionCapacity]) -> tuple[PartitionCapacity, ...]:
    """Put groups together that differ in their constraint words alone; the largest first."""
    found: dict[NodeShape, PartitionCapacity] = {}
    for each in groups:
        one = found.get(each.shape, replace(each, nodes=0, features=()))
        words = tuple(dict.fromkeys((*one.features, *each.features)))
        found[each.shape] = replace(one, nodes=one.nodes + each.nodes, features=words)
    return tuple(sorted(found.values(), key=lambda each: -each.nodes))


def _local(cluster: str, name: str) -> PartitionId:
    return partition_id("site", cluster, name)


def a_word(text: str) -> str:
    """Make a site's identifier of a cluster's name.

    Raises:
        InvalidArgument: If nothing is left of it.

    """
    made = _NOT_IN_A_WORD.sub("-", text.lower()).strip("._-")[:63]
    return site_id(made, "--id")


def site_of(
    live: Live, access: SlurmAccess, name: str = "", *, like: Site | None = None
) -> Discovered:
    """Return the site that a cluster shows.

    Args:
        live: What the cluster said.
        access: How it was reached.
        name: The site's identifier; the cluster's name made a word by default.
        like: A site file to compare with: of several shapes the one that it declares is taken.

    Raises:
        InvalidArgument: If the cluster's name or *name* is no word, or it has no partition that
            could be written.

    """
    identifier = site_id(name, "--id") if name else a_word(live.config.cluster)
    cluster = word(live.config.cluster, "ClusterName")
    old = {part.name: part for part in like.partitions} if like is not None else {}
    made: list[Partition] = []
    remarks: dict[str, tuple[str, ...]] = {}
    tail: list[str] = []
    for part in live.partitions:
        why = _left_out(part, live.groups[part.name])
        if why:
            tail.append(f"Partition {part.name} is left out: {why}.")
            continue
        group = _group(live.groups[part.name], old.get(part.name))
        partition, words = _partition(identifier, cluster, part, live.groups[part.name], group)
        made.append(partition)
        remarks[part.name] = words
    if not made:
        raise InvalidArgument(
            f"cluster '{cluster}' shows no partition that could be written",
            field="scontrol show partition",
            way_out="; ".join(tail) or "look with scontrol as the same account",
        )
    site = Site(
        id=SiteId(identifier),
        name=identifier,
        machine=cluster,
        city="",
        latitude=None,
        longitude=None,
        batch="slurm",
        partitions=tuple(made),
        clusters=(cluster,),
        qos=tuple(_qos(limit, live.partitions, remarks) for limit in live.qos),
        slurm=access,
    )
    return Discovered(site, tuple(_head(live)), remarks, tuple(tail))


def _head(live: Live) -> Iterator[str]:
    config = live.config
    yield (
        f"Written by 'resfed site discover slurm' from cluster {config.cluster}, "
        f"Slurm {config.version}. Keys and units: sites/README.md of RES Federation."
    )
    yield (
        "Look through it once: take out partitions that the federation shall not use, lower limits "
        "that it shall keep to. 'resfed site check --live FILE' shows later what has changed."
    )
    if config.max_array_size:
        yield (
            f"MaxArraySize is {config.max_array_size}: the agent cuts longer arrays in pieces, so "
            "that max_array is only written where the site wants shorter ones."
        )
    if not config.memory_counted:
        yield "Memory is not counted at this cluster (SelectTypeParameters without Memory)."
    if live.quiet:
        yield f"Qualities of service are not known: {live.quiet}."


def _left_out(part: SlurmPartition, groups: Sequence[PartitionCapacity]) -> str:
    try:
        word(part.name.lower(), "")
    except InvalidArgument:
        return "its name has signs that identifiers of the federation cannot have"
    if not groups:
        return "it has no nodes"
    strange = sorted({each.shape.architecture for each in groups} - set(_ARCHITECTURES))
    return f"its nodes are {strange[0]}, which a site file has no word for" if strange else ""


def _group(groups: Sequence[PartitionCapacity], declared: Partition | None) -> PartitionCapacity:
    """Choose the shape to write: the declared one, else accelerators first, else most nodes."""
    if declared is not None:
        for group in groups:
            if _amounts(group.shape) == _amounts(declared.shape):
                return group
    with_devices = [group for group in groups if group.shape.accelerators]
    return max(with_devices or groups, key=lambda group: group.nodes)


def _amounts(shape: NodeShape) -> tuple[int | None, int | None, int]:
    return (shape.cores, shape.memory_mib, shape.accelerators)


def _partition(
    site: str,
    cluster: str,
    part: SlurmPartition,
    groups: Sequence[PartitionCapacity],
    group: PartitionCapacity,
) -> tuple[Partition, tuple[str, ...]]:
    shape, words = _shape(group.shape)
    others = [each for each in groups if each is not group]
    note = ""
    if others:
        note = "further nodes: " + "; ".join(
            f"{each.nodes} of {_told(each.shape)}" for each in others
        )
        few = f"the figures are of {group.nodes} nodes; the agent reports all"
        words = (f"Nodes of {len(groups)} shapes: {few}.", *words)
    in_all = sum(each.nodes for each in groups)
    long = part.max_time_s is None or part.max_time_s > _LONGEST_S
    wide = part.max_nodes is None or part.max_nodes >= min(in_all, group.nodes)
    made = Partition(
        id=partition_id(site, cluster, part.name),
        name=part.name,
        shape=shape,
        nodes=group.nodes,
        max_time_s=None if long else part.max_time_s,
        max_nodes=None if wide else part.max_nodes,
        features=tuple(dict.fromkeys(word for each in groups for word in each.features)),
        confidence=Confidence.SOURCED,
        note=note,
    )
    return made, (*_standing(part), *words)


def _standing(part: SlurmPartition) -> Iterator[str]:
    if part.default:
        yield "Jobs that name no partition go here."
    if part.state != "UP":
        yield f"State is {part.state}: it takes no jobs at present."
    elif not part.up:
        yield "Only for root, or only with a reservation: take it out unless that is meant."
    if part.allow_accounts:
        yield (
            f"Only for the accounts {', '.join(part.allow_accounts)}: write one of them as "
            "account in [slurm], or take this partition out."
        )
    if part.allow_groups:
        yield (
            f"Only for the groups {', '.join(part.allow_groups)}: the account that submits must "
            "be in one of them."
        )
    if part.allow_qos:
        yield f"Only with the QoS {', '.join(part.allow_qos)}: dialect.toml says which to ask for."
    if part.qos:
        yield f"Its own QoS {part.qos} sets further limits."
    if part.whole_nodes:
        yield "A job gets whole nodes here."


def _shape(shape: NodeShape) -> tuple[NodeShape, tuple[str, ...]]:
    """Return a shape that a site file can say, and what it cannot."""
    model = accelerator(shape.accelerator, shape.accelerator_memory_mib)
    if not shape.accelerators or (model is not None and model.name == shape.accelerator):
        return shape, ()
    plain = NodeShape(shape.cores, shape.memory_mib, architecture=shape.architecture)
    called = f"'{shape.accelerator}'" if shape.accelerator != gpu_types.GENERIC else "no type"
    told = f"Its nodes have {shape.accelerators} accelerators, for which Slurm has {called}."
    way = f'accelerator = "nvidia-...", accelerators = {shape.accelerators}'
    return plain, (f"{told} Write the model: {way}",)


def _told(shape: NodeShape) -> str:
    devices = f", {shape.accelerators} {shape.accelerator}" if shape.accelerators else ""
    return f"{shape.cores} cores, {shape.memory_mib} MiB{devices}"


def _takes(part: SlurmPartition, qos: str) -> bool:
    return qos not in part.deny_qos and (not part.allow_qos or qos in part.allow_qos)


def _qos(limit: QosLimit, parts: Sequence[SlurmPartition], written: Mapping[str, object]) -> Qos:
    opens = tuple(part.name for part in parts if part.name in written and _takes(part, limit.name))
    time = limit.max_time_s
    return Qos(
        name=limit.name,
        partition=", ".join(opens) or "none",
        max_nodes=limit.max_nodes,
        max_time_s=time if time is not None and time <= _LONGEST_S else None,
        confidence=Confidence.SOURCED,
        opens=opens,
    )
