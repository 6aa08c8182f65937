"""What somebody sees of a job, once the table lets the call through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import IntEnum

from res_federation.model.identifiers import SiteId
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.principal import Role
from res_federation.model.share import Share, ShareKind
from res_federation.model.visible import Visible
from res_federation.security.permissions import Permit, Scope
from res_federation.security.pseudonyms import Pseudonyms


class View(IntEnum):
    """How much of a job somebody sees; each holds what is before it."""

    NONE = 0
    """Not even whether it exists."""
    ANONYMISED = 1
    """What it asks for and how it went; no names, no words of people."""
    NAMED = 2
    """Its name and its user too."""
    WHOLE = 3
    """Its script and its output too."""


_USERS = (Role.USER, Role.LEAD)


def view(permit: Permit, job: Job, shares: Iterable[Share] = ()) -> View:
    """Return how much of *job*, which has *shares*, the holder of *permit* sees."""
    if permit.everything or mine(permit, job):
        return View.WHOLE
    through = _shared(permit)
    if any((share.kind, share.name) in through for share in shares):
        return View.WHOLE
    who, roles = permit.principal, permit.roles
    role = who.projects.get(job.spec.project) if job.spec.project else None
    found = View.NONE
    if role is not None and roles.get(role) is Scope.PROJECT:
        found = View.WHOLE if role is Role.LEAD else View.NAMED
    if Scope.ANY in roles.values():
        found = max(found, View.NAMED)
    if Scope.ANONYMISED in roles.values() or (Scope.SITE in roles.values() and _at(who.sites, job)):
        found = max(found, View.ANONYMISED)
    return found


def mine(permit: Permit, job: Job) -> bool:
    """Tell whether the holder submitted *job*, and may make the call about their own."""
    users = any(role in permit.roles for role in _USERS)
    return users and job.spec.user == permit.principal.user


def _shared(permit: Permit) -> frozenset[tuple[ShareKind, str]]:
    """Return what the holder is, as shares name it; nothing where the call does not count them."""
    who = permit.principal
    if not permit.shared:
        return frozenset()
    projects = {name for name, role in who.projects.items() if role in permit.shared}
    return frozenset(
        {(ShareKind.USER, who.user), *((ShareKind.PROJECT, name) for name in projects)}
    )


def _at(sites: frozenset[SiteId], job: Job) -> bool:
    return any(run.site in sites for run in job.runs[-1:])


def visible(permit: Permit) -> Visible:
    """Return which jobs the holder of *permit* finds in lists: those with a `view`."""
    who, roles = permit.principal, permit.roles
    scopes = frozenset(roles.values())
    return Visible(
        everything=permit.everything or Scope.ANY in scopes,
        user=who.user if any(role in roles for role in _USERS) else "",
        projects=frozenset(
            name for name, role in who.projects.items() if roles.get(role) is Scope.PROJECT
        ),
        shared=_shared(permit),
        anonymised=Scope.ANONYMISED in scopes,
        sites=who.sites if Scope.SITE in scopes else frozenset(),
    )


def seen(job: Job, how: View, pseudonyms: Pseudonyms) -> Job:
    """Return *job* as somebody with the view *how* sees it (never called with NONE)."""
    if how is View.WHOLE:
        return job
    spec = job.spec
    if how is View.NAMED:
        kept = JobSpec(
            name=spec.name, user=spec.user, script="", request=spec.request,
            time_limit_s=spec.time_limit_s, array=spec.array, project=spec.project,
        )  # fmt: skip
        return replace(job, spec=kept, runs=[_plain(run) for run in job.runs])
    kept = JobSpec(
        name=pseudonyms.of("job", spec.name), user=pseudonyms.of("user", spec.user), script="",
        request=spec.request, time_limit_s=spec.time_limit_s, array=spec.array,
        project=pseudonyms.of("project", spec.project) if spec.project else "",
    )  # fmt: skip
    # reasons are words of people and of sites: they may hold names
    return replace(job, spec=kept, reason="", runs=[_plain(run) for run in job.runs])


def _plain(run: Run) -> Run:
    tasks = tuple(replace(task, reason="", batch_id="") for task in run.tasks)
    return replace(run, reason="", tasks=tasks, script_sha256="", grant="")
