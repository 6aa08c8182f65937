"""``simulations/<scenario>/scenario.toml`` into a checked `Scenario` (docs/scenarios.md).

Files are named relative to the scenario's own directory.  Names of sites and partitions are held
against the federation that the scenario refers to; what is wrong is told by line, with the nearest
name that there is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from res_federation.config.federations import FederationFile, load_federation
from res_federation.config.problems import Document, Problem, checked, first, read
from res_federation.config.scenario_faults import faults, nearest
from res_federation.config.scenario_file import (
    AddTable,
    GenerateTable,
    OverlayTable,
    ScenarioTable,
    WorkloadTable,
)
from res_federation.errors import FederationError
from res_federation.model.identifiers import PartitionId
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition

SCENARIO_FILE = "scenario.toml"
AS_IT_IS = "as-it-is"
"""Name of the overlay that changes nothing, where a scenario has none."""
_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to a site or a partition.

    Attributes:
        where: A site, or a partition ``site/cluster/partition``.
        begin_s: Seconds since the scenario's begin.
        end_s: Seconds since the scenario's begin.
        kind: ``crash``, ``drain``, ``maintenance``, ``nodes`` or ``silence``.
        nodes: How many leave, for ``nodes``.

    """

    where: str
    begin_s: int
    end_s: int
    kind: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A federation that differs from the scenario's own in what is said here.

    Attributes:
        name: A word; the name of a directory of results.
        title: For people.
        remove: Sites and partitions that are not there.
        add: Partitions that are.
        scale: Site or partition, and the factor of its nodes.
        events: What happens to them, and when.

    """

    name: str
    title: str = ""
    remove: tuple[str, ...] = ()
    add: tuple[Partition, ...] = ()
    scale: tuple[tuple[str, float], ...] = ()
    events: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadPart:
    """One part of the workload mix: a trace, or the figures of a generator.

    Attributes:
        name: In tables; the group of generated users.
        trace: File, or None for a generated part.
        first: Take only so many jobs of the trace.
        share: Part of the scenario's load, or None.
        jobs: How many jobs are drawn, where there is no share.
        begin_s: From when on they are submitted, in seconds since the scenario's begin.
        end_s: Until when.
        overlays: Overlays in which the part is there; empty for all.
        figures: Parameters of the generator, by name, that differ from its defaults.

    """

    name: str
    trace: Path | None
    first: int | None
    share: float | None
    jobs: int | None
    begin_s: int
    end_s: int
    overlays: tuple[str, ...]
    figures: tuple[tuple[str, float | int | str], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a planner asks: a grid of replays over overlays, loads, policies and seeds.

    Attributes:
        name: Of the scenario's directory.
        title: For people.
        description: For people.
        federation: Who takes part, before any overlay.
        only: Sites that are taken of it; empty for all.
        scale: Factor of every partition's nodes.
        machine: Processors that a federation file's sizes are multiples of, or None.
        days: For how long jobs are submitted.
        workload: The mix; at least one part.
        overlays: At least one.
        policies: Names.
        seeds: Numbers.
        loads: Work asked for by work that the federation could do; None where no part has a share.
        scheduler: At the sites.
        report_interval_s: How old a site's figures get.
        order_delay_s: From the broker into a site's queue.
        local_share: Part of the jobs that users submit at the sites themselves.
        kill: Whether sites end jobs at their limits.

    """

    name: str
    title: str
    description: str
    federation: FederationFile
    only: tuple[str, ...]
    scale: float
    machine: int | None
    days: int
    workload: tuple[WorkloadPart, ...]
    overlays: tuple[Overlay, ...]
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    loads: tuple[float | None, ...]
    scheduler: str
    report_interval_s: int
    order_delay_s: int
    local_share: float
    kill: bool


def load_scenario(path: Path, policies: Collection[str]) -> Scenario:
    """Return the scenario of a ``scenario.toml``, or of the directory that holds it.

    Args:
        path: File or directory.
        policies: Names of the policies that there are.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    found = check_scenario(path, policies)
    if isinstance(found, Scenario):
        return found
    raise first(found)


def check_scenario(path: Path, policies: Collection[str]) -> Scenario | list[Problem]:
    """Return the scenario, or every fault of it."""
    file = path / SCENARIO_FILE if path.is_dir() else path
    document = read(file)
    if isinstance(document, Problem):
        return [document]
    table = checked(document, ScenarioTable)
    if isinstance(table, list):
        return table
    federation = _federation(document, table)
    if isinstance(federation, Problem):
        return [federation]
    known = _partitions(federation)
    for index, name in enumerate(table.sites.only):
        if name not in known:
            return [document.problem(("sites", "only", index), nearest("site", name, known))]
    chosen = {name: known[name] for name in table.sites.only or known}
    problems = [
        document.problem(at, text)
        for at, text in faults(table, chosen, policies, file.parent)
    ]  # fmt: skip
    return problems or _made(table, file, federation)


def _federation(document: Document, table: ScenarioTable) -> FederationFile | Problem:
    """Return the federation that the scenario refers to."""
    given = [key for key in ("catalogue", "federation") if getattr(table.sites, key)]
    if len(given) != 1:
        return document.problem(("sites",), "needs one of catalogue and federation: name a path")
    path = document.file.parent / str(getattr(table.sites, given[0]))
    if given[0] == "catalogue" and not path.is_dir():
        return document.problem(("sites", "catalogue"), f"'{path}' is not a directory")
    try:
        return load_federation(path)
    except FederationError as error:
        return document.problem(("sites", given[0]), str(error))


def _partitions(federation: FederationFile) -> dict[str, list[str]]:
    """Return the partitions that jobs can run on, by site."""
    if federation.members:
        return {
            member.id: [f"{member.id}/{member.id}/{pool.name}" for pool in member.pools]
            for member in federation.members
        }
    return {site.id: [part.id for part in site.partitions] for site in federation.catalogue}


def _made(table: ScenarioTable, file: Path, federation: FederationFile) -> Scenario:
    overlays = tuple(_overlay(each) for each in table.overlay) or (Overlay(AS_IT_IS),)
    return Scenario(
        name=file.resolve().parent.name,
        title=table.title,
        description=table.description,
        federation=federation,
        only=tuple(table.sites.only),
        scale=table.sites.scale,
        machine=table.sites.machine,
        days=table.days,
        workload=tuple(_part(each, table.days, file.parent) for each in table.workload),
        overlays=overlays,
        policies=tuple(table.policies),
        seeds=tuple(table.seeds),
        loads=tuple(table.loads) or (None,),
        scheduler=table.scheduler,
        report_interval_s=table.report_interval or 0,
        order_delay_s=table.order_delay or 0,
        local_share=table.local_share,
        kill=table.kill,
    )


def _part(table: WorkloadTable, days: int, base: Path) -> WorkloadPart:
    return WorkloadPart(
        name=table.name,
        trace=None if table.trace is None else base / table.trace,
        first=table.first,
        share=table.share,
        jobs=table.jobs,
        begin_s=table.begin or 0,
        end_s=days * _DAY_S if table.end is None else table.end,
        overlays=tuple(table.overlays),
        figures=_figures(table.generate or GenerateTable()),
    )


def _figures(table: GenerateTable) -> tuple[tuple[str, float | int | str], ...]:
    names = {"median": "median_s", "longest": "longest_s"}
    given = table.model_dump(exclude_none=True)
    return tuple((names.get(key, key), value) for key, value in given.items())


def _overlay(table: OverlayTable) -> Overlay:
    return Overlay(
        name=table.name,
        title=table.title,
        remove=tuple(table.remove),
        add=tuple(_partition(each) for each in table.add),
        scale=tuple((each.where, each.factor) for each in table.scale),
        events=tuple(
            Happening(each.where, each.begin, each.end, each.kind, each.nodes or 0)
            for each in table.event
        ),
    )


def _partition(table: AddTable) -> Partition:
    return Partition(
        id=PartitionId(table.partition),
        name=table.partition.rpartition("/")[2],
        shape=NodeShape(
            cores=table.cores,
            memory_mib=table.memory,
            accelerator=table.accelerator or "",
            accelerators=table.accelerators or 0,
            accelerator_memory_mib=table.accelerator_memory,
            architecture=table.architecture,
        ),
        nodes=table.nodes,
        max_time_s=table.max_time,
        max_nodes=table.max_nodes,
        confidence=table.confidence,
        note=table.note,
    )
