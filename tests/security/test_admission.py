"""Who comes in from the street, and in whose turn: laws of the counting, whatever comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from res_federation.model.limits import LOCAL_LIMITS, Limits
from res_federation.security.admission import Admission, party
from res_federation.security.peers import connection, inner_name, true_peer

TIGHT = Limits(
    connections_of_address=6, strangers_of_address=4, strangers=9, handshakes_per_s=2.0,
    handshakes_burst=3, all_handshakes_per_s=5.0, all_handshakes_burst=6,
)  # fmt: skip
MOST = 12
HOSTS = ("a", "b", "c", "d")


class Street(RuleBasedStateMachine):
    """Connections come, shake hands, log in and end in any order; the bounds hold all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(TIGHT, MOST)
        self.now = 0.0
        self.last = 0
        self.host: dict[int, str] = {}
        self.waiting: set[int] = set()
        self.good: set[int] = set()
        self.let: list[tuple[float, str]] = []

    @rule(host=st.sampled_from(HOSTS))
    def comes(self, host: str) -> None:
        self.last += 1
        victim = self.admission.arrive(self.last, host)
        self.host[self.last] = host
        if victim is not None:
            assert victim in self.host
            assert victim not in self.good, "who has shown a login is closed for nobody"
            self.forget(victim)

    @precondition(lambda self: self.host)
    @rule(data=st.data())
    def begins_a_handshake(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.host)))
        if one not in self.good:
            self.admission.ready(one)
            self.waiting.add(one)

    @precondition(lambda self: self.host.keys() - self.waiting)
    @rule(data=st.data())
    def logs_in(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.host.keys() - self.waiting)))
        self.admission.known(one)
        self.good.add(one)

    @precondition(lambda self: self.host)
    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.host)))
        self.admission.gone(one)
        self.admission.gone(one)
        self.forget(one)

    @rule(passes=st.floats(0, 5))
    def time_passes(self, passes: float) -> None:
        self.now += passes
        let, wait = self.admission.turns(self.now)
        assert set(let) <= self.waiting
        self.waiting -= set(let)
        self.let += [(self.now, self.host[one]) for one in let]
        assert (wait is None) == (not self.waiting)
        if wait is not None:
            assert 0 < wait <= 1 / min(TIGHT.handshakes_per_s, TIGHT.all_handshakes_per_s)

    def forget(self, one: int) -> None:
        del self.host[one]
        self.waiting.discard(one)
        self.good.discard(one)

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.admission) == len(self.host) <= MOST
        strangers = Counter(self.host[one] for one in self.host.keys() - self.good)
        assert sum(strangers.values()) <= TIGHT.strangers
        for host, count in Counter(self.host.values()).items():
            assert self.admission.open_of(host) == count <= TIGHT.connections_of_address
            assert self.admission.strangers_of(host) == strangers[host]
            assert strangers[host] <= TIGHT.strangers_of_address

    @invariant()
    def over_any_time_no_more_are_let_in_than_the_rates(self) -> None:
        for since, _ in self.let[-20:]:
            window = [host for at, host in self.let if at >= since]
            passed = self.now - since
            assert len(window) <= TIGHT.all_handshakes_burst + TIGHT.all_handshakes_per_s * passed
            for count in Counter(window).values():
                assert count <= TIGHT.handshakes_burst + TIGHT.handshakes_per_s * passed + 1e-6


TestStreet = Street.TestCase


@given(flood=st.integers(1, 300), addresses=st.integers(1, 5), before=st.floats(0, 3))
def test_an_honest_address_waits_for_one_turn_of_each_other_at_most(
    flood: int, addresses: int, before: float
) -> None:
    admission = Admission(replace(TIGHT, strangers=0, strangers_of_address=0), 10_000)
    for number in range(flood):
        admission.arrive(number, f"flood{number % addresses}")
        admission.ready(number)
    now = before
    admission.turns(0.0)
    admission.turns(now)
    admission.arrive(flood, "honest")
    admission.ready(flood)
    until = now + (addresses + 1) / TIGHT.all_handshakes_per_s + 0.01
    while True:
        let, wait = admission.turns(now)
        if flood in let:
            break
        assert wait is not None
        now += max(wait, 1e-6)
        assert now <= until


def test_for_a_new_stranger_the_oldest_of_its_address_is_closed() -> None:
    admission = Admission(TIGHT, MOST)
    assert [admission.arrive(number, "a") for number in range(4)] == [None] * 4
    admission.known(0)
    admission.known(3)
    assert [admission.arrive(number, "a") for number in (4, 5)] == [None, None]
    assert admission.arrive(6, "a") == 1
    assert admission.arrive(7, "b") is None
    for one in (2, 4, 5, 6):
        admission.known(one)
    assert admission.arrive(8, "a") == 8, "all of the address have logged in: nobody makes room"


def test_developer_mode_has_no_bound_of_those_who_logged_in() -> None:
    admission = Admission(LOCAL_LIMITS, 20_000)
    for number in range(10_000):
        assert admission.arrive(number, "127.0.0.1") is None
        admission.known(number)
    assert admission.open_of("127.0.0.1") == 10_000


@pytest.mark.parametrize(
    ("host", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
    ],
)
def test_a_network_of_one_machine_is_one_address(host: str, counts_as: str) -> None:
    assert party(host) == counts_as


@given(number=st.integers(1, 10**12), port=st.integers(1, 65535))
@pytest.mark.parametrize("host", ["127.0.0.1", "2001:db8::1", "::1"])
def test_the_inner_name_says_where_a_connection_came_from(
    host: str, number: int, port: int
) -> None:
    shown = "unix-abstract:" + inner_name("resfed-17", number, host, port)[1:].decode()
    assert connection(shown, "resfed-17") == number
    assert connection(shown, "resfed-18") is None
    for peer in (shown, shown.replace("[", "%5B").replace("]", "%5D")):
        told = true_peer(peer)
        assert told.rpartition(":")[2] == str(port)
        assert told.partition(":")[2].rpartition(":")[0].strip("[]") == host
    assert true_peer("ipv4:127.0.0.1:50123") == "ipv4:127.0.0.1:50123"
