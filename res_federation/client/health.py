"""Whether a broker serves, asked through the standard health service."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from res_federation.client.address import CHANNEL_OPTIONS
from res_federation.security.credentials import find


def serving(address: str, *, timeout_s: float) -> bool:
    """Tell whether the broker at *address* (``HOST:PORT``) says SERVING within *timeout_s*."""
    with find(address).channel(address, CHANNEL_OPTIONS) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # the published types lack its methods
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
