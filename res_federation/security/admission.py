"""Which connections come in from the street, and in whose turn. No clock and no socket in here.

A connection is a stranger until a call with a good login has come through it. Strangers are few:
for a new one the oldest is closed. Each handshake costs the broker far more than it costs the other
side, so handshakes have a rate; addresses take turns, and nobody waits for another's flood.
"""

from __future__ import annotations

from collections import deque
from ipaddress import IPv6Address, ip_address

from res_federation.model.limits import Limits
from res_federation.security.limits import Rate

_EVERYBODY = ""
_KNOWN = 20_000
"""Addresses whose rate is remembered."""


def party(host: str) -> str:
    """Return what counts as one address: of IPv6 a network of 64 bits, which one machine may have.

    An IPv4 address that IPv6 wraps is that IPv4 address.
    """
    found = ip_address(host.partition("%")[0])
    if not isinstance(found, IPv6Address):
        return host
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64))


class Admission:
    """Counts the connections of one port; every connection has a number that is not used again."""

    def __init__(self, limits: Limits, most: int) -> None:
        """Follow *limits*; *most* connections of all addresses together are open at a time."""
        self._limits, self._most = limits, most
        self._own = Rate(limits.handshakes_per_s, limits.handshakes_burst, _KNOWN)
        self._all = Rate(limits.all_handshakes_per_s, limits.all_handshakes_burst)
        self._party: dict[int, str] = {}
        self._open: dict[str, int] = {}
        self._strange: dict[int, None] = {}
        self._strange_of: dict[str, dict[int, None]] = {}
        self._waiting: dict[str, dict[int, None]] = {}

    def follow(self, limits: Limits) -> None:
        """Go by other limits from now on; nobody is closed for them."""
        self._limits = limits
        self._own.follow(limits.handshakes_per_s, limits.handshakes_burst)
        self._all.follow(limits.all_handshakes_per_s, limits.all_handshakes_burst)

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._party)

    def open_of(self, party: str) -> int:
        """Return how many connections of an address are open."""
        return self._open.get(party, 0)

    def strangers_of(self, party: str) -> int:
        """Return how many strangers of an address are open."""
        return len(self._strange_of.get(party, ()))

    def arrive(self, one: int, party: str) -> int | None:
        """Count connection *one* of an address; return the one to close for it, or None.

        That may be *one* itself, where no stranger can make room. Who is to be closed is not
        counted any more.
        """
        limits, own = self._limits, self._strange_of.get(party, {})
        victim: int | None = None
        if _full(self.open_of(party), limits.connections_of_address) or _full(
            len(own), limits.strangers_of_address
        ):
            victim = next(iter(own), one)
        elif len(self) >= self._most or _full(len(self._strange), limits.strangers):
            victim = next(iter(self._strange), one)
        if victim is not None:
            self.gone(victim)
        if victim != one:
            self._party[one] = party
            self._open[party] = self.open_of(party) + 1
            self._strange[one] = None
            self._strange_of.setdefault(party, {})[one] = None
        return victim

    def ready(self, one: int) -> None:
        """Note that *one* has begun its handshake and waits for its turn."""
        party = self._party.get(one)
        if party is not None:
            self._waiting.setdefault(party, {})[one] = None

    def turns(self, now: float) -> tuple[list[int], float | None]:
        """Return those whose turn it is now, and the seconds until the next look.

        None stands for nobody who waits. Addresses take turns, one connection each.
        """
        let: list[int] = []
        soonest: float | None = None
        turn = deque(self._waiting)
        while turn:
            party = turn.popleft()
            wait = self._own.wait_s(party, 1, now)
            if wait <= 0:
                wait = self._all.wait_s(_EVERYBODY, 1, now)
                if wait > 0:
                    self._own.give_back(party, 1)
                    return let, wait
                waiting = self._waiting.pop(party)
                let.append(next(iter(waiting)))
                del waiting[let[-1]]
                if waiting:
                    self._waiting[party] = waiting  # at the end of those who wait
                    turn.append(party)
            else:
                soonest = wait if soonest is None else min(soonest, wait)
        return let, soonest

    def known(self, one: int) -> None:
        """Note that *one* has shown a good login: it is no stranger any more."""
        party = self._party.get(one)
        if party is not None and one in self._strange:
            self._no_stranger(one, party)

    def gone(self, one: int) -> None:
        """Note that *one* has ended."""
        party = self._party.pop(one, None)
        if party is None:
            return
        self._open[party] -= 1
        if not self._open[party]:
            del self._open[party]
        if one in self._strange:
            self._no_stranger(one, party)
        waiting = self._waiting.get(party, {})
        if waiting.pop(one, self) is None and not waiting:
            del self._waiting[party]

    def _no_stranger(self, one: int, party: str) -> None:
        del self._strange[one]
        del self._strange_of[party][one]
        if not self._strange_of[party]:
            del self._strange_of[party]


def _full(count: int, most: int) -> bool:
    return 0 < most <= count
