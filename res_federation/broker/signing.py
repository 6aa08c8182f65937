"""Signs heads of the audit log now and then, and says in the log which: outsiders keep them."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import msgspec
import structlog

from res_federation.broker.federation import Federation
from res_federation.errors import FederationError
from res_federation.model.audit import AuditEntry
from res_federation.placement.policy import Policy

log = structlog.get_logger(__name__)

EVERY_S = 60.0
"""How old an entry may grow before a head is signed of it."""
EVERY_ENTRIES = 1000
"""After so many entries a head is signed at once."""
_LOOK_EVERY_S = 1.0


def began(at: float, key: str, policy: Policy) -> AuditEntry:
    """Return the entry of a broker's start: with which key and which policy."""
    packed = msgspec.json.encode(policy, order="deterministic")
    data = (
        ("key_sha256", sha256(key.encode()).hexdigest()),
        ("policy", policy.name),
        ("policy_sha256", sha256(packed).hexdigest()),
    )
    return AuditEntry(at, "broker", "broker.start", "", data=data)


def ended(at: float) -> AuditEntry:
    """Return the entry of a broker's orderly end."""
    return AuditEntry(at, "broker", "broker.stop", "")


async def keep_signing(federation: Federation) -> None:
    """Sign for ever: at once, then whenever enough is new, or what is new is old enough."""
    signed_at, told = 0.0, 0
    while True:
        now = federation.clock.now()
        chain = federation.store.chain
        unsigned = 1 if chain is None else chain.unsigned
        if now - signed_at >= EVERY_S or unsigned >= EVERY_ENTRIES:
            signed_at = now
            told = await _sign(federation, now, told)
        await asyncio.sleep(_LOOK_EVERY_S)


async def _sign(federation: Federation, now: float, told: int) -> int:
    """Sign, and say so where it is a head after *told*; return the index of the newest."""
    try:
        await federation.loop.sign(now)
    except FederationError as error:
        log.warning("audit_head_not_signed", why=str(error))
        return told
    chain = federation.store.chain
    head = None if chain is None else chain.head
    if head is None or head.index == told:
        return told
    log.info(
        "audit_head",
        index=head.index, number=head.number, hash=head.hash.hex(), at=head.at,
        signature=head.signature.hex(),
    )  # fmt: skip
    return head.index
