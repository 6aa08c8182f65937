"""A site file beside the cluster that it describes: every figure that differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from res_federation.agent.slurm.discover import Live, site_of
from res_federation.model.site import Partition, Site, SlurmAccess


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        partition: Where, or "" for the cluster as a whole.
        key: Key of the site file.
        file: What the file says, "" for nothing.
        cluster: What the cluster says, "" for nothing.
        message: The whole as a sentence, with the way out.

    """

    partition: str
    key: str
    file: str
    cluster: str
    message: str


def differences(site: Site, live: Live) -> tuple[Difference, ...]:
    """Return what *site* says otherwise than its cluster, by partition; () when all agrees.

    A limit that the file sets below Slurm's is the site's own will for the federation, and no
    difference; one above it is, for Slurm would refuse the job.

    Raises:
        InvalidArgument: If the cluster shows nothing that could be compared.

    """
    found: list[Difference] = []
    if live.config.cluster not in site.clusters:
        named = ", ".join(site.clusters)
        return (
            Difference(
                "", "cluster", named, live.config.cluster,
                f"the file is of cluster {named}, and this is {live.config.cluster}: "
                "look at conf in [slurm]",
            ),
        )  # fmt: skip
    shown = site_of(live, site.slurm or SlurmAccess(""), site.id, like=site).site
    theirs = {part.name: part for part in shown.partitions}
    for part in site.partitions:
        other = theirs.pop(part.name, None)
        if other is None:
            words = f"partition {part.name} is not there (or has no nodes): take it out of the file"
            found.append(Difference(part.name, "name", part.name, "", words))
        else:
            found += [*_figures(part, other), *_limits(part, other)]
    for name in sorted(theirs):
        words = f"partition {name} is not in the file: 'resfed site discover slurm' writes it"
        found.append(Difference(name, "name", "", name, words))
    found += _qos(site, live)
    return tuple(found)


def _figures(mine: Partition, theirs: Partition) -> Iterator[Difference]:
    rows: tuple[tuple[str, object, object], ...] = (
        ("nodes", mine.nodes, theirs.nodes),
        ("cores", mine.shape.cores, theirs.shape.cores),
        ("memory", mine.shape.memory_mib, theirs.shape.memory_mib),
        ("accelerator", mine.shape.accelerator, theirs.shape.accelerator),
        ("accelerators", mine.shape.accelerators, theirs.shape.accelerators),
        ("architecture", mine.shape.architecture, theirs.shape.architecture),
        ("features", " ".join(sorted(mine.features)), " ".join(sorted(theirs.features))),
    )
    for key, said, seen in rows:
        if (said or None) != (seen or None):
            yield _difference(mine.name, key, said, seen)


def _limits(mine: Partition, theirs: Partition) -> Iterator[Difference]:
    rows = (
        ("max_time", mine.max_time_s, theirs.max_time_s),
        ("max_nodes", mine.max_nodes, theirs.max_nodes),
    )
    for key, said, seen in rows:
        if seen is not None and (said is None or said > seen):
            yield _difference(mine.name, key, said, seen)


def _qos(site: Site, live: Live) -> Iterator[Difference]:
    if live.quiet:
        return
    there = {limit.name: limit for limit in live.qos}
    for qos in site.qos:
        if qos.name not in there:
            words = f"QoS {qos.name} is not there: take it out of the file"
            yield Difference("", "qos", qos.name, "", words)
    for name in sorted(there.keys() - {qos.name for qos in site.qos}):
        words = f"QoS {name} is not in the file: 'resfed site discover slurm' writes it"
        yield Difference("", "qos", "", name, words)


def _difference(partition: str, key: str, said: object, seen: object) -> Difference:
    mine, theirs = _written(key, said), _written(key, seen)
    words = (
        f"partition {partition}: {key} is {mine or 'not written'} in the file, "
        f"{theirs or 'nothing'} at the cluster"
    )
    return Difference(partition, key, mine, theirs, words)


def _written(key: str, value: object) -> str:
    if not value:
        return ""
    if key == "max_time" and isinstance(value, int):
        return f"{value // 3600}:{value // 60 % 60:02}:{value % 60:02}"
    return f"{value} MiB" if key == "memory" else str(value)
