"""What stands for a site: a certificate of the federation's authority, and how one comes to it."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import SiteId


@dataclass(frozen=True, slots=True)
class SiteCertificate:
    """A certificate as the federation remembers it.

    Attributes:
        site: Whose.
        serial: Hexadecimal, 40 digits.
        key: SHA-256 of its public key, hexadecimal.
        signed: UTC seconds.
        expires: UTC seconds.
        pem: The certificate.
        renewed: Serial of the one that it came after, or "" for one of an invitation.
        revoked: When it was taken back, UTC seconds, or None.
        reason: Why, for people.

    """

    site: SiteId
    serial: str
    key: str
    signed: float
    expires: float
    pem: str
    renewed: str = ""
    revoked: float | None = None
    reason: str = ""

    def refusal(self, now: float) -> str:
        """Say why its site may not come in at *now* (UTC seconds); "" when it may."""
        if self.revoked is not None:
            return f"certificate {self.serial} of site '{self.site}' was revoked"
        if now >= self.expires:
            return f"certificate {self.serial} of site '{self.site}' has expired"
        return ""


@dataclass(frozen=True, slots=True)
class SiteInvitation:
    """Good for enrolling one site, once.

    Attributes:
        digest: SHA-256 of its secret; the secret itself is kept nowhere.
        site: Which.
        made: UTC seconds.
        expires: UTC seconds.
        by: Who made it.

    """

    digest: bytes
    site: SiteId
    made: float
    expires: float
    by: str
