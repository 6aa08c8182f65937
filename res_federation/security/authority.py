"""The federation's certificate authority: signs the broker's doors and the sites' agents.

The mathematics is the `cryptography` library's. Every key is of the curve P-256; every serial is
random; a site's certificate names its site in one URI and is good for nothing but dialling in.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from res_federation.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from res_federation.model.certificate import SiteCertificate
from res_federation.model.identifiers import SiteId
from res_federation.security.files import (
    private_directory,
    read_own,
    read_private,
    write_private,
)

AUTHORITY = "authority"
"""Its directory in the broker's home."""
KEY_FILE, CERTIFICATE_FILE = "ca.key", "ca.pem"
DAY_S = 86400.0
AUTHORITY_S = 3650 * DAY_S
AUTHORITY_ENDS_SOON_S = 180 * DAY_S
SERVER_S = 397 * DAY_S
"""A broker makes a new one at each start, and while it runs."""
SITE_S = DAY_S
SKEW_S = 300.0
"""A certificate is good from so long before it was signed: clocks of sites differ."""
SITE_PREFIX = "resfed://site/"
_MOST_CSR_BYTES = 16_384
_MALFORMED = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library says of requests that nobody honest makes."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, PEM."""

    key_pem: bytes
    certificate_pem: bytes


class Authority:
    """A key that signs, and its own certificate."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        """Take both; `opened` finds or makes them."""
        self._key, self._certificate = key, certificate
        self.ca_pem = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def opened(cls, directory: Path, now: float) -> Self:
        """Return the authority of *directory*, made at *now* (UTC seconds) if there is none.

        Raises:
            FailedPrecondition: If its files cannot be read or written, or do not fit together.
            PermissionDenied: If another account could read the key or put another in its place.

        """
        private_directory(directory, make=True)
        key_file, certificate_file = directory / KEY_FILE, directory / CERTIFICATE_FILE
        try:
            key = _loaded_key(read_private(key_file), key_file)
        except FileNotFoundError:
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(key_file, _key_pem(key))
        try:
            pem = read_own(certificate_file)
        except FileNotFoundError:  # a new one, or a death between the two files
            pem = _self_signed(key, now).public_bytes(serialization.Encoding.PEM)
            write_private(certificate_file, pem, mode=0o644)
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise FailedPrecondition(f"'{certificate_file}' is not a certificate") from None
        if certificate.public_key() != key.public_key():
            raise FailedPrecondition(f"'{certificate_file}' is not of the key in '{key_file}'")
        return cls(key, certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, in hexadecimal."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def expires(self) -> float:
        """Until when it is good, UTC seconds."""
        return self._certificate.not_valid_after_utc.timestamp()

    def server(self, hosts: Sequence[str], now: float, lifetime_s: float = SERVER_S) -> Pair:
        """Return a new key and a certificate for a server at *hosts* and on this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host(name) for name in dict.fromkeys((*hosts, *_LOOPBACK)) if name]
        certificate = (
            self._begun("RES Federation broker", key.public_key(), now, lifetime_s)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_use(ExtendedKeyUsageOID.SERVER_AUTH), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return Pair(_key_pem(key), certificate.public_bytes(serialization.Encoding.PEM))

    def signed_site(
        self, csr_pem: str, site: SiteId, now: float, lifetime_s: float = SITE_S
    ) -> SiteCertificate:
        """Sign the key of a request for *site*; of the request nothing but the key is taken over.

        Raises:
            InvalidArgument: If the request is malformed, or of another kind of key.
            PermissionDenied: If the request names another site, or its sender has not the key.

        """
        key = request_key(csr_pem, site)
        certificate = (
            self._begun(site, key, now, lifetime_s)
            .add_extension(_site_name(site), critical=False)
            .add_extension(_use(ExtendedKeyUsageOID.CLIENT_AUTH), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return SiteCertificate(
            site=site,
            serial=f"{certificate.serial_number:040x}",
            key=_digest(key),
            signed=now,
            expires=certificate.not_valid_after_utc.timestamp(),
            pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        )

    def _begun(
        self, name: str, key: ec.EllipticCurvePublicKey, now: float, lifetime_s: float
    ) -> x509.CertificateBuilder:
        begin, end = _instant(now - SKEW_S), _instant(now + lifetime_s)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(begin, self._certificate.not_valid_before_utc))
            .not_valid_after(min(end, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


def new_site_key() -> bytes:
    """Return a new private key, PEM."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def site_request(key_pem: bytes, site: SiteId) -> str:
    """Return a certificate signing request of *site* by the private key, PEM."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "new_site_key made it"
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site)]))
        .add_extension(_site_name(site), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def request_key(csr_pem: str, site: SiteId) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request that names *site* and no other.

    Raises:
        InvalidArgument: If the request is malformed, or of another kind of key.
        PermissionDenied: If it names another site, or its sender has not the key.

    """
    if len(csr_pem) > _MOST_CSR_BYTES:
        raise InvalidArgument("the certificate signing request is too long", field="csr_pem")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key, proved = request.public_key(), request.is_signature_valid
        named = _sites_of(request.extensions)
    except _MALFORMED as error:
        raise InvalidArgument(
            f"not a certificate signing request: {type(error).__name__}", field="csr_pem"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InvalidArgument("the key is not of the curve P-256", field="csr_pem")
    if not proved:
        raise PermissionDenied("the request was not signed by its own key", field="csr_pem")
    if named != (f"{SITE_PREFIX}{site}",):
        raise PermissionDenied(f"the request does not name site '{site}' alone", field="csr_pem")
    return key


def request_digest(csr_pem: str, site: SiteId) -> str:
    """Return SHA-256 of the public key of a request, as `request_key` checks it."""
    return _digest(request_key(csr_pem, site))


def peer_of(certificate_pem: bytes) -> tuple[SiteId, str, float]:
    """Return site, serial (hexadecimal) and end (UTC seconds) of a peer's verified certificate.

    Raises:
        PermissionDenied: If it names no site, or more than one.

    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    named = _sites_of(certificate.extensions)
    if len(named) != 1 or not named[0].startswith(SITE_PREFIX):
        raise PermissionDenied("the certificate is not a site's")
    site = SiteId(named[0].removeprefix(SITE_PREFIX))
    return site, f"{certificate.serial_number:040x}", certificate.not_valid_after_utc.timestamp()


def fits_key(key_pem: bytes, certificate_pem: bytes) -> bool:
    """Tell whether a certificate is for a private key; raises ValueError if either is malformed."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    of = x509.load_pem_x509_certificate(certificate_pem).public_key()
    return isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == of


def checked_pair(key_pem: bytes, certificate_pem: bytes) -> Pair:
    """Return a key and its chain of certificates, of any kind; raises ValueError if not one."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
        leaf = x509.load_pem_x509_certificates(certificate_pem)[0]
        fits = key.public_key() == leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not a key without a password and a certificate, in PEM") from None
    if not fits:
        raise ValueError("the certificate is not of the key")
    return Pair(key_pem, certificate_pem)


def times_of(certificate_pem: bytes) -> tuple[float, float]:
    """Return from when and until when a certificate is good, UTC seconds."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return (
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def fingerprint_of(certificate_pem: bytes) -> str:
    """Return SHA-256 of the first certificate of *certificate_pem*, in hexadecimal.

    Raises:
        InvalidArgument: If there is none.

    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise InvalidArgument("not a certificate in PEM") from None
    return certificate.fingerprint(hashes.SHA256()).hex()


def _sites_of(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        one.value if isinstance(one, x509.UniformResourceIdentifier) else repr(one) for one in names
    )


def _self_signed(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RES Federation authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_instant(now - SKEW_S))
        .not_valid_after(_instant(now + AUTHORITY_S))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates,
        crl_sign=signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _use(purpose: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([purpose])


def _site_name(site: SiteId) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{SITE_PREFIX}{site}")])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(seconds))


def _digest(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _loaded_key(pem: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise FailedPrecondition(f"'{path}' is not a private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FailedPrecondition(f"'{path}' is not a key of the curve P-256")
    return key
