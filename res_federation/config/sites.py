"""The catalogue of sites: files into the model's values, or every fault with its line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from res_federation.config.data_classes import DATA_CLASSES_FILE, data_class_problems
from res_federation.config.dialects import DIALECT_FILE, dialect_of
from res_federation.config.governance import governance_faults, governance_of
from res_federation.config.identity_file import rules_of
from res_federation.config.links import links_of, source_keys
from res_federation.config.problems import Document, Problem, checked, first, read
from res_federation.config.site_file import PartitionTable, QosTable, SiteTable, SlurmTable
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import accelerator
from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Qos, Site, SlurmAccess
from res_federation.topology.distances import NOWHERE, DistanceTable
from res_federation.topology.graph import Link, distance_table, graph

__all__ = ["Problem", "check", "load_distances", "load_site", "load_sites"]

SITE_FILE = "site.toml"
LINKS_FILE = "links.toml"
SOURCES_FILE = "sources.toml"


def load_site(path: Path) -> Site:
    """Return the site of one ``site.toml`` (or of the directory that holds it).

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    file = path / SITE_FILE if path.is_dir() else path
    found = _site(file)
    if isinstance(found, Site):
        return found
    raise first(found, more=f"resfed site check {file}")


def load_sites(directory: Path, only: Collection[str] = ()) -> tuple[Site, ...]:
    """Return the sites of a catalogue, by identifier.

    Args:
        directory: Holds a directory for each site.
        only: Identifiers of the sites that are wanted; empty for all.

    Raises:
        InvalidArgument: If a file has a fault or *only* names a site that is not there.

    """
    files = _site_files(directory)
    unknown = sorted(set(only) - set(files))
    if unknown:
        raise InvalidArgument(
            f"no site '{unknown[0]}' in '{directory}'", way_out=f"it has: {', '.join(files)}"
        )
    wanted = [name for name in files if not only or name in only]
    sites = []
    for name in wanted:
        site = load_site(files[name])
        misplaced = list(_misplaced(files[name], site))
        if misplaced:
            raise first(misplaced)
        sites.append(site)
    return tuple(sorted(sites, key=lambda site: site.id))


def load_distances(directory: Path, sites: Sequence[Site]) -> DistanceTable:
    """Return how far *sites* are from one another, by the catalogue's ``links.toml``.

    Without that file nothing is known, and nothing is invented.

    Raises:
        InvalidArgument: With file, line and field of the first fault.

    """
    file = directory / LINKS_FILE
    if not file.is_file():
        return NOWHERE
    known = {*(site.id for site in sites), *_site_files(directory)}
    links, problems = links_of(file, known)
    if problems:
        raise first(problems, more=f"resfed site check {directory}")
    return distance_table(sites, graph(sites, [link for _, link in links]))


def check(path: Path) -> list[Problem]:
    """Return every fault of a ``site.toml``, or of a whole catalogue; empty if there is none.

    In a catalogue the files are also held against one another: directory names, links, speeds
    that are written twice, keys of sources.
    """
    if not path.is_dir() or (path / SITE_FILE).is_file():
        file = path / SITE_FILE if path.is_dir() else path
        found = _site(file)
        if isinstance(found, list):
            return found
        catalogue = file.parent.parent
        return [
            *_unsourced(file, catalogue),
            *_dialect_problems(file, found, catalogue),
            *_identity_problems(found),
        ]
    try:
        files = _site_files(path)
    except InvalidArgument as error:
        return [Problem(str(path), 1, "", error.message)]
    problems: list[Problem] = []
    sites: dict[str, Site] = {}
    for name, file in files.items():
        found = _site(file)
        if isinstance(found, list):
            problems += found
            continue
        sites[name] = found
        problems += [*_misplaced(file, found), *_unsourced(file, path)]
        problems += _dialect_problems(file, found, path) + _identity_problems(found)
    return [
        *problems,
        *_link_problems(path, set(files), sites),
        *data_class_problems(path / DATA_CLASSES_FILE),
    ]


def _site_files(directory: Path) -> dict[str, Path]:
    if not directory.is_dir():
        raise InvalidArgument(
            f"'{directory}' is not a directory", way_out="name the catalogue of sites with --sites"
        )
    found = {file.parent.name: file for file in sorted(directory.glob(f"*/{SITE_FILE}"))}
    if not found:
        raise InvalidArgument(
            f"no site in '{directory}'", way_out=f"a site is a directory with a {SITE_FILE}"
        )
    return found


def _misplaced(file: Path, site: Site) -> Iterator[Problem]:
    if file.parent.name != site.id:
        document = read(file)
        if isinstance(document, Document):
            yield document.problem(
                ("id",),
                f"'{site.id}' stands in the directory '{file.parent.name}'; give both one name",
            )


def _unsourced(file: Path, catalogue: Path) -> Iterator[Problem]:
    known = source_keys(catalogue / SOURCES_FILE)
    if isinstance(known, Problem):
        yield known
        return
    document = read(file)
    if known is None or isinstance(document, Problem):
        return
    site = document.values
    tables: list[tuple[tuple[str | int, ...], dict[str, list[str]]]] = [((), site)]
    for key in ("network", "power", "governance"):
        tables += [((key,), site[key])] if key in site else []
    for kind in ("partition", "qos"):
        tables += [((kind, index), table) for index, table in enumerate(site.get(kind, []))]
    for path, table in tables:
        for key in table.get("sources", []):
            if key not in known:
                message = f"'{key}' is not in {SOURCES_FILE}; add it there"
                yield document.problem((*path, "sources"), message)


def _dialect_problems(file: Path, site: Site, catalogue: Path) -> list[Problem]:
    """Return the faults of the dialect beside a ``site.toml``; a site may have none."""
    dialect = file.parent / DIALECT_FILE
    if not dialect.exists():
        return []
    known = source_keys(catalogue / SOURCES_FILE)
    found = dialect_of(dialect, site, known if isinstance(known, frozenset) else None)
    return found if isinstance(found, list) else []


def _identity_problems(site: Site) -> list[Problem]:
    """Return the faults of the file that says who runs as whom; a site may have none."""
    if not site.identity:
        return []
    found = rules_of(Path(site.identity))
    return found if isinstance(found, list) else []


def _link_problems(catalogue: Path, known: set[str], sites: dict[str, Site]) -> list[Problem]:
    file = catalogue / LINKS_FILE
    if not file.is_file():
        return []
    links, problems = links_of(file, known)
    for place, link in links:
        problems += [place(each) for each in _disagreement(link, sites)]
    linked = {end for _, link in links for end in link.ends}
    for name in sorted(set(sites) - linked):
        if not problems:
            problems.append(
                Problem(str(file), 1, "link", f"site '{name}' has no link; add a [[link]] for it")
            )
    return problems


def _disagreement(link: Link, sites: dict[str, Site]) -> Iterator[str]:
    for end in link.ends:
        site = sites.get(end)
        if site is not None and site.wan_gbps is not None and site.wan_gbps < link.gbps:
            yield f"{link.gbps:g} is more than network.gbps = {site.wan_gbps:g} of site '{end}'"


def _site(file: Path) -> Site | list[Problem]:
    document = read(file)
    if isinstance(document, Problem):
        return [document]
    table = checked(document, SiteTable)
    if isinstance(table, list):
        return table
    problems = [document.problem(path, text) for path, text in _contradictions(table)]
    if table.governance is not None:
        faults = governance_faults(table.governance)
        problems += [document.problem(("governance", key), text) for key, text in faults]
    if problems:
        return problems
    made = _made(table)
    if table.identity is None:
        return made
    return replace(made, identity=str(file.absolute().parent / table.identity.file))


_Fault = tuple[tuple[str | int, ...], str]


def _contradictions(table: SiteTable) -> Iterator[_Fault]:
    """Yield what no single key can show: doubles, names of nothing, sums that cannot be."""
    if table.batch and not table.partition:
        yield ("batch",), 'without a [[partition]] there is nothing to run on; write batch = ""'
    if table.partition and not table.batch:
        yield ("batch",), 'is empty, but there are partitions; write "local" or "slurm"'
    if table.batch == "slurm" and table.slurm is None:
        yield ("batch",), '"slurm" needs a table [slurm] with conf, the path of slurm.conf'
    clusters = [cluster.name for cluster in table.cluster]
    yield from _doubles("cluster", clusters)
    yield from _doubles("partition", [f"{each.cluster}/{each.name}" for each in table.partition])
    yield from _doubles("qos", [each.name for each in table.qos])
    names = {each.name for each in table.partition}
    for index, part in enumerate(table.partition):
        at = ("partition", index)
        if part.cluster not in clusters:
            yield (*at, "cluster"), f"'{part.cluster}' is no [[cluster]]; {_list(clusters)}"
        for alias in part.aliases:
            if alias in names:
                yield (*at, "aliases"), f"'{alias}' is the name of a partition; take it out"
        for key, message in _partition_faults(part):
            yield (*at, key), message
    for index, qos in enumerate(table.qos):
        for name in qos.opens:
            if name not in names:
                known = _list(sorted(names))
                yield ("qos", index, "opens"), f"'{name}' is no partition of this site; {known}"


def _partition_faults(part: PartitionTable) -> Iterator[tuple[str, str]]:
    if part.accelerator is None:
        if part.accelerators is not None:
            yield "accelerators", "there are some, but no model; add 'accelerator = ...'"
        if part.accelerator_memory is not None:
            yield "accelerator_memory", "there is no accelerator; add 'accelerator = ...'"
    else:
        model = accelerator(part.accelerator, part.accelerator_memory)
        if model is None:
            known = "write it like nvidia-h100-sxm-80gb"
            yield "accelerator", f"'{part.accelerator}' names no known model; {known}"
        elif model.name != part.accelerator:
            yield "accelerator", f"'{part.accelerator}' is written '{model.name}' here"
    for key in part.confidence_of:
        if key not in _FIGURES or getattr(part, key) is None:
            yield "confidence_of", f"'{key}' is no figure of this partition"
    if part.max_nodes and part.nodes and part.max_nodes > part.nodes:
        yield "max_nodes", f"{part.max_nodes} is more than the partition's {part.nodes} nodes"


_FIGURES = ("nodes", "cores", "memory", "accelerators", "accelerator_memory", "peak_pflops",
            "node_watts", "max_time", "max_nodes", "max_array", "res_share_percent")  # fmt: skip


def _doubles(kind: str, names: Sequence[str]) -> Iterator[_Fault]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (kind, index, "name"), f"'{name}' stands here twice; rename or remove one"


def _list(words: Sequence[str]) -> str:
    return f"there is: {', '.join(words)}" if words else "there is none"


def _made(table: SiteTable) -> Site:
    place, network, power = table.location, table.network, table.power
    return Site(
        id=SiteId(table.id),
        name=table.name or table.id,
        machine=table.machine,
        city=table.city or "",
        latitude=None if place is None else place.latitude,
        longitude=None if place is None else place.longitude,
        batch=table.batch,
        partitions=tuple(_partition(table.id, part) for part in table.partition),
        clusters=tuple(cluster.name for cluster in table.cluster),
        qos=tuple(_qos(each) for each in table.qos),
        res_share_percent=table.res_share_percent,
        wan_gbps=None if network is None else network.gbps,
        country=table.country,
        slurm=None if table.slurm is None else _slurm(table.slurm),
        grams_per_kwh=None if power is None else power.grams_per_kwh * power.pue,
        governance=None if table.governance is None else governance_of(table.governance),
    )


def _slurm(table: SlurmTable) -> SlurmAccess:
    return SlurmAccess(table.conf, table.user, table.account, table.bin, table.shared)


def _partition(site: str, part: PartitionTable) -> Partition:
    return Partition(
        id=partition_id(site, part.cluster, part.name),
        name=part.name,
        shape=NodeShape(
            cores=part.cores,
            memory_mib=part.memory,
            accelerator=part.accelerator or "",
            accelerators=part.accelerators or 0,
            accelerator_memory_mib=part.accelerator_memory,
            architecture=part.architecture,
        ),
        nodes=part.nodes,
        aliases=tuple(part.aliases),
        cpu=part.cpu or "",
        max_time_s=part.max_time,
        max_nodes=part.max_nodes,
        max_array=part.max_array,
        features=tuple(part.features),
        confidence=part.confidence,
        sources=tuple(part.sources),
        note=part.note,
        node_watts=part.node_watts,
    )


def _qos(table: QosTable) -> Qos:
    return Qos(
        name=table.name,
        partition=table.partition,
        max_nodes=table.max_nodes,
        max_time_s=table.max_time,
        confidence=table.confidence,
        note=table.note,
        opens=tuple(table.opens),
    )
