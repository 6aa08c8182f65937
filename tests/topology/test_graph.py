"""Distances: the widest of all paths, latency by the ground, the same whatever the order."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.identifiers import SiteId
from res_federation.model.site import Site
from res_federation.topology.distances import Moving
from res_federation.topology.graph import Link, distance_table, graph, great_circle_km, latency_ms

NAMES = "abcdef"


def a_site(name: str, latitude: float = 40.0, longitude: float = 0.0) -> Site:
    return Site(
        id=SiteId(name), name=name, machine="", city="", latitude=latitude, longitude=longitude,
        batch="", partitions=(),
    )  # fmt: skip


sites = st.lists(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=len(NAMES)
).map(lambda places: [a_site(n, *p) for n, p in zip(NAMES, places, strict=False)])
links = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "hub", "exchange"]),
        st.sampled_from([*NAMES, "hub", "exchange"]),
        st.sampled_from([1.0, 10.0, 100.0, 200.0, 400.0]),
    ).filter(lambda link: link[0] != link[1]),
    max_size=14,
    unique_by=lambda link: frozenset(link[:2]),
).map(lambda found: [Link((one, other), gbps) for one, other, gbps in found])


def widest(members: list[Site], found: list[Link]) -> dict[tuple[str, str], float]:
    """Return the answer in the plainest way: the max-min closure over every middle."""
    ends = {end for link in found for end in link.ends} | {site.id for site in members}
    width = dict.fromkeys(itertools.product(ends, ends), 0.0)
    for link in found:
        one, other = link.ends
        width[one, other] = width[other, one] = link.gbps
    for middle, one, other in itertools.product(ends, ends, ends):
        through = min(width[one, middle], width[middle, other])
        width[one, other] = max(width[one, other], through)
    names = [str(site.id) for site in members]
    return {pair: width[pair] for pair in itertools.permutations(names, 2) if width[pair]}


@given(members=sites, found=links)
def test_the_speed_is_that_of_the_widest_path(members, found):
    table = distance_table(members, graph(members, found))
    assert {pair: each.gbps for pair, each in table.pairs.items()} == widest(members, found)


@given(members=sites, found=links)
def test_there_and_back_are_the_same(members, found):
    pairs = distance_table(members, graph(members, found)).pairs
    for (one, other), there in pairs.items():
        assert pairs[other, one].gbps == there.gbps
        assert pairs[other, one].latency_ms == pytest.approx(there.latency_ms)


@given(members=sites, found=links, data=st.data())
def test_the_order_of_sites_and_links_means_nothing(members, found, data):
    table = distance_table(members, graph(members, found))
    mixed = data.draw(st.permutations(members))
    turned = [Link(link.ends[::-1], link.gbps) for link in data.draw(st.permutations(found))]
    again = distance_table(mixed, graph(mixed, turned))
    assert again == table
    assert list(again.pairs) == list(table.pairs)


@given(members=sites, found=links)
def test_one_more_link_makes_nothing_slower(members, found):
    before = distance_table(members, graph(members, found)).pairs
    wider = [*found, Link((members[0].id, "exchange"), 400.0)]
    after = distance_table(members, graph(members, wider)).pairs
    assert all(after[pair].gbps >= each.gbps for pair, each in before.items())


@given(
    one=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    other=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
def test_no_two_places_are_further_apart_than_half_the_earth(one, other):
    km = great_circle_km(a_site("a", *one), a_site("b", *other))
    assert km is not None
    assert 0 <= km <= math.pi * 6371.0 + 1e-6
    assert great_circle_km(a_site("a", *one), a_site("a", *one)) == 0


def test_a_known_distance():
    barcelona, madrid = a_site("a", 41.3874, 2.1686), a_site("b", 40.4168, -3.7038)
    assert great_circle_km(barcelona, madrid) == pytest.approx(505, abs=3)
    assert latency_ms(barcelona, madrid) == pytest.approx(505 * 1.3 / 200, abs=0.03)


def test_a_site_without_links_is_nowhere_and_a_transfer_there_has_no_estimate():
    members = [a_site("a"), a_site("b", 41), a_site("c", 42)]
    table = distance_table(members, graph(members, [Link(("a", "b"), 10.0)]))
    assert set(table.pairs) == {("a", "b"), ("b", "a")}
    assert table.transfer_s("a", "c", 1024) is None
    assert table.transfer_s("a", "b", 1192) == pytest.approx(1.0, abs=0.01)


def test_of_two_links_between_the_same_ends_the_wider_counts():
    members = [a_site("a"), a_site("b")]
    both = [Link(("b", "a"), 100.0), Link(("a", "b"), 10.0)]
    assert distance_table(members, graph(members, both)).pairs["a", "b"].gbps == 100.0


def all_ways(found: list[Link], one: str, other: str) -> list[tuple[float, tuple[str, ...]]]:
    """Return every way without a loop with its narrowest link, by walking all of them."""
    speeds = {end: gbps for link in found for end, gbps in _both(link)}
    done: list[tuple[float, tuple[str, ...]]] = []
    ways: list[tuple[float, tuple[str, ...]]] = [(math.inf, (one,))]
    while ways:
        width, way = ways.pop()
        if way[-1] == other:
            done.append((width, way))
            continue
        ways += [
            (min(width, gbps), (*way, far))
            for (near, far), gbps in speeds.items()
            if near == way[-1] and far not in way
        ]
    return done


def _both(link: Link) -> list[tuple[tuple[str, str], float]]:
    return [(link.ends, link.gbps), (link.ends[::-1], link.gbps)]


@given(members=sites, found=links)
def test_the_first_route_is_the_shortest_of_the_widest(members, found):
    table = distance_table(members, graph(members, found))
    for (one, other), routes in table.routes.items():
        ways = all_ways(found, one, other)
        width = max(width for width, _ in ways)
        links_of_best = min(len(way) for wide, way in ways if wide == width) - 1
        assert len(routes[0]) == links_of_best
        assert min(table.gbps[link] for link in routes[0]) == width
        assert min(map(len, routes)) == min(len(way) for _, way in ways) - 1


moves = st.lists(
    st.builds(Moving, st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 9000)),
    max_size=5,
)


@given(members=sites, found=links, moving=moves, mib=st.integers(1, 9000))
def test_what_moves_already_makes_nothing_quicker(members, found, moving, mib):
    table = distance_table(members, graph(members, found))
    load = table.load_of(moving)
    for pair in table.pairs:
        alone = table.transfer_s(*pair, mib)
        beside = table.transfer_s(*pair, mib, load)
        assert alone is not None
        assert beside is not None
        assert alone * (1 - 1e-9) <= beside <= alone * (len(moving) + 1) + 1e-9


@given(mib=st.integers(1, 5000), others=st.lists(st.integers(1, 5000), max_size=5))
def test_a_shared_link_serves_all_evenly(mib, others):
    """A link that gives one MiB to each in turn is the plainest even sharing there is."""
    members = [a_site("a"), a_site("b")]
    table = distance_table(members, graph(members, [Link(("a", "b"), 10.0)]))
    left, served = [*others, mib], 0
    while left[-1] > 0:
        for place in range(len(left)):
            if left[place] > 0:
                left[place] -= 1
                served += 1
    load = table.load_of([Moving("a", "b", other) for other in others])
    said = table.transfer_s("a", "b", mib, load)
    assert said == pytest.approx(table.transfer_s("a", "b", served), abs=1e-6)


def test_a_busy_route_is_left_for_a_narrower_one():
    members = [a_site("a"), a_site("b")]
    found = [Link(("a", "hub"), 20.0), Link(("hub", "b"), 20.0), Link(("a", "b"), 10.0)]
    table = distance_table(members, graph(members, found))
    load = table.load_of([Moving("a", "b", 50_000)] * 3)
    assert table.transfer_s("a", "b", 1192, load) == pytest.approx(1.0, abs=0.01)
    assert table.transfer_s("b", "a", 1192, load) == pytest.approx(0.5, abs=0.01)
