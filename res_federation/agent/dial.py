"""How an agent comes to the broker's agents' port, with its site's certificate."""

from __future__ import annotations

import grpc
import structlog

from res_federation.agent.clock import Clock
from res_federation.agent.site_identity import Papers, SiteIdentity
from res_federation.client.enrolment import EnrolmentClient
from res_federation.errors import FailedPrecondition, FederationError, Unavailable
from res_federation.model.identifiers import SiteId
from res_federation.model.order import Certify
from res_federation.security.credentials import DEVELOPER_MODE, Credentials, find
from res_federation.wire.status import RENEWAL_DENIED, UNKNOWN_CERTIFICATE

_NEVER_S = 365 * 86400.0
Options = tuple[tuple[str, int | str], ...]


class Dial:
    """Dials one broker for one site; enrols the site by itself in developer mode."""

    def __init__(
        self, identity: SiteIdentity, broker: str, *, now: Clock, agents: str = ""
    ) -> None:
        """Prepare; nothing is dialled yet.

        Args:
            identity: Key and certificate.
            broker: ``HOST:PORT`` of the users' port, which tells where agents dial in.
            now: Reads the clock.
            agents: ``HOST:PORT`` of the agents' port, where the broker is not to be asked.

        """
        self.identity, self._broker, self._agents, self._now = identity, broker, agents, now
        self._unknown = False
        self._shown: Papers | None = None
        self._no_renewal = b""
        self._log = structlog.get_logger("resfed.agent").bind(site=identity.site)

    @property
    def site(self) -> SiteId:
        """Whose agent dials."""
        return self.identity.site

    async def channel(self, options: Options) -> grpc.aio.Channel:
        """Return a channel to the agents' port, of the site's newest certificate.

        Raises:
            FailedPrecondition: If the site is not enrolled.
            Unavailable: If the broker does not answer.
            PermissionDenied: If the broker does not let this account enrol the site.

        """
        found = find(self._broker)
        papers = self.identity.load()
        if found.source == DEVELOPER_MODE and self._useless(papers, found):
            papers = await self._enrolled(found)
        if papers is None:
            raise FailedPrecondition(
                f"site '{self.site}' is not enrolled",
                way_out="ask an operator for an invitation, then: resfed site enroll",
            )
        address = self._agents or await self._asked(found)
        self._shown = papers
        tls = grpc.ssl_channel_credentials(papers.ca, papers.key, papers.certificate)
        return grpc.aio.secure_channel(address, tls, options=list(options))

    def refused(self, error: FederationError) -> None:
        """Take the broker's reason for ending a stream into account at the next dial."""
        if error.code == UNKNOWN_CERTIFICATE:  # its database is another one
            self._unknown = True
        elif error.code == RENEWAL_DENIED and self._shown is not None:
            self._no_renewal = self._shown.certificate
            self._log.error(
                "the certificate is not renewed: enrol the site again before it ends",
                reason=str(error),
            )

    def renewal_in(self) -> float:
        """Return in how many seconds the next certificate is to be asked for."""
        if self._shown is None or self._shown.certificate == self._no_renewal:
            return _NEVER_S
        return max(0.0, self._shown.half() - self._now())

    def accept(self, order: Certify) -> None:
        """Keep the next certificate: the next dial shows it.

        Raises:
            FailedPrecondition: If it is not for this agent; the present one is kept.

        """
        self.identity.accept(order.certificate_pem, order.ca_pem)
        self._log.info("the certificate is renewed")

    def _useless(self, papers: Papers | None, found: Credentials) -> bool:
        return (
            papers is None
            or self._unknown
            or papers.ca != found.ca_pem
            or papers.ends() <= self._now()
        )

    async def _enrolled(self, found: Credentials) -> Papers | None:
        client = EnrolmentClient(self._broker, found)
        invitation = await client.invite(self.site)
        made = await client.enrol(invitation.token, self.site, self.identity.request())
        self.identity.accept(made.pem, made.ca_pem)
        self._unknown = False
        self._log.info("enrolled by the local login", serial=made.serial)
        return self.identity.load()

    async def _asked(self, found: Credentials) -> str:
        if not found.source:
            found = Credentials(self.identity.broker_ca(), lambda: "", "enrolled")
        told = await EnrolmentClient(self._broker, found).authority()
        if not 0 < told.agents_port < 65536:
            raise Unavailable(f"the broker at {self._broker} has no agents' port")
        return f"{self._broker.rpartition(':')[0]}:{told.agents_port}"
