"""TLS for the small brokers of tests: a real authority, and a login where clients look for one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc

from res_federation.api.v1 import enrolment_pb2, enrolment_pb2_grpc
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import Authority
from res_federation.security.local_login import SignedIn


class SmallDoors(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """A users' port and an agents' port; every invitation of it is good, and so is every site."""

    def __init__(self, home: Path) -> None:
        self.authority = Authority.opened(home / "authority", time.time())
        self._pair = self.authority.server((), time.time())
        self.login = SignedIn(self.authority.ca_pem, ())
        self.agents_port = 0

    def credentials(self, *, agents: bool = False) -> grpc.ServerCredentials:
        pairs = [(self._pair.key_pem, self._pair.certificate_pem)]
        roots = self.authority.ca_pem if agents else None
        return grpc.ssl_server_credentials(pairs, roots, require_client_auth=agents)

    async def GetAuthority(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        return enrolment_pb2.Authority(
            ca_pem=self.authority.ca_pem.decode(), agents_port=self.agents_port
        )

    async def CreateInvitation(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        return enrolment_pb2.Invitation(token="come in", site=request.site)

    async def EnrolSite(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC
        site = SiteId(request.site.removeprefix("sites/"))
        made = self.authority.signed_site(request.csr_pem, site, time.time())
        return enrolment_pb2.Certificate(
            name=f"certificates/{made.serial}",
            site=request.site,
            certificate_pem=made.pem,
            ca_pem=self.authority.ca_pem.decode(),
        )
