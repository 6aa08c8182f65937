"""The process before gRPC: it takes connections from the street and lets them in, in turn.

gRPC for Python counts no connections by address and shakes hands with whoever comes. So this
process owns the listening sockets. A connection that does not begin a TLS handshake in time is
closed; one that does waits for its turn (`Admission`), and is then joined to gRPC's own socket,
byte by byte: nothing is decrypted here. The name of the inner socket says where the connection came
from (`res_federation.security.peers`).

The broker starts it (`gatekeeper`) and holds the other end of its control socket: on that come the
numbers of connections with a good login, on that goes what was closed, and its end is the end.
"""

from __future__ import annotations

import json
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from res_federation.model.limits import Limits
from res_federation.security.admission import Admission, party
from res_federation.security.peers import inner_name

HELLO_S = 10.0
"""A connection whose first message is not complete by then is closed."""
HELLO_BYTES = 5 + (16 << 10)
"""Most bytes of a TLS record."""
_TLS_HANDSHAKE = 0x16
_CHUNK = 64 << 10
_ARRIVALS = 4
"""So many are taken from one port before those who are in are looked after again."""
_EVENTS = 32
_LOOK_S, _TELL_S = 1.0, 5.0
_DRAIN_S = 0.5
"""So long, at the end, what gRPC has answered last may take on its way."""
_DEAD_MS = 20_000
"""What was sent and is not acknowledged for so long ends a connection."""
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Door:
    """A port: where its connections go, and who is in."""

    inner: str
    admission: Admission
    listeners: list[socket.socket]
    look_at: float | None = None
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class End:
    """One of the two sockets of a connection; `owed` is what it has not taken yet."""

    number: int
    socket: socket.socket
    door: Door
    other: End | None = None
    owed: bytes = b""
    wanted: int = _IN
    last: bool = False
    """The other end is gone: this one follows when nothing is owed to it."""
    parked: bool = False
    """Its far side is gone while nobody reads from it: what it said last is read later."""


class Gate:
    """The loop; everything happens in one thread."""

    def __init__(self, doors: list[Door], control: socket.socket, stem: str) -> None:
        """Look after *doors*; *stem* begins the names of inner sockets."""
        self._doors, self._control, self._stem = doors, control, stem
        self._epoll = select.epoll()
        self._ends: dict[int, End] = {}
        self._outer: dict[int, End] = {}
        self._silent: OrderedDict[int, float] = OrderedDict()
        self._acts: dict[int, Callable[[], None]] = {control.fileno(): self._hear}
        self._last = 0
        self._stopping = False
        self._due = self._tell_at = 0.0
        control.setblocking(False)
        self._epoll.register(control, _IN)
        for door in doors:
            for listener in door.listeners:
                listener.setblocking(False)
                self._acts[listener.fileno()] = partial(self._take, door, listener)
                self._epoll.register(listener, _IN)

    def run(self) -> None:
        """Serve until the broker ends."""
        now = time.monotonic()
        while not self._stopping:
            self._step(max(0.0, self._due - now))
            now = time.monotonic()
            if now >= self._due:
                self._due = self._upkeep(now)
        self._drain()

    def _upkeep(self, now: float) -> float:
        """Do what has its time; return when to look again."""
        while self._silent and next(iter(self._silent.values())) <= now:
            self._close(self._outer[next(iter(self._silent))])
        if now >= self._tell_at:
            self._tell_at = now + _TELL_S
            self._tell()
        due = now + _LOOK_S
        for door in self._doors:
            if door.look_at is not None and door.look_at <= now:
                self._let_in(door, now)
            if door.look_at is not None:
                due = min(due, door.look_at)
        return due

    def _step(self, pause_s: float) -> None:
        ends, later = self._ends, []
        for fd, what in self._epoll.poll(pause_s, _EVENTS):
            end = ends.get(fd)
            if end is None:
                later.append(fd)  # those who are in come first
            elif what == _IN and end.other is not None:
                self._pass(end, end.other)
            else:
                self._seldom(end, what)
        for fd in later:
            act = self._acts.get(fd)
            if act is not None:  # else it was closed by what happened just before
                act()

    def _seldom(self, end: End, what: int) -> None:
        if what & _OUT and end.owed:
            self._flush(end)
        elif end.other is None:
            self._hello(end)
        elif end.wanted & _IN:
            self._pass(end, end.other)
        else:
            self._epoll.unregister(end.socket)
            end.parked = True

    def _take(self, door: Door, listener: socket.socket) -> None:
        for _ in range(_ARRIVALS):
            try:
                taken, address = listener.accept()
            except OSError:
                return  # nobody else, or gone again
            self._last += 1
            host = party(address[0])
            victim = door.admission.arrive(self._last, host)
            if victim is not None:
                door.refused[host] += 1
            if victim == self._last:
                _reset(taken)
                continue
            if victim is not None:
                self._refuse(victim)
            taken.setblocking(False)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_MS)
            end = End(self._last, taken, door)
            self._outer[end.number] = self._ends[taken.fileno()] = end
            self._silent[end.number] = time.monotonic() + HELLO_S
            self._epoll.register(taken, _IN)

    def _hello(self, end: End) -> None:
        """Take a piece of the first message; `owed` holds it until gRPC gets it."""
        try:
            said = end.socket.recv(HELLO_BYTES - len(end.owed)) if end.wanted & _IN else b""
        except BlockingIOError:
            return
        except OSError:
            said = b""
        end.owed += said
        begun = end.owed
        if not said or begun[0] != _TLS_HANDSHAKE:
            self._close(end)
            return
        if len(begun) >= 5:
            size = 5 + int.from_bytes(begun[3:5], "big")
            if size > HELLO_BYTES:
                self._close(end)
            elif len(begun) >= size:
                self._want(end, 0)  # it waits for its turn
                del self._silent[end.number]
                end.door.admission.ready(end.number)
                end.door.look_at = self._due = 0.0

    def _let_in(self, door: Door, now: float) -> None:
        let, wait = door.admission.turns(now)
        door.look_at = None if wait is None else now + wait
        for number in let:
            self._join(self._outer[number])

    def _join(self, outer: End) -> None:
        inner = socket.socket(socket.AF_UNIX)
        try:
            inner.setblocking(False)
            host, port = outer.socket.getpeername()[:2]
            inner.bind(inner_name(self._stem, outer.number, host, port))
            inner.connect(outer.door.inner)
            inner.send(outer.owed)  # a few KiB: an empty socket has room for them
        except OSError:
            inner.close()  # it has hung up meanwhile, or gRPC takes no more
            self._refuse(outer.number)
            return
        outer.owed = b""
        outer.other = End(outer.number, inner, outer.door, outer)
        self._ends[inner.fileno()] = outer.other
        self._epoll.register(inner, _IN)
        self._want(outer, _IN)

    def _pass(self, end: End, other: End) -> None:
        try:
            said = end.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._close(end)
            return
        try:
            sent = other.socket.send(said)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(other)
            return
        if sent < len(said):
            other.owed = said[sent:]
            self._want(other, other.wanted | _OUT)
            self._want(end, end.wanted & ~_IN)

    def _flush(self, end: End) -> None:
        try:
            end.owed = end.owed[end.socket.send(end.owed) :]
        except BlockingIOError:
            return
        except OSError:
            end.owed, end.last = b"", True
        if end.owed:
            return
        if end.last or end.other is None:
            self._close(end)
            return
        self._want(end, end.wanted & ~_OUT)
        self._want(end.other, end.other.wanted | _IN)

    def _close(self, end: End) -> None:
        """Close an end; the other one is closed too, once it has taken what it is owed."""
        self._drop(end)
        other, end.other = end.other, None
        if other is None:
            return
        other.other = None
        if other.owed:
            other.last = True
            self._want(other, _OUT)
        else:
            self._drop(other)

    def _drop(self, end: End) -> None:
        if self._ends.pop(end.socket.fileno(), None) is not None:
            end.socket.close()
        if self._outer.get(end.number) is end:
            del self._outer[end.number]
            self._silent.pop(end.number, None)
            end.door.admission.gone(end.number)

    def _refuse(self, number: int) -> None:
        """Close a connection so that the other side knows it at once."""
        end = self._outer.get(number)
        if end is None:
            return
        end.owed = b""
        end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if end.other is not None:
            end.other.owed = b""
        self._close(end)

    def _want(self, end: End, wanted: int) -> None:
        if end.parked and wanted:
            end.parked = False
            self._epoll.register(end.socket, wanted)
        elif wanted != end.wanted:
            self._epoll.modify(end.socket, wanted)
        end.wanted = wanted

    def _hear(self) -> None:
        try:
            while True:
                told = self._control.recv(1 << 12)
                if not told:
                    self._stopping = True
                    return
                if told.startswith(b"{"):
                    self._follow(Limits(**json.loads(told)))
                    continue
                end = self._outer.get(int(told))
                if end is not None:
                    end.door.admission.known(end.number)
        except BlockingIOError:
            return
        except OSError:
            self._stopping = True

    def _follow(self, limits: Limits) -> None:
        for door in self._doors:
            door.admission.follow(limits)
            door.look_at = self._due = 0.0

    def _tell(self) -> None:
        """Tell the broker, for its log, whose connections were closed; the worst ones."""
        for door in self._doors:
            if not door.refused:
                continue
            told = json.dumps(dict(door.refused.most_common(20))).encode()
            door.refused.clear()
            try:
                self._control.send(told)
            except OSError:
                return  # it is busy, or gone: then we end soon

    def _drain(self) -> None:
        for door in self._doors:
            for listener in door.listeners:
                self._acts.pop(listener.fileno())
                listener.close()
        self._epoll.unregister(self._control)  # the broker waits for its end
        until = time.monotonic() + _DRAIN_S
        while any(end.other for end in self._ends.values()) and time.monotonic() < until:
            self._step(0.05)


def _reset(taken: socket.socket) -> None:
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    taken.close()


def main() -> int:
    """Be the process; the one argument is what the broker says, in JSON."""
    told = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the broker's end is ours
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (told["files"], hard))
    limits = Limits(**told["limits"])
    doors = [
        Door(
            door["inner"],
            Admission(limits, door["most"]),
            [socket.socket(fileno=fd) for fd in door["listeners"]],
        )
        for door in told["doors"]
    ]
    Gate(doors, socket.socket(fileno=told["control"]), told["stem"]).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
