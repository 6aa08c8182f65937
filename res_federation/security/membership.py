"""What somebody with a verified token is here: by the broker's file, and by their projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from res_federation.model.identifiers import SiteId
from res_federation.model.issuers import Binding, Issuer
from res_federation.model.principal import Principal, Role


class Memberships(Protocol):
    """Who keeps the members of projects."""

    def of(self, issuer: str, subject: str) -> Mapping[str, Role]:
        """Return USER or LEAD, by project."""
        ...


class NoMemberships:
    """Nobody keeps them: bindings alone say who is where."""

    def of(self, issuer: str, subject: str) -> Mapping[str, Role]:  # noqa: ARG002 - the protocol's
        """Return none."""
        return {}


def principal_of(
    issuer: Issuer,
    claims: Mapping[str, Any],
    bindings: Sequence[Binding],
    memberships: Memberships,
) -> Principal:
    """Return who has the (verified) *claims* of *issuer*, and what bindings and projects give."""
    subject = claims["sub"]
    projects = dict(memberships.of(issuer.name, subject))
    roles, sites = set(), set()
    for binding in bindings:
        if not binding.holds(issuer.name, claims):
            continue
        if binding.role is Role.SITE_ADMINISTRATOR:
            sites.add(SiteId(binding.site))
        elif binding.role in (Role.USER, Role.LEAD):
            if projects.get(binding.project) is not Role.LEAD:
                projects[binding.project] = binding.role
        else:
            roles.add(binding.role)
    return Principal(
        issuer.name, subject, roles=frozenset(roles), projects=projects, sites=frozenset(sites)
    )
