"""What somebody with a verified token is here: by the broker's file, and by their projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from res_federation.model.identifiers import SiteId
from res_federation.model.issuers import Binding, Issuer
from res_federation.model.machine_account import MachineAccount
from res_federation.model.principal import Principal, Role

CLAIM_S = 30 * 86_400.0
"""So long a membership is believed that only a claim gives, without a login of who has it."""


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


def claimed(issuer: Issuer, claims: Mapping[str, Any], bindings: Sequence[Binding]) -> set[str]:
    """Return the projects of which a claim, and not their subject, makes somebody a member."""
    return {
        one.project
        for one in bindings
        if one.project and one.claim and one.holds(issuer.name, claims)
    }


def stands(
    account: MachineAccount, bindings: Sequence[Binding], memberships: Memberships, now: float
) -> bool:
    """Tell whether who made *account* is in its project at *now* (UTC seconds).

    The broker's own records and bindings of a subject are looked at as they are now. What only a
    claim of an issuer says is known when the maker comes: it counts from their newest login on,
    for `CLAIM_S`, as long as the binding is there.
    """
    subject, _, issuer = account.owner.rpartition("@")
    if account.project in memberships.of(issuer, subject):
        return True
    of_project = [
        one for one in bindings if one.issuer == issuer and one.project == account.project
    ]
    if any(one.subject == subject for one in of_project):
        return True
    by_claim = any(one.claim for one in of_project)
    return by_claim and account.seen > 0.0 and now - account.seen < CLAIM_S
