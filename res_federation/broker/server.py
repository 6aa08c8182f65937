"""The gRPC server: services, standard health, reflection. Binds what it is told and no more."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from res_federation.api.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    sites_pb2,
    sites_pb2_grpc,
)
from res_federation.broker.federation import Federation
from res_federation.broker.services.agents import AgentService
from res_federation.broker.services.audit import AuditService
from res_federation.broker.services.jobs import JobService
from res_federation.broker.services.sites import SiteService
from res_federation.errors import InvalidArgument

SERVICES = (
    jobs_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    sites_pb2.DESCRIPTOR.services_by_name["SiteService"].full_name,
    agents_pb2.DESCRIPTOR.services_by_name["AgentService"].full_name,
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
)

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    # A half-open stream is noticed by pings, and an agent's own pings are welcome.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Two brokers on one port would share its clients by chance.
    ("grpc.so_reuseport", 0),
)


class Server:
    """The broker's port."""

    def __init__(self, federation: Federation) -> None:
        """Register everything; nothing listens yet."""
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health_aio.HealthServicer()
        jobs_pb2_grpc.add_JobServiceServicer_to_server(JobService(federation), self._server)
        sites_pb2_grpc.add_SiteServiceServicer_to_server(SiteService(federation), self._server)
        agents_pb2_grpc.add_AgentServiceServicer_to_server(AgentService(federation), self._server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(federation), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self._server)

    async def start(self, listen: str) -> str:
        """Listen at HOST:PORT (port 0 chooses one) and return the address.

        Raises:
            InvalidArgument: If the address is malformed or taken.

        """
        host, _, port = listen.rpartition(":")
        if not host or not port.isdigit():
            raise InvalidArgument(
                f"'{listen}' is not HOST:PORT", field="--listen", way_out="such as 127.0.0.1:7443"
            )
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            bound = self._server.add_insecure_port(listen)
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise InvalidArgument(
                f"cannot listen at {listen}: taken, or not an address of this machine",
                field="--listen",
                way_out="choose another port, or 0 for any",
            )
        await self._server.start()
        return f"{host}:{bound}"

    async def serving(self) -> None:
        """Tell health checks that jobs can be submitted."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Let calls end, then close."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    async def _set(self, status: int) -> None:
        for name in ("", *SERVICES):
            await self._health.set(name, status)
