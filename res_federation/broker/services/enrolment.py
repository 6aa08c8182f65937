"""`EnrolmentService`: how sites come in, and how they are put out."""

from __future__ import annotations

from typing import Any

from res_federation.api.v1 import enrolment_pb2, enrolment_pb2_grpc
from res_federation.broker.enrolment import Enrolment
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.errors import InvalidArgument
from res_federation.model.certificate import SiteCertificate
from res_federation.model.identifiers import SiteId, site_id
from res_federation.security.caller import caller, permit
from res_federation.security.ownership import checked_site, everywhere
from res_federation.security.peers import true_peer
from res_federation.wire.times import from_duration, to_timestamp

_PAGE = 100
_MOST_LIFETIME_S = 30 * 86400.0


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Sites come in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @property
    def _enrolment(self) -> Enrolment:
        return self._federation.enrolment

    @answers.unary
    async def GetAuthority(  # noqa: N802 - gRPC's name
        self, request: enrolment_pb2.GetAuthorityRequest, context: Any
    ) -> enrolment_pb2.Authority:
        """Tell what everybody may know."""
        del request, context
        return enrolment_pb2.Authority(
            ca_pem=self._enrolment.authority.ca_pem.decode(),
            agents_port=self._enrolment.agents_port,
            issuers=[
                enrolment_pb2.LoginIssuer(
                    name=one.name, issuer=one.url, client_id=one.client_id,
                    scopes=one.scopes, audience=one.audience,
                )
                for one in self._enrolment.issuers
            ],
        )  # fmt: skip

    @answers.unary
    async def CreateInvitation(  # noqa: N802 - gRPC's name
        self, request: enrolment_pb2.CreateInvitationRequest, context: Any
    ) -> enrolment_pb2.Invitation:
        """Make a token for one site."""
        del context
        lifetime = from_duration(request.lifetime)
        if not 0 <= lifetime <= _MOST_LIFETIME_S:
            raise InvalidArgument("an invitation is good for 30 days at most", field="lifetime")
        site = checked_site(permit(), _site(request.site))
        words, made = await self._enrolment.invite(site, lifetime, caller().user)
        return enrolment_pb2.Invitation(
            token=words.text, site=f"sites/{made.site}", expire_time=to_timestamp(made.expires)
        )

    @answers.unary
    async def EnrolSite(  # noqa: N802 - gRPC's name
        self, request: enrolment_pb2.EnrolSiteRequest, context: Any
    ) -> enrolment_pb2.Certificate:
        """Sign a site's key for who has its invitation."""
        made = await self._enrolment.enrol(
            request.token, _site(request.site), request.csr_pem, true_peer(context.peer())
        )
        return self._message(made)

    @answers.unary
    async def ListCertificates(  # noqa: N802 - gRPC's name
        self, request: enrolment_pb2.ListCertificatesRequest, context: Any
    ) -> enrolment_pb2.ListCertificatesResponse:
        """List what was signed."""
        del context
        if request.site:
            site = str(checked_site(permit(), _site(request.site)))
        else:
            site = everywhere(permit(), "list the certificates of one of your sites")
        offset = _offset(request.page_token)
        size = request.page_size if request.page_size > 0 else _PAGE
        found, more = await self._enrolment.listed(site, offset, size)
        return enrolment_pb2.ListCertificatesResponse(
            certificates=[self._message(one) for one in found],
            next_page_token=str(offset + len(found)) if more else "",
        )

    @answers.unary
    async def RevokeCertificates(  # noqa: N802 - gRPC's name
        self, request: enrolment_pb2.RevokeCertificatesRequest, context: Any
    ) -> enrolment_pb2.RevokeCertificatesResponse:
        """Take certificates back and end their streams."""
        del context
        kind, _, which = request.name.partition("/")
        if kind == "sites":
            site, serial = str(checked_site(permit(), site_id(which, "name"))), ""
        elif kind == "certificates" and which:
            site = everywhere(permit(), "take back all certificates of your site")
            serial = which.lower()
        else:
            raise InvalidArgument(
                f"'{request.name}' is neither sites/ID nor certificates/SERIAL", field="name"
            )
        ended = await self._enrolment.revoke(
            caller().user, request.reason, site=site, serial=serial
        )
        return enrolment_pb2.RevokeCertificatesResponse(
            certificates=[self._message(one) for one in ended]
        )

    def _message(self, one: SiteCertificate) -> enrolment_pb2.Certificate:
        message = enrolment_pb2.Certificate(
            name=f"certificates/{one.serial}",
            site=f"sites/{one.site}",
            certificate_pem=one.pem,
            ca_pem=self._enrolment.authority.ca_pem.decode(),
            create_time=to_timestamp(one.signed),
            expire_time=to_timestamp(one.expires),
            state=self._state(one),
            revoke_reason=one.reason,
            renewed=f"certificates/{one.renewed}" if one.renewed else "",
        )
        if one.revoked is not None:
            message.revoke_time.CopyFrom(to_timestamp(one.revoked))
        return message

    def _state(self, one: SiteCertificate) -> enrolment_pb2.CertificateState.ValueType:
        if one.revoked is not None:
            return enrolment_pb2.CERTIFICATE_STATE_REVOKED
        if one.refusal(self._federation.clock.now()):
            return enrolment_pb2.CERTIFICATE_STATE_EXPIRED
        return enrolment_pb2.CERTIFICATE_STATE_VALID


def _site(name: str) -> SiteId:
    return site_id(name.removeprefix("sites/"), "site")


def _offset(token: str) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) < 12):
        raise InvalidArgument("not a page token of this list", field="page_token")
    return int(token)
