"""The network as a graph of sites, exchange points and links, and what follows from it.

Two figures are derived for every ordered pair of sites:

- *gbps*: the widest path, that is the path whose narrowest link is widest.  A maximum spanning
  tree holds a widest path for every pair of nodes; of the widest paths the shortest, in links,
  is the pair's first route, so that a transfer burdens no link that it need not.
- *latency one way*: great-circle distance x 1.3 / 200 km per ms.  Light in fibre does about
  200 km a millisecond; 1.3 is the usual detour of a fibre against the straight line.  It is an
  estimate from places, not a measurement, and does not depend on the path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import networkx as nx

from res_federation.model.site import Confidence, Site
from res_federation.topology.distances import Distance, DistanceTable, Route

EARTH_RADIUS_KM = 6371.0
FIBRE_KM_PER_MS = 200.0
FIBRE_DETOUR = 1.3
ROUTES = 4
"""Most ways of one kind that are kept of a pair."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between two ends (site identifiers or names of exchange points).

    Attributes:
        ends: Both ends; the order means nothing.
        gbps: Speed in each direction.
        confidence: Of the speed.
        note: What a reader should know.

    """

    ends: tuple[str, str]
    gbps: float
    confidence: Confidence = Confidence.SOURCED
    note: str = ""


def great_circle_km(one: Site, other: Site) -> float | None:
    """Return the distance over the ground (haversine), None where a place is not known."""
    if one.latitude is None or one.longitude is None:
        return None
    if other.latitude is None or other.longitude is None:
        return None
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    half_height = math.sin((b - a) / 2)
    half_width = math.sin(math.radians(other.longitude - one.longitude) / 2)
    h = half_height * half_height + math.cos(a) * math.cos(b) * half_width * half_width
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(h)))


def latency_ms(one: Site, other: Site) -> float:
    """Return the estimated latency one way; see the module's words for the formula.

    Of a site whose place is not known it is 0: beside the speed, which is known, it hardly counts.
    """
    return (great_circle_km(one, other) or 0.0) * FIBRE_DETOUR / FIBRE_KM_PER_MS


def graph(sites: Sequence[Site], links: Sequence[Link]) -> nx.Graph[str]:
    """Return the graph: a node for each site and for each end that a link names.

    Two links between the same ends do not add up; the wider one counts.  Edges carry ``gbps``.
    """
    network: nx.Graph[str] = nx.Graph()
    network.add_nodes_from(sorted(site.id for site in sites))
    for link in sorted(links, key=lambda each: (sorted(each.ends), each.gbps)):
        network.add_edge(*sorted(link.ends), gbps=link.gbps)
    return network


def distance_table(sites: Sequence[Site], network: nx.Graph[str]) -> DistanceTable:
    """Return the distance of every ordered pair of different *sites* that a path joins.

    The routes of a pair are the shortest (in links) of its widest paths, and after them the
    shortest of all its paths: once much moves over the former, one of the latter may be quicker.
    """
    widest = nx.maximum_spanning_tree(network, weight="gbps")
    ends = sorted(network.edges)
    numbers = {pair: 2 * place for place, pair in enumerate(ends)}
    numbers |= {(far, near): number + 1 for (near, far), number in list(numbers.items())}
    pairs: dict[tuple[str, str], Distance] = {}
    routes: dict[tuple[str, str], tuple[Route, ...]] = {}
    places = {str(site.id): site for site in sorted(sites, key=lambda each: each.id)}
    wide = {
        gbps: network.edge_subgraph([pair for pair in ends if network.edges[pair]["gbps"] >= gbps])
        for gbps in sorted({network.edges[pair]["gbps"] for pair in ends})
    }
    for source, here in places.items():
        before = {0.0: _before(network, source)}
        for target, gbps in sorted(_narrowest_from(widest, source).items()):
            there = places.get(target)
            if there is None or target == source:
                continue
            if gbps not in before:
                before[gbps] = _before(wide[gbps], source)
            found = [*_ways(before[gbps], target), *_ways(before[0.0], target)]
            pairs[source, target] = Distance(gbps, latency_ms(here, there))
            routes[source, target] = tuple(
                dict.fromkeys(tuple(numbers[step] for step in pairwise(way)) for way in found)
            )
    speeds = tuple(float(network.edges[pair]["gbps"]) for pair in ends for _ in range(2))
    return DistanceTable(dict(sorted(pairs.items())), dict(sorted(routes.items())), speeds)


def _before(network: nx.Graph[str], source: str) -> dict[str, list[str]]:
    """Return the ends from which a shortest way from *source* comes to each end."""
    return cast("dict[str, list[str]]", nx.predecessor(network, source))


def _ways(before: dict[str, list[str]], target: str) -> list[tuple[str, ...]]:
    """Return up to `ROUTES` of the shortest ways to *target*, by the names on them.

    Args:
        before: The ends from which a shortest way comes to each end; none for the source.
        target: Where to.

    """
    if not before[target]:
        return [(target,)]
    found: list[tuple[str, ...]] = []
    for near in sorted(before[target]):
        found += [(*way, target) for way in _ways(before, near)]
        if len(found) >= ROUTES:
            break
    return found[:ROUTES]


def _narrowest_from(tree: nx.Graph[str], source: str) -> dict[str, float]:
    """Return the narrowest link on the way from *source* to every node that it reaches."""
    width = {source: math.inf}
    for near, far in nx.bfs_edges(tree, source):
        width[far] = min(width[near], tree.edges[near, far]["gbps"])
    return width
