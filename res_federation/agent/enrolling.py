"""A site comes into the federation: by an invitation, with a key that is made here and stays."""

from __future__ import annotations

from pathlib import Path

from res_federation.agent.site_identity import Papers, SiteIdentity
from res_federation.client.enrolment import EnrolmentClient, proved_authority
from res_federation.errors import InvalidArgument, PermissionDenied, Unavailable
from res_federation.model.identifiers import SiteId
from res_federation.security.authority import fingerprint_of
from res_federation.security.credentials import Credentials
from res_federation.security.invitation import InvitationText


async def enrol(
    site: SiteId, broker: str, token: str, state: Path, *, ca: Path | None = None,
    fingerprint: str = "",
) -> Papers:  # fmt: skip
    """Make a key, have it signed, and keep both under ``STATE/identity``.

    The same invitation may be tried again until the answer came: it is the same key.

    Args:
        site: Which.
        broker: ``HOST:PORT`` of the users' port.
        token: The invitation; it also tells which authority to trust.
        state: The agent's directory.
        ca: Authorities that may have signed the users' port, in place of the invitation's.
        fingerprint: What the authority's SHA-256 must be, beside what the invitation says.

    Raises:
        PermissionDenied: If the broker does not take the invitation, or is another one.
        Unavailable: If it does not answer.

    """
    words = InvitationText.read(token)
    expected = words.fingerprint.hex()
    if fingerprint and fingerprint.lower().replace(":", "") != expected:
        raise PermissionDenied(
            "the invitation is of another authority than --fingerprint says", field="--fingerprint"
        )
    proved = await proved_authority(broker, expected) if ca is None else _read(ca)
    client, roots = await _trusted(broker, proved, only=ca is not None)
    told = await client.authority()
    if fingerprint_of(told.ca_pem) != expected:
        raise PermissionDenied(f"the invitation is not of the broker at {broker}", field="--token")
    identity = SiteIdentity(site, state)
    made = await client.enrol(token.strip(), site, identity.request())
    if fingerprint_of(made.ca_pem.encode()) != expected:
        raise PermissionDenied(f"the broker at {broker} signs by another authority than it says")
    identity.accept(made.pem, made.ca_pem)
    identity.remember_broker(roots)
    papers = identity.load()
    assert papers is not None, "it was just written"
    return papers


async def _trusted(
    broker: str, roots: bytes, *, only: bool
) -> tuple[EnrolmentClient, bytes | None]:
    """Return a client that knows the broker, and by what: *roots*, else the system's own."""
    client = EnrolmentClient(broker, Credentials(roots, lambda: "", "invitation"))
    try:
        await client.authority()
    except Unavailable:
        if only:
            raise
        return EnrolmentClient(broker, Credentials(None, lambda: "", "system")), None
    return client, roots


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"cannot read '{path}': {error.strerror}", field="--ca") from None
