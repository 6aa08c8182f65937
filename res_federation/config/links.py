"""``links.toml`` (the network between sites) and ``sources.toml`` (where figures come from)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

from pydantic import Field

from res_federation.config.problems import Document, Problem, checked, read
from res_federation.config.site_file import Address, Known, Strict, Text, Word
from res_federation.topology.graph import Link

Placed = tuple[Callable[[str], Problem], Link]
"""A link, and what makes a problem of a remark on its speed."""


class _Hub(Strict):
    name: Word
    title: Text
    note: str = ""
    sources: list[Text] = Field(default_factory=list)


class _Link(Strict):
    ends: Annotated[list[Word], Field(min_length=2, max_length=2)]
    gbps: Annotated[float, Field(gt=0, le=100_000)]
    confidence: Known
    sources: list[Text] = Field(default_factory=list)
    note: str = ""


class _Links(Strict):
    hub: list[_Hub] = Field(default_factory=list)
    link: list[_Link] = Field(default_factory=list)


class _Source(Strict):
    title: Text
    url: Address | None = None
    date: Text | None = None
    note: Text | None = None


class _Sources(Strict):
    source: dict[str, _Source]


def links_of(file: Path, known: Collection[str]) -> tuple[list[Placed], list[Problem]]:
    """Return the links of *file* and every fault of it.

    Args:
        file: A ``links.toml``.
        known: Identifiers of the sites; other ends must be a ``[[hub]]``.

    """
    document = read(file)
    if isinstance(document, Problem):
        return [], [document]
    table = checked(document, _Links)
    if isinstance(table, list):
        return [], table
    hubs = [hub.name for hub in table.hub]
    problems = [
        document.problem(("hub", index, "name"), f"'{name}' stands for a site or a hub already")
        for index, name in enumerate(hubs)
        if name in hubs[:index] or name in known
    ]
    seen: set[frozenset[str]] = set()
    links: list[Placed] = []
    for index, link in enumerate(table.link):
        one, other = link.ends
        fault = _fault(one, other, {*known, *hubs}, seen)
        if fault:
            problems.append(document.problem(("link", index, "ends"), fault))
        seen.add(frozenset(link.ends))
        made = Link((one, other), link.gbps, link.confidence, link.note)
        links.append((_remark(document, index), made))
    return links, problems


def _remark(document: Document, index: int) -> Callable[[str], Problem]:
    return lambda message: document.problem(("link", index, "gbps"), message)


def _fault(one: str, other: str, ends: Collection[str], seen: Collection[frozenset[str]]) -> str:
    for end in (one, other):
        if end not in ends:
            return f"'{end}' is neither a site nor a [[hub]]; there is: {', '.join(sorted(ends))}"
    if one == other:
        return f"'{one}' cannot be linked with itself"
    if frozenset((one, other)) in seen:
        return f"'{one}' and '{other}' are linked twice; leave one out"
    return ""


def source_keys(file: Path) -> frozenset[str] | Problem | None:
    """Return the keys of a ``sources.toml``, its first fault, or None where there is no file."""
    if not file.is_file():
        return None
    document = read(file)
    if isinstance(document, Problem):
        return document
    table = checked(document, _Sources)
    return table[0] if isinstance(table, list) else frozenset(table.source)
