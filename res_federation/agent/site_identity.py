"""Who this agent is: a key that never leaves its directory, and the certificate for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from res_federation.errors import FailedPrecondition, FederationError
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import (
    SKEW_S,
    fingerprint_of,
    fits_key,
    new_site_key,
    peer_of,
    site_request,
    times_of,
)
from res_federation.security.files import private_directory, read_private, write_private

DIRECTORY = "identity"
_SITE_FILE, _NEXT_KEY_FILE, _BROKER_CA_FILE = "site.pem", "next.key", "broker-ca.pem"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Papers:
    """What the agent shows at the agents' port, PEM.

    Attributes:
        key: The site's private key.
        certificate: Its certificate.
        ca: The federation's authority.

    """

    key: bytes
    certificate: bytes
    ca: bytes

    def half(self) -> float:
        """Return when half of the certificate's life is over, UTC seconds."""
        begins, ends = times_of(self.certificate)
        return (begins + SKEW_S + ends) / 2  # it is good from SKEW_S before it was signed

    def ends(self) -> float:
        """Return when the certificate is over, UTC seconds."""
        return times_of(self.certificate)[1]


class SiteIdentity:
    """The files under ``STATE/identity``: key and certificate in one, so that they always fit."""

    def __init__(self, site: SiteId, state: Path) -> None:
        """Stand on the agent's directory *state*; nothing is made yet."""
        self.site = site
        self._directory = state / DIRECTORY

    def load(self) -> Papers | None:
        """Return what the site shows, or None when it is not enrolled.

        Raises:
            PermissionDenied: If another account could have put it there, or read the key.
            FailedPrecondition: If it is of another site, or damaged.

        """
        try:
            private_directory(self._directory)
            whole = read_private(self._directory / _SITE_FILE)
        except FileNotFoundError:
            return None
        try:
            key, own, ca = whole.split(_CERTIFICATE, 2)
            papers = Papers(key, _CERTIFICATE + own, _CERTIFICATE + ca)
            of = peer_of(papers.certificate)[0]
        except ValueError:
            raise FailedPrecondition(
                f"'{self._directory}' is damaged", way_out="enrol the site again"
            ) from None
        if of != self.site:
            raise FailedPrecondition(
                f"'{self._directory}' is of site '{of}', this agent is of '{self.site}'",
                way_out="give each site a --state directory of its own",
            )
        return papers

    def broker_ca(self) -> bytes | None:
        """Return by which authority the users' port is known, or None for those of the system."""
        try:
            return read_private(self._directory / _BROKER_CA_FILE) or None
        except FileNotFoundError:
            papers = self.load()
            return None if papers is None else papers.ca

    def remember_broker(self, ca_pem: bytes | None) -> None:
        """Keep by which authority the users' port is known."""
        write_private(self._directory / _BROKER_CA_FILE, ca_pem or b"")

    def request(self) -> str:
        """Return a signing request for a new key, which is on disk before anybody hears of it.

        Asked again before `accept`, it is the same key: an answer that was lost can be repeated.
        """
        private_directory(self._directory, make=True)
        path = self._directory / _NEXT_KEY_FILE
        papers = self.load()
        try:
            key = read_private(path)
        except FileNotFoundError:
            key = b""
        if not key or (papers is not None and papers.key == key):  # that one is in use already
            key = new_site_key()
            write_private(path, key)
        return site_request(key, self.site)

    def accept(self, certificate_pem: str, ca_pem: str) -> None:
        """Use a certificate for the key of `request` from now on.

        Raises:
            FailedPrecondition: If it is for another key or another site; the old one is kept.

        """
        path = self._directory / _NEXT_KEY_FILE
        try:
            key = read_private(path)
            fits = fits_key(key, certificate_pem.encode())
            of = peer_of(certificate_pem.encode())[0]
            fingerprint_of(ca_pem.encode())
        except (FileNotFoundError, ValueError, FederationError):
            fits, of = False, self.site
        if not fits or of != self.site:
            raise FailedPrecondition("the broker sent a certificate that is not for this agent")
        whole = b"".join((key, certificate_pem.encode(), ca_pem.encode()))
        write_private(self._directory / _SITE_FILE, whole)
        path.unlink()
