"""Federations to replay on, as files: sizes in proportion to a trace's machine, or a catalogue.

The keys of such a file::

    title = "..."                for people
    catalogue = "../../sites"    a directory of site files, from this file; instead of [[site]]
    scale = "largest-job"        its partitions become pools to the trace's scale; without it they
                                 are taken as they are, nodes and all
    [[site]]                     in the order in which copies of a job are started
    id = "whole"
    size = 1.0                   one pool of so many times the trace's machine, or
    processors = 128             one pool of so many processors, or
    [[site.partition]]           several
    name = "long"
    size = 0.5                   or processors
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from res_federation.config.problems import Problem, checked, first, read
from res_federation.config.site_file import Strict, Text, Word
from res_federation.config.sites import SITE_FILE, load_distances, load_site, load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.site import Site
from res_federation.topology.distances import NOWHERE, DistanceTable

_Size = Annotated[float, Field(gt=0, le=1e6)]
_Count = Annotated[int, Field(ge=1, le=100_000_000)]


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """One pool: so many processors, or so many times the trace's machine."""

    name: str
    size: float | None
    processors: int | None


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """One member with its pools."""

    id: str
    pools: tuple[PoolEntry, ...]


@dataclass(frozen=True, slots=True)
class FederationFile:
    """What a file, or a directory of site files, says.

    Attributes:
        name: Of the file without its ending.
        title: For people.
        members: Pools by member, in the file's order; empty with a catalogue.
        catalogue: Sites of a catalogue; empty with members.
        to_scale: Whether the catalogue's partitions become pools to the trace's scale.
        distances: The network between the sites of a catalogue.

    """

    name: str
    title: str
    members: tuple[MemberEntry, ...] = ()
    catalogue: tuple[Site, ...] = ()
    to_scale: bool = False
    distances: DistanceTable = NOWHERE


class _Pool(Strict):
    name: Word
    size: _Size | None = None
    processors: _Count | None = None


class _Site(Strict):
    id: Word
    size: _Size | None = None
    processors: _Count | None = None
    partition: list[_Pool] = Field(default_factory=list)


class _Federation(Strict):
    title: Text = ""
    catalogue: Text | None = None
    scale: Literal["largest-job"] | None = None
    site: list[_Site] = Field(default_factory=list)


def load_federation(path: Path) -> FederationFile:
    """Return the federation of a file, or of a directory of site files.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    if path.is_dir() or path.name == SITE_FILE:
        return _catalogue(path, path.stem if path.is_dir() else path.parent.name)
    document = read(path)
    if isinstance(document, Problem):
        raise first([document])
    table = checked(document, _Federation)
    if isinstance(table, list):
        raise first(table)
    problems = [document.problem(place, text) for place, text in _contradictions(table)]
    if problems:
        raise first(problems)
    title = table.title or path.stem
    if table.catalogue is not None:
        sites = path.parent / table.catalogue
        if not sites.is_dir():
            raise first([document.problem(("catalogue",), f"'{sites}' is not a directory")])
        return _catalogue(sites, path.stem, title, to_scale=table.scale is not None)
    return FederationFile(path.stem, title, tuple(_member(site) for site in table.site))


def _catalogue(path: Path, name: str, title: str = "", *, to_scale: bool = False) -> FederationFile:
    if path.is_dir() and not (path / SITE_FILE).is_file():
        sites = load_sites(path)
        distances = load_distances(path, sites)
    else:
        sites, distances = (load_site(path),), NOWHERE
    able = tuple(site for site in sites if site.partitions)
    if not able:
        raise InvalidArgument(
            f"no site of '{path}' has a partition", way_out="add a [[partition]] to a site file"
        )
    return FederationFile(name, title or name, (), able, to_scale, distances)


def _member(site: _Site) -> MemberEntry:
    pools = site.partition or [_Pool(name="pool", size=site.size, processors=site.processors)]
    return MemberEntry(
        site.id, tuple(PoolEntry(pool.name, pool.size, pool.processors) for pool in pools)
    )


_Place = tuple[str | int, ...]


def _contradictions(table: _Federation) -> Iterator[tuple[_Place, str]]:
    if table.catalogue is not None and table.site:
        yield ("catalogue",), "stands beside a [[site]]; leave one of them out"
    if table.catalogue is None and not table.site:
        yield ("site",), "there is no [[site]]; add one, or name a catalogue"
    if table.catalogue is None and table.scale is not None:
        yield ("scale",), "is for a catalogue; a [[site]] has a size"
    ids = [site.id for site in table.site]
    for number, site in enumerate(table.site):
        place: _Place = ("site", number)
        if site.id in ids[:number]:
            yield (*place, "id"), f"'{site.id}' stands for a site already"
        if site.partition and (site.size is not None or site.processors is not None):
            yield place, "has a size of its own beside partitions; leave one of them out"
        names = [pool.name for pool in site.partition]
        pools: list[tuple[_Place, _Site | _Pool]] = [
            ((*place, "partition", index), pool) for index, pool in enumerate(site.partition)
        ]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield (*place, "partition", index), f"'{name}' stands for a partition already"
        for where, pool in pools or [(place, site)]:
            if (pool.size is None) == (pool.processors is None):
                yield where, "give it one of size and processors"
