"""How sites come in and are put out, from outside the broker. For asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from res_federation.api.v1 import enrolment_pb2, enrolment_pb2_grpc
from res_federation.client.address import CHANNEL_OPTIONS
from res_federation.errors import PermissionDenied, Unavailable
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import fingerprint_of
from res_federation.security.credentials import Credentials
from res_federation.wire.status import from_rpc_error
from res_federation.wire.times import from_timestamp, to_duration

_CALL_S = 15.0


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """What the broker tells everybody of itself.

    Attributes:
        ca_pem: The federation's certificate authority.
        agents_port: Where agents dial in, at the same host.

    """

    ca_pem: bytes
    agents_port: int


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation that was made.

    Attributes:
        token: The secret, told once.
        site: Which site is let in.
        expires: UTC seconds.

    """

    token: str
    site: SiteId
    expires: float


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A certificate of a site.

    Attributes:
        serial: Hexadecimal.
        site: Whose.
        pem: The certificate.
        ca_pem: The authority that signed it.
        state: ``VALID``, ``EXPIRED`` or ``REVOKED``.
        signed: UTC seconds.
        expires: UTC seconds.
        revoked: UTC seconds, or None.
        reason: Why it was revoked.
        renewed: Serial of the one before it, or "".

    """

    serial: str
    site: SiteId
    pem: str
    ca_pem: str
    state: str
    signed: float
    expires: float
    revoked: float | None
    reason: str
    renewed: str


class EnrolmentClient:
    """The broker's `EnrolmentService`. Every method raises the classes of `errors`."""

    def __init__(self, address: str, credentials: Credentials) -> None:
        """Call the broker at *address* (``HOST:PORT``)."""
        self._address, self._credentials = address, credentials

    async def authority(self) -> AuthorityView:
        """Ask what everybody may know."""
        async with self._stub() as stub:
            told = await stub.GetAuthority(enrolment_pb2.GetAuthorityRequest(), timeout=_CALL_S)
        return AuthorityView(told.ca_pem.encode(), told.agents_port)

    async def invite(self, site: SiteId, lifetime_s: float = 0.0) -> InvitationView:
        """Make an invitation for *site*; 0 seconds for the broker's default."""
        request = enrolment_pb2.CreateInvitationRequest(site=f"sites/{site}")
        if lifetime_s:
            request.lifetime.CopyFrom(to_duration(lifetime_s))
        async with self._stub() as stub:
            made = await stub.CreateInvitation(request, timeout=_CALL_S)
        return InvitationView(
            made.token, SiteId(made.site.removeprefix("sites/")), from_timestamp(made.expire_time)
        )

    async def enrol(self, token: str, site: SiteId, csr_pem: str) -> CertificateView:
        """Have a site's key signed for its invitation."""
        request = enrolment_pb2.EnrolSiteRequest(token=token, site=f"sites/{site}", csr_pem=csr_pem)
        async with self._stub() as stub:
            return _view(await stub.EnrolSite(request, timeout=_CALL_S))

    async def certificates(self, site: str = "") -> list[CertificateView]:
        """Return what was signed for *site*, or for all; newest first."""
        request = enrolment_pb2.ListCertificatesRequest(site=f"sites/{site}" if site else "")
        found: list[CertificateView] = []
        async with self._stub() as stub:
            while True:
                answer = await stub.ListCertificates(request, timeout=_CALL_S)
                found += [_view(one) for one in answer.certificates]
                if not answer.next_page_token:
                    return found
                request.page_token = answer.next_page_token

    async def revoke(self, name: str, reason: str) -> list[CertificateView]:
        """Take back ``sites/ID`` or ``certificates/SERIAL``; return what was good until now."""
        request = enrolment_pb2.RevokeCertificatesRequest(name=name, reason=reason)
        async with self._stub() as stub:
            answer = await stub.RevokeCertificates(request, timeout=_CALL_S)
        return [_view(one) for one in answer.certificates]

    @asynccontextmanager
    async def _stub(self) -> AsyncIterator[Any]:
        try:
            async with self._credentials.aio_channel(self._address, CHANNEL_OPTIONS) as channel:
                yield enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._address) from None


def _view(one: enrolment_pb2.Certificate) -> CertificateView:
    state = enrolment_pb2.CertificateState.Name(one.state)
    return CertificateView(
        serial=one.name.removeprefix("certificates/"),
        site=SiteId(one.site.removeprefix("sites/")),
        pem=one.certificate_pem,
        ca_pem=one.ca_pem,
        state=state.removeprefix("CERTIFICATE_STATE_"),
        signed=from_timestamp(one.create_time),
        expires=from_timestamp(one.expire_time),
        revoked=from_timestamp(one.revoke_time) if one.HasField("revoke_time") else None,
        reason=one.revoke_reason,
        renewed=one.renewed.removeprefix("certificates/"),
    )


async def proved_authority(address: str, fingerprint: str) -> bytes:
    """Return the authority of the broker at *address* if it is the one with *fingerprint*.

    The first connection trusts nobody: it only fetches a certificate that everybody may know, and
    the fingerprint (SHA-256, hexadecimal) proves it. Nothing secret is sent on it.

    Raises:
        PermissionDenied: If somebody else answers there.
        Unavailable: If nobody answers.

    """
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_CALL_S):
            leaf = await asyncio.to_thread(
                ssl.get_server_certificate, (host.strip("[]"), int(port)), timeout=_CALL_S
            )
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            f"no broker answers at {address}: {error}", way_out="is --broker right?"
        ) from None
    pinned = Credentials(leaf.encode(), lambda: "", "pinned")
    told = await EnrolmentClient(address, pinned).authority()
    if fingerprint_of(told.ca_pem) != fingerprint.lower().replace(":", ""):
        raise PermissionDenied(
            f"the broker at {address} is not the one that the invitation is from",
            way_out="ask the operator who sent it",
        )
    return told.ca_pem
