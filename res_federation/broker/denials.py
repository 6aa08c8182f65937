"""Every call that was denied: a line in the log, and an entry in the audit log."""

from __future__ import annotations

import structlog

from res_federation.broker.federation import Federation
from res_federation.errors import FederationError, PermissionDenied, Unauthenticated
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.security.caller import Call

log = structlog.get_logger(__name__)


class Denials:
    """Hears of refusals."""

    def __init__(self, federation: Federation) -> None:
        """Note them in the log of *federation*."""
        self._federation = federation

    def __call__(self, call: Call, error: FederationError, peer: str) -> None:
        """Note that *call* from *peer* was refused with *error*; other errors are no denials."""
        if not isinstance(error, PermissionDenied | Unauthenticated):
            return
        short = call.method.rpartition(".")[2]
        log.warning("denied", call=short, user=call.user, peer=peer, why=error.message)
        actor = call.user or f"peer:{_host(peer)}"
        now = self._federation.clock.now()
        self._federation.loop.note(
            AuditEntry(now, actor, short, "", outcome=DENIED, reason=error.message)
        )


def _host(peer: str) -> str:
    """Return an address without its port: ``ipv4:127.0.0.1:50312`` is one of thousands."""
    return peer.rpartition(":")[0] or peer
