from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.agent.local.machine import Amounts, Pool
from res_federation.agent.local.queue import Running, Waiting, easy
from res_federation.model.resources import Layout
from tests.strategies import examples

SHAPE = Amounts(4, 100, 2)
NODES = 5

layouts = st.builds(
    Layout,
    nodes=st.integers(1, NODES),
    cores_per_node=st.integers(1, 4),
    memory_per_node_mib=st.integers(0, 100),
    accelerators_per_node=st.integers(0, 2),
)
tasks = st.lists(st.tuples(layouts, st.integers(1, 50), st.integers(0, 20)), max_size=12)


@dataclass
class World:
    """Plays a queue forward; every task lasts `real` seconds of its limit."""

    pool: Pool
    queue: list[Waiting]
    real: dict[int, float]
    running: dict[int, Running]
    now: float = 0.0

    def step(self, budget: int = 100):
        found = easy(self.pool, self.running.values(), self.queue, self.now, budget)
        for task, places in found.starts:
            self.queue.remove(task)
            self.running[task.key[1]] = Running(places, task.layout, self.now + task.limit_s)
            self.real[task.key[1]] += self.now
        return found

    def advance(self) -> bool:
        if not self.running:
            return False
        first = min(self.running, key=lambda key: self.real[key])
        self.now = self.real[first]
        gone = self.running.pop(first)
        self.pool.give(gone.places, gone.layout)
        return True


def world(drawn) -> World:
    queue = [Waiting(("t", n), layout, float(limit)) for n, (layout, limit, _) in enumerate(drawn)]
    real = {n: max(0.5, limit - early) for n, (_, limit, early) in enumerate(drawn)}
    return World(Pool(NODES, SHAPE), queue, real, {})


def never_too_much(running: dict[int, Running]) -> None:
    used: dict[int, list[int]] = {}
    devices: dict[int, int] = {}
    for task in running.values():
        assert len({place.node for place in task.places}) == task.layout.nodes
        for node, mask in task.places:
            assert 0 <= node < NODES
            assert mask.bit_count() == task.layout.accelerators_per_node
            assert not devices.get(node, 0) & mask, "two tasks have the same device"
            devices[node] = devices.get(node, 0) | mask
            total = used.setdefault(node, [0, 0, 0])
            total[0] += task.layout.cores_per_node
            total[1] += task.layout.memory_per_node_mib
            total[2] += task.layout.accelerators_per_node
    assert all(a <= b for total in used.values() for a, b in zip(total, SHAPE, strict=True))


@given(tasks)
@settings(max_examples=examples(80), deadline=None)
def test_everything_runs_nothing_is_over_allocated_and_the_pool_comes_back_whole(drawn) -> None:
    play = world(drawn)
    while True:
        play.step()
        never_too_much(play.running)
        if not play.advance():
            break
    assert play.queue == []
    assert play.pool.idle == NODES
    assert [(bar.nodes, bar.cores) for bar in play.pool.histogram()] == [(NODES, 4)]


@given(tasks)
@settings(max_examples=examples(80), deadline=None)
def test_the_reservation_of_the_head_is_never_put_off(drawn) -> None:
    play = world(drawn)
    promised: dict[tuple[str, int], float] = {}
    while True:
        found = play.step()
        for task, _ in found.starts:
            assert play.now <= promised.get(task.key, math.inf)
        if found.head is not None:
            assert found.head_starts <= promised.get(found.head, math.inf)
            promised[found.head] = found.head_starts
        if not play.advance():
            break


@given(tasks, st.integers(0, 3))
@settings(max_examples=examples(40), deadline=None)
def test_the_budget_bounds_the_starts(drawn, budget) -> None:
    found = world(drawn).step(budget)
    assert len(found.starts) <= budget
    assert not found.starved or len(found.starts) == budget


def test_a_short_job_slips_past_a_wide_one_and_a_long_one_does_not() -> None:
    pool = Pool(2, Amounts(4, -1, 0))
    one = Layout(1, 4, 0, 0)
    running = [Running(pool.take(one) or (), one, 10.0)]
    queue = [
        Waiting(("wide", 0), Layout(2, 4, 0, 0), 5.0),
        Waiting(("long", 0), one, 11.0),
        Waiting(("short", 0), one, 10.0),
    ]
    found = easy(pool, running, queue, 0.0, 10)
    assert [task.key[0] for task, _ in found.starts] == ["short"]
    assert (found.head, found.head_starts) == (("wide", 0), 10.0)


@given(st.lists(layouts, max_size=8), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_places_can_be_claimed_again_after_a_restart(wanted, data) -> None:
    pool = Pool(NODES, SHAPE)
    taken = [(need, places) for need in wanted if (places := pool.take(need)) is not None]
    again = Pool(NODES, SHAPE)
    for need, places in data.draw(st.permutations(taken)):
        assert again.claim(places, need)
    assert again.histogram() == pool.histogram()
    for need, places in taken:
        assert not again.claim(places, need) or need.nodes * need.cores_per_node < 20
        again = again.copy()
    full = Layout(NODES, 4, 0, 0)
    assert again.fits(full) == (not taken)


def test_six_thousand_nodes_cost_nothing_while_they_are_idle() -> None:
    pool = Pool(6192, Amounts(112, 256 * 1024, 0))
    assert pool.histogram()[0].nodes == 6192
    places = pool.take(Layout(6000, 112, 0, 0))
    assert places is not None
    assert pool.idle == 192
    pool.give(places, Layout(6000, 112, 0, 0))
    assert pool.idle == 6192
