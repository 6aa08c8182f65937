"""Who the sites are: invitations, certificates, and the streams that stand on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from res_federation.broker.clock import Clock
from res_federation.broker.outboxes import Outbox
from res_federation.config.security import SecuritySettings
from res_federation.errors import (
    FailedPrecondition,
    FederationError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.certificate import SiteCertificate, SiteInvitation
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import Authority, peer_of, request_digest
from res_federation.security.invitation import InvitationText
from res_federation.store.certificates import Certificates
from res_federation.wire.status import RENEWAL_DENIED, UNKNOWN_CERTIFICATE

log = structlog.get_logger(__name__)

_MOST_REASON = 500
"""Characters of a refusal in the audit log."""


class Enrolment:
    """Lets sites in by the authority's word, and puts them out."""

    def __init__(
        self,
        authority: Authority,
        certificates: Certificates,
        settings: SecuritySettings,
        clock: Clock,
        members: Sequence[SiteId],
        note: Callable[[AuditEntry], None],
    ) -> None:
        """Sign with *authority* for *members*, keep it in *certificates*, tell it to *note*."""
        self.authority = authority
        self.agents_port = 0
        self._certificates, self._settings, self._clock = certificates, settings, clock
        self._members, self._note = frozenset(members), note
        self.issuers = settings.people.issuers
        self._streams: dict[Outbox, str] = {}
        self._ended: dict[Outbox, FederationError] = {}
        self._endings: set[asyncio.Future[list[SiteCertificate]]] = set()

    def follow(self, settings: SecuritySettings) -> None:
        """Go by other settings from now on; what was signed stays as it is."""
        self._settings, self.issuers = settings, settings.people.issuers

    # --- coming in

    async def invite(
        self, site: SiteId, lifetime_s: float, by: str
    ) -> tuple[InvitationText, SiteInvitation]:
        """Return a new invitation for *site*, by the operator *by*.

        Args:
            site: Which.
            lifetime_s: Seconds that it is good for; 0 for the default.
            by: Who makes it.

        Raises:
            NotFound: If the federation has no such member.

        """
        self._known(site)
        now = self._clock.now()
        words = InvitationText.drawn(self.authority.fingerprint)
        expires = now + (lifetime_s or self._settings.invitation_s)
        made = SiteInvitation(words.digest, site, now, expires, by)
        told = AuditEntry(now, by, "site.invite", site, data=(("expires", f"{expires:.0f}"),))
        await self._certificates.invite(made, told)
        log.info("site_invited", site=site, by=by, seconds=expires - now)
        return words, made

    async def enrol(self, token: str, site: SiteId, csr_pem: str, peer: str) -> SiteCertificate:
        """Return the first certificate of *site*, for who has its invitation and a key.

        Raises:
            PermissionDenied: If the token or the request is not for that; it was logged.
            InvalidArgument: If the request is malformed.

        """
        try:
            digest = InvitationText.read(token).digest
            key, now = request_digest(csr_pem, site), self._clock.now()
            made = await self._certificates.enrol(
                digest, site, key, now, lambda: self._signed(csr_pem, site, now),
                lambda one: [_told(one, f"peer:{peer}", "site.enrol")],
            )  # fmt: skip
        except PermissionDenied as error:
            raise self._denied("site.enrol", site, error, f"peer:{peer}") from None
        log.info("site_enrolled", site=site, serial=made.serial, peer=peer)
        return made

    async def renew(self, site: SiteId, serial: str, csr_pem: str) -> SiteCertificate:
        """Return the certificate that comes after *serial* of *site*.

        Raises:
            PermissionDenied: If it may not have one; it was logged.
            InvalidArgument: If the request is malformed.

        """
        try:
            key, now = request_digest(csr_pem, site), self._clock.now()
            made = await self._certificates.renew(
                serial, key, now, lambda: self._signed(csr_pem, site, now),
                lambda one: [_told(one, f"site:{site}", "site.renew", ("renewed", serial))],
            )  # fmt: skip
        except PermissionDenied as error:
            refused = PermissionDenied(error.message, way_out=error.way_out, code=RENEWAL_DENIED)
            raise self._denied("site.renew", site, refused, f"site:{site}") from None
        log.info("certificate_renewed", site=site, serial=made.serial, renewed=serial)
        return made

    def _signed(self, csr_pem: str, site: SiteId, now: float) -> SiteCertificate:
        return self.authority.signed_site(csr_pem, site, now, self._settings.site_certificate_s)

    def _known(self, site: SiteId) -> None:
        if site not in self._members:
            raise NotFound(f"there is no site '{site}'", way_out="resfed sites lists them")

    # --- streams

    def peer(self, certificate_pem: bytes | None, peer: str) -> tuple[SiteId, str]:
        """Return the site and the serial of a stream, from its certificate and nothing else.

        Raises:
            Unauthenticated: If there is no certificate, or it has expired.
            PermissionDenied: If it is of no member.

        """
        if certificate_pem is None:
            raise Unauthenticated("a site dials in with its certificate")
        try:
            site, serial, expires = peer_of(certificate_pem)
            if site not in self._members:
                raise PermissionDenied(f"site '{site}' is no member of this federation")
        except PermissionDenied as error:
            raise self._denied("site.connect", "", error, f"peer:{peer}") from None
        if self._clock.now() >= expires:
            over = Unauthenticated(f"the certificate of site '{site}' has expired")
            raise self._denied("site.connect", site, over, f"site:{site}")
        return site, serial

    @contextmanager
    def standing(self, outbox: Outbox, serial: str) -> Iterator[None]:
        """Keep a stream among those that a revocation ends."""
        self._streams[outbox] = serial
        try:
            yield
        finally:
            self._streams.pop(outbox, None)
            self._ended.pop(outbox, None)

    async def admit(self, outbox: Outbox, serial: str) -> asyncio.TimerHandle:
        """Let a stream begin that `standing` holds; it ends when its certificate does.

        Raises:
            PermissionDenied: If the certificate was revoked, or was never signed here.
            Unauthenticated: If it has expired.

        """
        found = await self._certificates.of_serial(serial)
        now = self._clock.now()
        refusal: FederationError | None = None
        if found is None or found.site != outbox.site:
            refusal = PermissionDenied(
                f"certificate {serial} is not one that this federation signed",
                way_out="enrol again: resfed site enroll",
                code=UNKNOWN_CERTIFICATE,
            )
        elif found.revoked is not None:
            refusal = PermissionDenied(found.refusal(now))
        elif found.refusal(now):
            refusal = Unauthenticated(found.refusal(now))
        if found is None or refusal is not None:
            assert refusal is not None, "an unknown one is refused"
            raise self._denied("site.connect", outbox.site, refusal, f"site:{outbox.site}")
        loop = asyncio.get_running_loop()
        over = Unauthenticated(f"certificate {serial} of site '{found.site}' has expired")
        return loop.call_later(found.expires - now, self._end, outbox, over)

    def why_ended(self, outbox: Outbox) -> FederationError | None:
        """Return why a stream was ended by its certificate, or None if it was not."""
        return self._ended.get(outbox)

    def _end(self, outbox: Outbox, why: FederationError) -> None:
        if outbox in self._streams:
            self._ended[outbox] = self._denied(
                "site.stream", outbox.site, why, f"site:{outbox.site}"
            )
            outbox.close()

    def refused_report(self, site: SiteId, told: str) -> FederationError:
        """Return the refusal of a report of *told* in a stream of *site*; it was logged."""
        error = PermissionDenied(
            f"this stream is of site '{site}', the report of '{told}'", field="capacity.site"
        )
        return self._denied("site.report", site, error, f"site:{site}")

    def _denied(self, act: str, site: str, error: FederationError, actor: str) -> FederationError:
        """Log a refusal and give it to the audit log; return it."""
        log.warning("denied", act=act, site=site, why=error.message, actor=actor)
        at = self._clock.now()
        self._note(AuditEntry(at, actor, act, site, DENIED, error.message[:_MOST_REASON]))
        return error

    # --- looking, and putting out

    async def listed(self, site: str, offset: int, size: int) -> tuple[list[SiteCertificate], bool]:
        """Return certificates, newest first, and whether there are more."""
        return await self._certificates.listed(site, offset, size)

    async def revoke(
        self, by: str, reason: str, *, site: str = "", serial: str = ""
    ) -> list[SiteCertificate]:
        """Take back at once what *site* has, or one *serial*; open streams of it end.

        Raises:
            NotFound: If there is no such member, or no such certificate.
            FailedPrecondition: If neither is named, or both.

        """
        if bool(site) == bool(serial):
            raise FailedPrecondition("name a site or a certificate")
        if site:
            self._known(SiteId(site))
        elif await self._certificates.of_serial(serial) is None:
            raise NotFound(f"there is no certificate {serial}")
        # a caller who hangs up meanwhile must not leave open what is taken back
        ending = asyncio.ensure_future(self._revoked(by, reason, site=site, serial=serial))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return await asyncio.shield(ending)

    async def _revoked(
        self, by: str, reason: str, *, site: str, serial: str
    ) -> list[SiteCertificate]:
        now = self._clock.now()
        ended = await self._certificates.revoke(
            now, reason, site=site, serial=serial,
            told=lambda one: [
                AuditEntry(now, by, "site.revoke", one.site, reason=reason,
                           data=(("serial", one.serial),))
            ],
        )  # fmt: skip
        serials = {one.serial for one in ended}
        for outbox, of_stream in list(self._streams.items()):
            if of_stream in serials:
                words = f"certificate {of_stream} of site '{outbox.site}' was revoked"
                self._end(outbox, PermissionDenied(words))
        log.warning("certificates_revoked", site=site, serials=sorted(serials), by=by)
        return ended


def _told(made: SiteCertificate, actor: str, act: str, *more: tuple[str, str]) -> AuditEntry:
    """Return what the audit log says of a certificate that was signed."""
    data = (*more, ("serial", made.serial))
    return AuditEntry(made.signed, actor, act, made.site, data=data)
