"""Whose a new thing is: said by the caller's login, never by what the request says."""

from __future__ import annotations

from dataclasses import replace

from res_federation.errors import InvalidArgument, PermissionDenied
from res_federation.model.identifiers import SiteId
from res_federation.model.job import JobSpec
from res_federation.model.principal import LOCAL
from res_federation.security.permissions import Permit, Scope


def owned(permit: Permit, spec: JobSpec) -> JobSpec:
    """Return *spec* as the caller's own, in a project in which they are.

    Raises:
        InvalidArgument: If it names no project, and they are in several.
        PermissionDenied: If they are in none, or not in the one that it names.

    """
    who = permit.principal
    return replace(
        spec,
        user=who.user,
        issuer=who.issuer,
        subject=who.subject,
        project=project(permit, spec.project, "spec.project"),
    )


def project(permit: Permit, asked: str, field: str) -> str:
    """Return the project that a request means: *asked*, or the caller's only one.

    Raises:
        InvalidArgument: If none is asked for, and the caller is in several.
        PermissionDenied: If the caller is in none, or not in that one.

    """
    if permit.everything:
        return asked or LOCAL
    mine = sorted(name for name, role in permit.principal.projects.items() if role in permit.roles)
    listed = f"yours: {', '.join(mine)}" if mine else "ask the lead of one to let you in"
    if not asked and len(mine) == 1:
        return mine[0]
    if not asked and mine:
        raise InvalidArgument("names no project, and you are in several", field=field,
                              way_out=listed)  # fmt: skip
    if asked not in mine:
        what = f"you are not in project '{asked}'" if asked else "you are in no project"
        raise PermissionDenied(what, field=field, way_out=listed)
    return asked


def administers(permit: Permit, site: SiteId) -> bool:
    """Tell whether the call may be about *site*."""
    scopes = permit.roles.values()
    own = Scope.SITE in scopes and site in permit.principal.sites
    return permit.everything or Scope.ANY in scopes or own


def everywhere(permit: Permit, way_out: str) -> str:
    """Return "" (no site in particular) if the call may be about all of them.

    Raises:
        PermissionDenied: If not.

    """
    if permit.everything or Scope.ANY in permit.roles.values():
        return ""
    raise PermissionDenied("you do not administer all sites", way_out=way_out)


def checked_site(permit: Permit, site: SiteId) -> SiteId:
    """Return *site* if the call may be about it, whether it exists or not.

    Raises:
        PermissionDenied: If not.

    """
    if administers(permit, site):
        return site
    mine = ", ".join(sorted(permit.principal.sites)) or "none"
    raise PermissionDenied(
        f"you do not administer site '{site}'", field="name", way_out=f"yours: {mine}"
    )
