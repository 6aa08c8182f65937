"""Where a call came from, behind the gate: the name of the inner socket says it.

Linux lets a unix socket have a name that is in no directory. The gate gives each inner socket one
that carries the number and the address of the outer connection, and gRPC shows it as the peer. Only
the broker's own account reaches gRPC's socket, so nobody else can give such names.
"""

from __future__ import annotations

from urllib.parse import unquote

_SCHEME = "unix-abstract:"


def inner_name(stem: str, number: int, host: str, port: int) -> bytes:
    """Return the name of the inner socket of connection *number* from *host*."""
    address = f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
    return f"\0{stem}-{number}/{address}".encode()


def true_peer(peer: str) -> str:
    """Return the address that a call came from, ``ipv4:127.0.0.1:5000``, of gRPC's *peer*."""
    if not peer.startswith(_SCHEME):
        return peer
    return unquote(peer).partition("/")[2] or peer


def connection(peer: str, stem: str) -> int | None:
    """Return the number of the gate's connection, or None for what did not come through it."""
    begin = f"{_SCHEME}{stem}-"
    if not peer.startswith(begin):
        return None
    number = unquote(peer).removeprefix(begin).partition("/")[0]
    return int(number) if number.isdigit() else None
