"""How much the two ports bear of one connection, and how many connections of all."""

from __future__ import annotations

import resource

_Options = tuple[tuple[str, int], ...]

USERS_MESSAGE_BYTES = 16 << 20
"""Most bytes of a message to the users' port: a script, or a chunk of a batch, with room."""
AGENTS_MESSAGE_BYTES = 64 << 20
"""Most bytes of a message to the agents' port: a large site's report."""
ANSWER_BYTES = 64 << 20
METADATA_BYTES = 16 << 10
"""Headers of a call above this are refused more and more; twice as many always."""
HANDSHAKE_S = 10.0
"""A connection that has not shown a good handshake by then is closed."""
IDLE_S = 600.0
"""A connection without a call is closed after this."""
STREAMS_OF_A_CONNECTION = 256
"""Calls of one connection that are open at a time; more wait at the caller."""
CONNECTIONS = 16_000
"""Connections of the users' port; more are closed at once. Less where fewer files are allowed."""
AGENTS_CONNECTIONS = 2_000
"""Connections of the agents' port."""
_SPARE_FILES = 512
"""Files for the store, Ray, recordings."""

_COMMON: _Options = (
    ("grpc.max_send_message_length", ANSWER_BYTES),
    # A half-open stream is noticed by pings, and an agent's own pings are welcome; one that pings
    # all the time is cut off.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_permit_without_calls", 1),
    # Two brokers on one port would share its clients by chance.
    ("grpc.so_reuseport", 0),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
    ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),
)


def users_options(connections: int) -> _Options:
    """Return what gRPC is told of the users' port, with so many connections at most."""
    return (
        *_COMMON,
        ("grpc.max_receive_message_length", USERS_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", STREAMS_OF_A_CONNECTION),
        ("grpc.max_allowed_incoming_connections", connections),
    )


def agents_options(connections: int) -> _Options:
    """Return what gRPC is told of the agents' port.

    It has files of its own: who fills the users' port does not shut the sites out.
    """
    return (
        *_COMMON,
        ("grpc.max_receive_message_length", AGENTS_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", 8),
        ("grpc.max_allowed_incoming_connections", min(connections, AGENTS_CONNECTIONS)),
    )


def raise_file_limit() -> int:
    """Let this process have as many files as it may; return the users' connections that it allows.

    Files for the agents' port and the store are set aside first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + AGENTS_CONNECTIONS + _SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = wanted if soft == resource.RLIM_INFINITY else max(soft, wanted)
    aside = min(AGENTS_CONNECTIONS, files // 4) + _SPARE_FILES
    return max(64, min(CONNECTIONS, files - aside))
