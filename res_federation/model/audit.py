"""What the audit log tells of: who did, or was refused, what, and when."""

from __future__ import annotations

from dataclasses import dataclass

DONE = "done"
DENIED = "denied"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. Never holds a secret, a script, output or a token.

    Attributes:
        at: UTC seconds; kept to the microsecond.
        actor: Who: a user as jobs name it, ``broker``, ``site:bsc``, ``peer:ADDRESS``.
        act: A stable word or two: ``submit``, ``place``, ``cancel``, ``site.drain``.
        target: On what: an identifier of a job, site, project, certificate; "" for the federation.
        outcome: ``done`` or ``denied``.
        reason: Why, for people, or "".
        data: What else a reader wants to know; each name once.

    """

    at: float
    actor: str
    act: str
    target: str
    outcome: str = DONE
    reason: str = ""
    data: tuple[tuple[str, str], ...] = ()
