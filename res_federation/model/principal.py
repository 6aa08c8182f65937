"""Who makes a call: a person or a machine account, and what they are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from res_federation.model.identifiers import SiteId

LOCAL = "local"
"""Issuer of developer mode: the account that started the broker, signed in by the broker itself."""
MACHINE = "machine"
"""Issuer of machine accounts: tokens that the federation itself gave."""


class Role(StrEnum):
    """What somebody is in the federation; what each may do stands in `security.permissions`."""

    USER = "user"
    LEAD = "project-lead"
    SITE_ADMINISTRATOR = "site-administrator"
    PLANNER = "planner"
    OPERATOR = "operator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose identity was proved.

    Attributes:
        issuer: Short name of who vouches (``local``, ``machine``, or as the broker's file has it).
        subject: Whom the issuer means; unique there and never given to another.
        roles: Held in the whole federation: PLANNER, OPERATOR, AUDITOR.
        projects: USER or LEAD, by project.
        sites: Sites that they administer.
        scopes: What a machine account's token is good for; None for no such bound.

    """

    issuer: str
    subject: str
    roles: frozenset[Role] = frozenset()
    projects: Mapping[str, Role] = field(default_factory=dict)
    sites: frozenset[SiteId] = frozenset()
    scopes: frozenset[str] | None = None

    @property
    def user(self) -> str:
        """The name that stands in jobs and lists: ``subject@issuer``, or a local account's own."""
        return self.subject if self.issuer == LOCAL else f"{self.subject}@{self.issuer}"
