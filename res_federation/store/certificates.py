"""Invitations and certificates of sites, each step in one transaction.

Whatever decides whether somebody may come in is looked at in the same transaction that writes it
down: of two that use one invitation, or renew one certificate, the second sees the first. What the
audit log says of it is written in that transaction too: whenever the broker dies, both are there or
neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Row, insert, select, update

from res_federation.errors import PermissionDenied
from res_federation.model.audit import AuditEntry
from res_federation.model.certificate import SiteCertificate, SiteInvitation
from res_federation.model.identifiers import SiteId
from res_federation.store import rows
from res_federation.store.tables import certificates, invitations

T = TypeVar("T")
Sign = Callable[[], SiteCertificate]
Told = Callable[[SiteCertificate], Sequence[AuditEntry]]
_MOST_A_PAGE = 1000


class Run(Protocol):
    """Runs work on the writing connection, in a transaction of its own."""

    def __call__(self, work: Callable[[Connection], T]) -> Awaitable[T]:
        """Return what *work* returns, when it is on disk; raises FederationError."""
        ...


class Audited(Protocol):
    """Runs work as `Run` does, and appends what it tells to the audit log, all or nothing."""

    def __call__(
        self, work: Callable[[Connection], tuple[T, Sequence[AuditEntry]]]
    ) -> Awaitable[T]:
        """Return the first of what *work* returns, when both are on disk."""
        ...


def _untold(_: object) -> Sequence[AuditEntry]:
    return ()


class Certificates:
    """Who the sites are, on disk.

    What is *told* of a certificate goes into the audit log with it, once.
    """

    def __init__(self, run: Run, audited: Audited) -> None:
        """Read through *run*, write through *audited*."""
        self._run, self._audited = run, audited

    async def invite(self, invitation: SiteInvitation, *told: AuditEntry) -> None:
        """Write an invitation down."""
        row = {
            "digest": invitation.digest, "site": invitation.site, "made": invitation.made,
            "expires": invitation.expires, "by": rows.storable(invitation.by),
        }  # fmt: skip

        def work(connection: Connection) -> tuple[None, Sequence[AuditEntry]]:
            connection.execute(insert(invitations), row)
            return None, told

        await self._audited(work)

    async def enrol(
        self,
        digest: bytes,
        site: SiteId,
        key: str,
        now: float,
        sign: Sign,
        told: Told = _untold,
    ) -> SiteCertificate:
        """Use an invitation: sign, and write down that it was used, at once or not at all.

        The same key again (the answer was lost) gets the same certificate.

        Raises:
            PermissionDenied: If there is no such invitation, or it is another site's, over,
                taken back, or used with another key.

        """

        def work(connection: Connection) -> tuple[SiteCertificate, Sequence[AuditEntry]]:
            found = connection.execute(
                select(invitations).where(invitations.c.digest == digest)
            ).first()
            if found is None or found.site != site:
                raise PermissionDenied(f"there is no such invitation for site '{site}'")
            if found.serial is not None:
                before = _certificate(connection, found.serial)
                return _same(before, key, now, "this invitation"), ()
            if found.ended is not None or now >= found.expires:
                raise PermissionDenied(f"the invitation for site '{site}' is over")
            made = sign()
            connection.execute(insert(certificates), _row(made, None))
            connection.execute(
                update(invitations)
                .where(invitations.c.digest == digest)
                .values(ended=now, serial=made.serial)
            )
            return made, told(made)

        return await self._audited(work)

    async def renew(
        self, serial: str, key: str, now: float, sign: Sign, told: Told = _untold
    ) -> SiteCertificate:
        """Sign the certificate that comes after *serial*: one, whoever asks how often.

        The same key again (the answer was lost) gets the same certificate.

        Raises:
            PermissionDenied: If *serial* is unknown, revoked, over, or was renewed with another
                key.

        """

        def work(connection: Connection) -> tuple[SiteCertificate, Sequence[AuditEntry]]:
            found = _certificate(connection, serial)
            if found is None or found.refusal(now):
                why = found.refusal(now) if found else f"certificate {serial} is not known here"
                raise PermissionDenied(why)
            after = connection.execute(
                select(certificates).where(certificates.c.renewed == serial)
            ).first()
            if after is not None:
                return _same(_read(after), key, now, f"certificate {serial}"), ()
            made = sign()
            connection.execute(insert(certificates), _row(made, serial))
            return made, told(made)

        return await self._audited(work)

    async def of_serial(self, serial: str) -> SiteCertificate | None:
        """Return a certificate, or None if none with this serial was ever signed here."""
        return await self._run(lambda connection: _certificate(connection, serial))

    async def listed(self, site: str, offset: int, size: int) -> tuple[list[SiteCertificate], bool]:
        """Return certificates of *site* ("" for all), newest first, and whether there are more."""
        size = min(size or 100, _MOST_A_PAGE)
        asked = select(certificates).order_by(certificates.c.signed.desc(), certificates.c.serial)
        if site:
            asked = asked.where(certificates.c.site == site)
        asked = asked.offset(offset).limit(size + 1)

        def work(connection: Connection) -> list[SiteCertificate]:
            return [_read(row) for row in connection.execute(asked)]

        found = await self._run(work)
        return found[:size], len(found) > size

    async def revoke(
        self, now: float, reason: str, *, site: str = "", serial: str = "", told: Told = _untold
    ) -> list[SiteCertificate]:
        """Take back one certificate, or all of a site with its open invitations.

        With one goes what came of it by renewal: a thief may have been quicker than its site.
        Returns those that were good until now.
        """

        def work(
            connection: Connection,
        ) -> tuple[list[SiteCertificate], Sequence[AuditEntry]]:
            which = certificates.c.site == site
            if serial:
                which = certificates.c.serial.in_(_descent(connection, serial))
            good = [
                row.serial
                for row in connection.execute(
                    select(certificates.c.serial)
                    .where(which)
                    .where(certificates.c.revoked.is_(None))
                    .where(certificates.c.expires > now)
                )
            ]
            connection.execute(
                update(certificates)
                .where(certificates.c.serial.in_(good))
                .values(revoked=now, reason=rows.storable(reason))
            )
            if site:
                connection.execute(
                    update(invitations)
                    .where(invitations.c.site == site)
                    .where(invitations.c.ended.is_(None))
                    .values(ended=now)
                )
            asked = select(certificates).where(certificates.c.serial.in_(good))
            ended = [_read(row) for row in connection.execute(asked)]
            return ended, [entry for one in ended for entry in told(one)]

        return await self._audited(work)


def _descent(connection: Connection, serial: str) -> list[str]:
    """Return *serial* and all that came of it: each is renewed at most once."""
    found = [serial]
    while True:
        after = connection.execute(
            select(certificates.c.serial).where(certificates.c.renewed == found[-1])
        ).scalar()
        if after is None:
            return found
        found.append(after)


def _certificate(connection: Connection, serial: str) -> SiteCertificate | None:
    row = connection.execute(select(certificates).where(certificates.c.serial == serial)).first()
    return None if row is None else _read(row)


def _same(found: SiteCertificate | None, key: str, now: float, what: str) -> SiteCertificate:
    """Return what was signed before, for the same key."""
    if found is None or found.key != key:
        raise PermissionDenied(f"{what} was used already, with another key")
    if found.refusal(now):
        raise PermissionDenied(found.refusal(now))
    return found


def _row(certificate: SiteCertificate, renewed: str | None) -> dict[str, Any]:
    return {
        "serial": certificate.serial, "site": certificate.site, "key": certificate.key,
        "signed": certificate.signed, "expires": certificate.expires, "pem": certificate.pem,
        "renewed": renewed, "reason": "",
    }  # fmt: skip


def _read(row: Row[Any]) -> SiteCertificate:
    return SiteCertificate(
        site=SiteId(row.site), serial=row.serial, key=row.key, signed=row.signed,
        expires=row.expires, pem=row.pem, renewed=row.renewed or "", revoked=row.revoked,
        reason=row.reason,
    )  # fmt: skip
