"""Places in the queues of virtual sites: dealt anew among our runs, and nobody else moves."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from res_federation.model.resources import Layout, NodeShape
from res_federation.placement.policies import named
from res_federation.simulator.federation import replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.local_queue import LocalQueue
from res_federation.simulator.shaped_queue import ShapedQueue
from res_federation.simulator.virtual_site import VirtualSite
from tests.simulator.drawn_workload import drawn
from tests.simulator.test_federation import THREE, conserved, digest
from tests.strategies import examples

CHECKED = Rules(check=True)


def pool(discipline: str) -> LocalQueue:
    return LocalQueue(4, discipline)


def nodes(discipline: str) -> ShapedQueue:
    return ShapedQueue(NodeShape(cores=1, memory_mib=None), 4, discipline)


def size(queue: LocalQueue | ShapedQueue, procs: int) -> object:
    return procs if isinstance(queue, LocalQueue) else Layout(procs, 1, 0, 0)


@settings(max_examples=examples(60))
@given(
    st.sampled_from([pool, nodes]),
    st.sampled_from(["fcfs", "easy", "conservative"]),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50)), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_places_are_dealt_among_those_that_are_named(make, discipline, jobs, luck):
    queue = make(discipline)
    for key, (procs, at) in enumerate(jobs):
        queue.submit(key, size(queue, procs), 100, at)
    before = queue.in_order(99)
    assert before == sorted(range(len(jobs)), key=lambda key: (jobs[key][1], key))
    ours = [key for key in range(len(jobs)) if luck.random() < 0.6]
    luck.shuffle(ours)
    queue.arrange(ours)
    after = queue.in_order(99)
    assert [key for key in after if key in ours] == ours
    assert [key if key not in ours else None for key in after] == [
        key if key not in ours else None for key in before
    ]
    begun = queue.start(0)
    for key in begun:
        queue.finish(key, 1)
    while queue.waiting:  # whatever was moved, all of it runs in the end
        for key in queue.start(1):
            begun.append(key)
            queue.finish(key, 1)
    assert sorted(begun) == list(range(len(jobs)))


@pytest.mark.parametrize(
    "rules",
    [
        CHECKED,
        replace(CHECKED, arranges=False),
        replace(CHECKED, fences=False),
        replace(CHECKED, report_interval_s=30, order_delay_s=2, report_delay_s=1),
    ],
    ids=["arranged", "as they came", "without fences", "old news"],
)
def test_with_local_users_every_job_runs_once(rules: Rules):
    work = drawn(5, 120, 16, gap=60)
    late = named("federated").late
    assert late is not None
    weights = replace(named("federated"), late=replace(late, yield_s=120.0, settle_s=5.0))
    found = [
        replay_federation(work, THREE, load=0.9, local_share=0.5, rules=rules, weights=weights)
        for _ in range(2)
    ]
    conserved(found[0])
    assert digest(found[0]) == digest(found[1])
    assert (found[0].start >= 0).all()
    assert found[0].local.any()


def test_places_are_held_where_others_are_and_nowhere_else(monkeypatch: pytest.MonkeyPatch):
    """The share of local users alone decides whether any run waits at a site to hold a place."""
    work = drawn(6, 120, 16, gap=60)
    kept: list[bool] = []
    obey = VirtualSite._start

    def start(site: VirtualSite, order, now: int) -> None:
        kept.append(order.fenced)
        obey(site, order, now)

    monkeypatch.setattr(VirtualSite, "_start", start)
    replay_federation(work, THREE, load=0.9, rules=CHECKED)
    assert kept
    assert not any(kept)
    kept.clear()
    replay_federation(work, THREE, load=0.9, local_share=0.5, rules=CHECKED)
    assert any(kept)
