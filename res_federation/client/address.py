"""Where the broker is, and how its channel is set up."""

from __future__ import annotations

import os

from res_federation.errors import InvalidArgument

DEFAULT_ADDRESS = "127.0.0.1:7443"
VARIABLE = "RESFED_BROKER"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A broker that was restarted is found again within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name the time that one attempt may take: a busy broker shakes hands slowly.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A web proxy of the user's environment has no business between a user and the broker.
    ("grpc.enable_http_proxy", 0),
    # Two clients of one process do not share a broken connection.
    ("grpc.use_local_subchannel_pool", 1),
)


def broker_address(given: str = "") -> str:
    """Return ``HOST:PORT``: *given*, else ``RESFED_BROKER``, else the default.

    Raises:
        InvalidArgument: If it is not ``HOST:PORT`` with a port from 1 to 65535.

    """
    field = "--broker" if given else VARIABLE
    address = (given or os.environ.get(VARIABLE, "") or DEFAULT_ADDRESS).strip()
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidArgument(
            f"'{address}' is not HOST:PORT", field=field, way_out=f"such as {DEFAULT_ADDRESS}"
        )
    return address
