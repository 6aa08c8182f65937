"""Who may make which call: one table, and what is not in it nobody may.

A call that the table lets through may still be about an object that the caller may not see or
change: `sight` decides that, from the permit that the table gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from res_federation.model.principal import LOCAL, MACHINE, Principal, Role

API = "res_federation.api.v1"


class Scope(StrEnum):
    """About which objects somebody may make a call."""

    OWN = "own"
    """Their own."""
    PROJECT = "project"
    """Those of projects in which they have the role."""
    SITE = "site"
    """Those at the sites that they administer."""
    ANONYMISED = "anonymised"
    """All, without the names of people and things."""
    ANY = "any"
    """All."""


class Door(StrEnum):
    """How one comes to a call before roles are asked for."""

    ANYBODY = "anybody"
    """No login."""
    SIGNED_IN = "signed-in"
    """A login, whatever its roles."""
    ROLES = "roles"
    """A role that the table names."""
    AGENTS = "agents"
    """The agents' port, by a site's certificate; no person's login opens it."""
    CLOSED = "closed"
    """Nobody comes in: what a library offers and this broker does not serve."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the table.

    Attributes:
        door: What is asked for first.
        roles: Scope of each role that may make the call.
        shared: Of these the roles that may make it about jobs that were shared with who holds them.
        word: Scope that the token of a machine account must have; "" for none of them may.

    """

    door: Door
    roles: Mapping[Role, Scope] = field(default_factory=dict)
    shared: frozenset[Role] = frozenset()
    word: str = ""


_HEADS = (
    Role.USER, Role.LEAD, Role.SITE_ADMINISTRATOR, Role.PLANNER, Role.OPERATOR, Role.AUDITOR,
)  # fmt: skip
_SCOPES = {"-": None, **{str(scope): scope for scope in Scope}}

_SHARED = "shared"

SUBMIT, READ, CANCEL, OUTPUT, SITES = "submit", "read", "cancel", "output", "sites"
MACHINE_SCOPES = (SUBMIT, READ, CANCEL, OUTPUT, SITES)
"""What a machine account's token may be good for; each is a column word of the table."""

# "+shared": and jobs that were shared with who has the role, or with a project where they have it
# call, word of machine accounts, then: user, lead, site administrator, planner, operator, auditor
_ROLES = """
JobService/CreateJob                submit  project  project  -     -           -    -
JobService/CreateJobs               submit  project  project  -     -           -    -
JobService/DryRunJob                submit  project  project  -     -           -    -
JobService/GetJob                   read    project+shared  project+shared  site  anonymised  any  -
JobService/ListJobs                 read    project+shared  project+shared  site  anonymised  any  -
JobService/WatchJobs                read    project+shared  project+shared  site  anonymised  any  -
JobService/ExplainJob               read    project+shared  project+shared  site  anonymised  any  -
JobService/CancelJob                cancel  own      project  -     -           any  -
JobService/ReadOutput               output  own+shared      project+shared  -     -           -    -
JobService/ShareJob                 -       own      project  -     -           -    -
JobService/UnshareJob               -       own      project  -     -           -    -
SiteService/ListSites               sites   any      any      any   any         any  any
SiteService/GetSite                 sites   any      any      any   any         any  any
SiteService/WatchCapacity           sites   any      any      any   any         any  any
SiteService/DrainSite               -       -        -        site  -           any  -
SiteService/ResumeSite              -       -        -        site  -           any  -
EnrolmentService/CreateInvitation   -       -        -        site  -           any  -
EnrolmentService/ListCertificates   -       -        -        site  -           any  any
EnrolmentService/RevokeCertificates -       -        -        site  -           any  -
AuditService/ListEntries            -       -        -        -     -           any  any
AuditService/ExportEntries          -       -        -        -     -           any  any
IdentityService/CreateMachineToken  -       project  project  -     -           -    -
AccountingService/SavePool          -       -        -        -     -           any  -
AccountingService/ListPools         -       any      any      any   any         any  any
AccountingService/SaveProject       -       -        -        -     -           any  -
AccountingService/GetProject        read    project  project  -     -           any  any
AccountingService/ListProjects      read    project  project  -     -           any  any
AccountingService/SetMember         -       -        project  -     -           any  -
AccountingService/ListMembers       -       -        project  -     -           any  any
AccountingService/SaveGrant         -       -        -        -     -           any  -
AccountingService/CloseGrant        -       -        -        -     -           any  -
AccountingService/GetGrant          read    project  project  -     -           any  any
AccountingService/ListGrants        read    project  project  -     -           any  any
AccountingService/ListLedger        -       -        project  -     -           any  any
AccountingService/ImportUsage       -       -        -        -     -           any  -
AccountingService/ListExchange      -       -        -        site  -           any  any
AccountingService/RecordExchange    -       -        -        -     -           any  -
IdentityService/ListMachineTokens   -       own      project  -     -           any  -
IdentityService/RevokeMachineToken  -       own      project  -     -           any  -
"""


def _rules(lines: str) -> dict[str, Rule]:
    rules = {}
    for line in lines.split("\n"):
        if not line:
            continue
        call, word, *cells = line.split()
        given, shared = {}, set()
        for role, cell in zip(_HEADS, cells, strict=True):
            text, plus, more = cell.partition("+")
            scope = _SCOPES[text]
            if scope is not None:
                given[role] = scope
            if plus:
                assert more == _SHARED, f"'{more}' in the line of {call}"
                shared.add(role)
        machines = "" if word == "-" else word
        rules[f"/{API}.{call}"] = Rule(Door.ROLES, given, frozenset(shared), machines)
    return rules


TABLE: Mapping[str, Rule] = {
    **_rules(_ROLES),
    f"/{API}.IdentityService/WhoAmI": Rule(Door.SIGNED_IN),
    f"/{API}.AgentService/Connect": Rule(Door.AGENTS),
    f"/{API}.EnrolmentService/GetAuthority": Rule(Door.ANYBODY),
    # whoever enrols has no login yet: the one-time token in the request is what counts
    f"/{API}.EnrolmentService/EnrolSite": Rule(Door.ANYBODY),
    # the public key and what it signed hold nothing of anybody
    f"/{API}.AuditService/GetKey": Rule(Door.ANYBODY),
    f"/{API}.AuditService/GetHead": Rule(Door.SIGNED_IN),
    "/grpc.health.v1.Health/Check": Rule(Door.ANYBODY),
    "/grpc.health.v1.Health/Watch": Rule(Door.ANYBODY),
    "/grpc.health.v1.Health/List": Rule(Door.CLOSED),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(Door.SIGNED_IN),
}
"""Every call by its full name. Deny by default: there is no other way to be let in."""


def held(principal: Principal) -> frozenset[Role]:
    """Return every role that *principal* holds anywhere."""
    of_sites = {Role.SITE_ADMINISTRATOR} if principal.sites else set()
    return frozenset({*principal.roles, *principal.projects.values(), *of_sites})


@dataclass(frozen=True, slots=True)
class Permit:
    """That somebody may make a call, and about what.

    Attributes:
        principal: Who.
        roles: Scope by role; only roles that the principal holds.
        shared: Of these roles those with which jobs that were shared are seen too.
        everything: No bound at all: developer mode.

    """

    principal: Principal
    roles: Mapping[Role, Scope] = field(default_factory=dict)
    shared: frozenset[Role] = frozenset()
    everything: bool = False


def permit(principal: Principal, call: str) -> Permit | None:
    """Return what *principal* may make *call* (its full name) about; None for nothing.

    The local principal of developer mode may do all that the table knows.
    """
    rule = TABLE.get(call)
    if rule is None or rule.door in (Door.AGENTS, Door.CLOSED):
        return None
    if rule.door is not Door.ROLES:
        return Permit(principal)
    if principal.issuer == MACHINE and rule.word not in (principal.scopes or ()):
        return None
    if principal.issuer == LOCAL:
        return Permit(principal, everything=True)
    mine = held(principal)
    roles = {role: scope for role, scope in rule.roles.items() if role in mine}
    return Permit(principal, roles, rule.shared & mine) if roles else None
