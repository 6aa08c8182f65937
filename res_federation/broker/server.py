"""The gRPC servers: services, standard health, reflection. They bind what they are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from res_federation.api.v1 import (
    accounting_pb2,
    accounting_pb2_grpc,
    agents_pb2,
    agents_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    sites_pb2,
    sites_pb2_grpc,
)
from res_federation.broker.denials import Denials
from res_federation.broker.doors import Doors
from res_federation.broker.federation import Federation
from res_federation.broker.gatekeeper import Gatekeeper
from res_federation.broker.hardening import agents_options, raise_file_limit, users_options
from res_federation.broker.services import answers
from res_federation.broker.services.accounting import AccountingService
from res_federation.broker.services.agents import AgentService
from res_federation.broker.services.audit import AuditService
from res_federation.broker.services.enrolment import EnrolmentService
from res_federation.broker.services.identity import IdentityService
from res_federation.broker.services.jobs import JobService
from res_federation.broker.services.sites import SiteService
from res_federation.errors import FailedPrecondition, InvalidArgument
from res_federation.model.limits import Limits
from res_federation.security.authenticator import Authenticator
from res_federation.security.interceptor import Doorkeeper
from res_federation.security.limits import Meter
from res_federation.security.warden import Warden
from res_federation.security.wellformed import WellFormed

SERVICES = (
    jobs_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    sites_pb2.DESCRIPTOR.services_by_name["SiteService"].full_name,
    accounting_pb2.DESCRIPTOR.services_by_name["AccountingService"].full_name,
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
    enrolment_pb2.DESCRIPTOR.services_by_name["EnrolmentService"].full_name,
    identity_pb2.DESCRIPTOR.services_by_name["IdentityService"].full_name,
)
"""Of the users' port."""
AGENTS = agents_pb2.DESCRIPTOR.services_by_name["AgentService"].full_name
"""Of the agents' port."""


class Server:
    """The broker's two doors: the users' port, and the agents' port.

    gRPC cannot ask for a client's certificate without requiring it: hence two ports (ADR 0011).
    """

    def __init__(self, federation: Federation, authenticator: Authenticator, gate: Path) -> None:
        """Register everything; nothing listens yet.

        Args:
            federation: What the services stand on.
            authenticator: Knows callers.
            gate: A directory of this account alone, for the sockets between gate and gRPC.

        """
        keeper = Doorkeeper(
            authenticator, federation.clock.now, answers.refuse, Denials(federation),
            federation.streams,
        )  # fmt: skip
        self._federation = federation
        self._meter = Meter(federation.limits)
        most = raise_file_limit()
        self._gate = Gatekeeper(gate, federation.limits, most)
        warden = Warden(self._meter, federation.clock.now, answers.refuse, self._gate.known)
        formed = WellFormed(answers.refuse)
        self._users = grpc.aio.server(
            options=users_options(most), interceptors=(formed, keeper, warden)
        )
        self._agents = grpc.aio.server(options=agents_options(most), interceptors=(formed,))
        self._health = health_aio.HealthServicer()
        users = self._users
        jobs_pb2_grpc.add_JobServiceServicer_to_server(JobService(federation), users)
        sites_pb2_grpc.add_SiteServiceServicer_to_server(SiteService(federation), users)
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
            EnrolmentService(federation), users
        )
        accounting_pb2_grpc.add_AccountingServiceServicer_to_server(
            AccountingService(federation), users
        )
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(federation), users)
        identity_pb2_grpc.add_IdentityServiceServicer_to_server(IdentityService(federation), users)
        agents = self._agents
        agents_pb2_grpc.add_AgentServiceServicer_to_server(
            AgentService(federation, self._gate.known), agents
        )
        for server in (users, agents):
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), users)

    async def start(self, listen: str, listen_agents: str, doors: Doors) -> str:
        """Listen at both; return the address of the users' port.

        Args:
            listen: ``HOST:PORT`` for users; port 0 chooses one.
            listen_agents: The same for agents; "" for any port of the users' host.
            doors: What each port shows of itself, and asks of its callers.

        Raises:
            InvalidArgument: If an address is malformed or taken.

        """
        host, port = _split(listen, "--listen")
        agents_host, agents_port = _split(listen_agents or f"{host}:0", "--listen-agents")
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        bound = self._gate.listen("users", host, port, "--listen")
        self._federation.enrolment.agents_port = self._gate.listen(
            "agents", agents_host, agents_port, "--listen-agents"
        )
        _bind(self._users, self._gate.inner("users"), doors.users())
        _bind(self._agents, self._gate.inner("agents"), doors.agents())
        await self._agents.start()
        await self._users.start()
        self._gate.open()
        return f"{host}:{bound}"

    def follow(self, limits: Limits) -> None:
        """Measure by other limits from now on."""
        self._meter.follow(limits)
        self._gate.follow(limits)

    async def serving(self) -> None:
        """Tell health checks that jobs can be submitted."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Let calls end, then close."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(self._users.stop(grace_s), self._agents.stop(grace_s))
        await self._gate.close()

    async def _set(self, status: int) -> None:
        for name in ("", *SERVICES, AGENTS):
            await self._health.set(name, status)


def _split(listen: str, field: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InvalidArgument(
            f"'{listen}' is not HOST:PORT", field=field, way_out="such as 127.0.0.1:7443"
        )
    return host, int(port)


def _bind(server: grpc.aio.Server, path: str, credentials: grpc.ServerCredentials) -> None:
    try:
        bound = server.add_secure_port(f"unix:{path}", credentials)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise FailedPrecondition(
            f"cannot make the socket '{Path(path).resolve()}'",
            way_out="choose a home whose file system has sockets, and room",
        )
