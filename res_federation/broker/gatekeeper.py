"""Starts the gate before gRPC, tells it who has a good login, and starts it again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import resource
import secrets
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from res_federation.broker.hardening import AGENTS_CONNECTIONS
from res_federation.errors import InvalidArgument
from res_federation.model.limits import Limits
from res_federation.security.files import private_directory
from res_federation.security.peers import connection

log = structlog.get_logger(__name__)

_MODULE = "res_federation.broker.gate"
_BACKLOG = 4096
_AGAIN_S = 0.2
_END_S = 2.0
_TOLD = 20_000
"""Connections of which it is remembered that the gate was told; to tell again does no harm."""
_SPARE_FILES = 64


class _NoSuchAddress(Exception):
    """This machine does not have the address."""


@dataclass(slots=True)
class _Port:
    name: str
    most: int
    listeners: list[socket.socket]


class Gatekeeper:
    """The broker's side of the gate."""

    def __init__(self, directory: Path, limits: Limits, connections: int) -> None:
        """Nothing listens yet.

        Args:
            directory: Of this account alone; gRPC's own sockets lie there.
            limits: How many connections an address may have.
            connections: Most connections of the users' port.

        """
        self._directory, self._limits = directory, limits
        self._stem = f"resfed-{secrets.token_hex(8)}"
        self._files = _files(connections + AGENTS_CONNECTIONS)
        room = (self._files - _SPARE_FILES) // 2
        agents = min(AGENTS_CONNECTIONS, room // 8)
        self._most = {"users": min(connections, room - agents), "agents": agents}
        self._ports: list[_Port] = []
        self._at = -1
        self._control: socket.socket | None = None
        self._told: set[int] = set()
        self._keeping: asyncio.Task[None] | None = None

    def listen(self, name: str, host: str, port: int, field: str) -> int:
        """Listen at an address of the street; return the port.

        Raises:
            InvalidArgument: If it is taken, or not an address of this machine.

        """
        listeners: list[socket.socket] = []
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            for family, where in dict.fromkeys((one[0], one[4]) for one in found):
                with contextlib.suppress(_NoSuchAddress):  # of a name's several, one will do
                    listeners.append(_listener(family, (where[0], port, *where[2:])))
                    port = listeners[-1].getsockname()[1]
        except OSError:
            for one in listeners:
                one.close()
            listeners = []
        if not listeners:
            raise InvalidArgument(
                f"cannot listen at {host}:{port}: taken, or not an address of this machine",
                field=field,
                way_out="choose another port, or 0 for any",
            )
        self._ports.append(_Port(name, self._most[name], listeners))
        return port

    def inner(self, name: str) -> str:
        """Return where gRPC is to listen for what the gate lets in.

        The path goes by an open directory: the length of a socket's path is bounded.

        Raises:
            FailedPrecondition: If the directory cannot be made.
            PermissionDenied: If it is not this account's alone.

        """
        if self._at < 0:
            private_directory(self._directory, make=True)
            self._at = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._at}/{name}"

    def open(self) -> None:
        """Start the gate; those who have dialled meanwhile wait at the listening sockets."""
        self._keeping = asyncio.create_task(self._keep())

    def known(self, peer: str) -> None:
        """Tell the gate that a call with a good login came from gRPC's *peer*."""
        number = connection(peer, self._stem)
        if number is None or number in self._told or self._control is None:
            return
        with contextlib.suppress(OSError):  # it is busy: then the next call tells it
            self._control.send(str(number).encode())
            if len(self._told) >= _TOLD:
                self._told.clear()
            self._told.add(number)

    def follow(self, limits: Limits) -> None:
        """Let in by other limits from now on; who is in stays."""
        self._limits = limits
        if self._control is not None:
            try:
                self._control.send(json.dumps(asdict(limits)).encode())
            except OSError:  # it is too busy to be told: it begins anew, and is told then
                self._control.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """End the gate when what was answered last is on its way, and hear of nobody any more."""
        for port in self._ports:
            for listener in port.listeners:
                listener.close()
        if self._keeping is not None:
            if self._control is not None:
                self._control.shutdown(socket.SHUT_WR)
            self._ports = []
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keeping, _END_S)
        if self._at >= 0:
            os.close(self._at)
            self._at = -1

    async def _keep(self) -> None:
        while self._ports:
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with ours:
                with its:
                    process = await self._start(its)
                ours.setblocking(False)
                self._told.clear()
                self._control = ours
                try:
                    await self._hear(ours)
                finally:
                    self._control = None
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    code = await process.wait()
            if self._ports:
                log.error("gate_ended", code=code, way_out="it is started again")
                await asyncio.sleep(_AGAIN_S)

    async def _start(self, control: socket.socket) -> asyncio.subprocess.Process:
        told = {
            "control": control.fileno(),
            "doors": [
                {
                    "inner": self.inner(port.name),
                    "listeners": [one.fileno() for one in port.listeners],
                    "most": port.most,
                }
                for port in self._ports
            ],
            "files": self._files,
            "limits": asdict(self._limits),
            "stem": self._stem,
        }
        streets = [one.fileno() for port in self._ports for one in port.listeners]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, json.dumps(told),
            pass_fds=(control.fileno(), self._at, *streets), stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def _hear(self, control: socket.socket) -> None:
        """Log what the gate tells until it ends."""
        while True:
            try:
                told = await asyncio.get_running_loop().sock_recv(control, 1 << 16)
            except OSError:
                return
            if not told:
                return
            for address, count in json.loads(told).items():
                log.warning("connections_closed", address=address, count=count)


def _files(connections: int) -> int:
    """Return how many files the gate may have: two a connection, as far as this account may."""
    wanted = 2 * connections + _SPARE_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _listener(family: int, at: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(at[0] != "::"))
        made.bind(at)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise _NoSuchAddress from None
        raise
    return made
