"""Every member as a Slurm cluster of the lab, configured as catalogue and dialect say it is.

What is not published cannot refuse a job: unknown cores, memory and numbers of nodes are generous,
and a limit that nobody wrote down is none.  What is published binds: a QoS has `DenyOnLimit`, a
partition its limits and the QoS that open it, and rules that no setting of Slurm can express (20
cores with each GPU, no ``--mem``) stand in a ``job_submit.lua``, as they do at the sites.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from res_federation.lab.conf_files import node_range
from res_federation.lab.plan import ClusterPlan, NodePlan, PartitionPlan
from res_federation.model.site import Partition, Qos, Site
from res_federation.slurm.dialect import Dialect, PartitionRule, Use
from tests.slurm.site_plugin import plugin

ACCOUNT = "lab"
"""The account of the one user, at every member; `Lab` makes it, too."""
ROUTED = "routed"
"""The partition of scripts that name none."""
UNKNOWN_NODES = 1000
UNKNOWN_CORES = 128
UNKNOWN_MEMORY_MIB = 1 << 20
_QOS_FLAGS = "DenyOnLimit,PartitionTimeLimit,PartitionMaxNodes"


@dataclass(frozen=True, slots=True)
class SiteCluster:
    """One machine of a member, and the partitions of the catalogue that it has."""

    site: Site
    dialect: Dialect
    plan: ClusterPlan
    partitions: tuple[Partition, ...]

    def others(self, part: Partition) -> str:
        """Return the nodes that a script for *part* must not use, as ``--exclude`` has them.

        Several partitions of the catalogue may be one in Slurm; "" where all nodes of it will do.
        """
        word = self.dialect.rule(part.name).directive or ROUTED
        here = next((each for each in self.plan.partitions if each.name == word), None)
        names = here.prefixes if here else ()
        return ",".join(
            node_range(self.plan, nodes)
            for nodes in self.plan.nodes
            if nodes.prefix in names and nodes.prefix != part.name
        )


def site_clusters(
    sites: Iterable[Site], dialects: dict[str, Dialect], accounts: Sequence[str] = ()
) -> list[SiteCluster]:
    """Return the clusters of *sites*; *accounts* are those that the user has besides `ACCOUNT`."""
    found = []
    for site in sites:
        for name in site.clusters:
            parts = tuple(part for part in site.partitions if _cluster_of(part) == name)
            if parts:
                dialect = dialects[site.id]
                found.append(SiteCluster(site, dialect, _plan(name, site, dialect, parts), parts))
    if found:  # the accounting is one for all, and the first cluster brings it
        words = tuple(_accounting(found, accounts))
        found[0] = replace(found[0], plan=replace(found[0].plan, accounting=words))
    return found


def _cluster_of(part: Partition) -> str:
    return part.id.split("/")[1]


def _plan(name: str, site: Site, dialect: Dialect, parts: Sequence[Partition]) -> ClusterPlan:
    rules = {part.name: dialect.rule(part.name) for part in parts}
    lines = ["EnforcePartLimits=ALL", "AccountingStorageEnforce=associations,limits,qos"]
    if dialect.licenses:
        lines.append(f"Licenses={','.join(f'{each}:1000' for each in dialect.licenses)}")
    routes = {
        qos.name: qos.partition
        for qos in site.qos
        if dialect.qos.use is Use.MUST and "," not in qos.partition
    }
    text = plugin(dialect, rules, routes)
    if text:
        lines.append("JobSubmitPlugins=lua")
    return ClusterPlan(
        name=name,
        nodes=tuple(_nodes(part, rules[part.name], dialect) for part in parts),
        partitions=tuple(_partitions(site, dialect, parts)),
        max_array_size=dialect.max_array_size,
        lines=tuple(lines),
        files=(("job_submit.lua", text),) if text else (),
    )


def _nodes(part: Partition, rule: PartitionRule, dialect: Dialect) -> NodePlan:
    shape = part.shape
    cores = shape.cores or UNKNOWN_CORES
    gres = [f"{each}:1000" for each in dialect.gres]
    if shape.accelerators:
        kind = f"{rule.gres_type}:" if rule.gres_type else ""
        gres.insert(0, f"gpu:{kind}{shape.accelerators}")
    features = dict.fromkeys((*part.features, *((rule.constraint,) if rule.constraint else ())))
    return NodePlan(
        prefix=part.name,
        count=UNKNOWN_NODES if part.nodes is None else part.nodes,
        cores=cores,
        memory_mib=shape.memory_mib or UNKNOWN_MEMORY_MIB,
        gres=",".join(gres),
        features=tuple(features),
        sockets=2 if part.cpu.startswith("2x") and cores % 2 == 0 else 1,
    )


def _partitions(
    site: Site, dialect: Dialect, parts: Sequence[Partition]
) -> Iterable[PartitionPlan]:
    """Yield a partition for each name that scripts give, the default one first."""
    named: dict[str, list[Partition]] = {}
    for part in parts:
        named.setdefault(dialect.rule(part.name).directive, []).append(part)
    names = {part.name for part in parts}
    for qos in site.qos:
        opened = [part for part in parts if part.name in qos.opens]
        for word in (each.strip() for each in qos.partition.split(",")):
            if word and word not in named and word not in names and (opened or not qos.opens):
                named[word] = opened or list(parts)
    if "" in named:  # scripts name none: all are within the one that Slurm takes then
        named = {"": named.pop(""), **named}
    for index, (word, members) in enumerate(named.items()):
        yield _partition(word, site, dialect, members, default=index == 0)


def _partition(
    word: str, site: Site, dialect: Dialect, members: Sequence[Partition], *, default: bool
) -> PartitionPlan:
    opens = [qos for qos in site.qos if _goes_with(qos, word, members)]
    times = [part.max_time_s for part in members if part.max_time_s is not None]
    nodes = [part.max_nodes for part in members if part.max_nodes is not None]
    if not times and opens and all(qos.max_time_s is not None for qos in opens):
        times = [qos.max_time_s or 0 for qos in opens]
    options = [f"MaxNodes={max(nodes)}"] if nodes else []
    if opens and (dialect.qos.use is Use.MUST or any(dialect.rule(p.name).qos for p in members)):
        options.append(f"AllowQos={','.join(qos.name for qos in opens)}")
    shares = [
        (part.shape.memory_mib or UNKNOWN_MEMORY_MIB) // (part.shape.cores or UNKNOWN_CORES)
        for part in members
    ]
    options.append(f"DefMemPerCPU={min(shares)}")
    return PartitionPlan(
        name=word or ROUTED,
        prefixes=tuple(part.name for part in members),
        max_time=_minutes(max(times)) if times else "UNLIMITED",
        default=default,
        options=" ".join(options),
    )


def _goes_with(qos: Qos, word: str, members: Sequence[Partition]) -> bool:
    named = [each.strip() for each in qos.partition.split(",")]
    opened = any(part.name in qos.opens for part in members)
    return opened and (not word or word in named)


def _minutes(seconds: int) -> str:
    return str(seconds // 60)


def _qos(site: Site, dialect: Dialect) -> list[Qos]:
    return [qos for qos in site.qos if dialect.qos.use is not Use.NEVER]


def _accounting(found: Sequence[SiteCluster], accounts: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Yield the words of sacctmgr, few because each takes its time: QoS, account, user."""
    limits: dict[tuple[str, ...], dict[str, None]] = {}
    clusters: dict[tuple[str, ...], list[str]] = {}
    for each in found:
        made = _qos(each.site, each.dialect)
        for qos in made:
            limits.setdefault(_limits(qos), {})[qos.name] = None
        opened = tuple(dict.fromkeys(("normal", *(qos.name for qos in made))))
        clusters.setdefault(opened, []).append(each.plan.name)
    for words, names in limits.items():
        yield ("add", "qos", ",".join(names), *words)
    owned = ",".join(dict.fromkeys((ACCOUNT, *accounts)))
    about = ("Description=lab", "Organization=lab")
    for opened, at in clusters.items():
        yield (
            "add",
            "account",
            owned,
            f"Cluster={','.join(at)}",
            *about,
            f"QOS={','.join(opened)}",
        )
    user = ("add", "user", getpass.getuser(), f"Account={owned}", f"DefaultAccount={ACCOUNT}")
    for at in clusters.values():
        yield (*user, f"Cluster={','.join(at)}")


def _limits(qos: Qos) -> tuple[str, ...]:
    words = [f"Flags={_QOS_FLAGS}"]
    if qos.max_time_s is not None:
        words.append(f"MaxWall={_minutes(qos.max_time_s)}")
    if qos.max_nodes is not None:
        words.append(f"MaxTRESPerJob=node={qos.max_nodes}")
    return tuple(words)
