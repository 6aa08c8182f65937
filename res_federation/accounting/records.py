"""Who may use which hours: pools, projects, members, grants. Frozen; times in UTC seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from res_federation.accounting.funds import UNLIMITED
from res_federation.errors import InvalidArgument
from res_federation.model.governance import is_jurisdiction
from res_federation.model.identifiers import PartitionId, word
from res_federation.model.principal import Role

LOCAL = "local"
"""Name of the pool, the project and the grant of developer mode."""
MOST = 1 << 53
"""Amounts stay below it: every tool that reads an export can hold them."""


class PoolKind(StrEnum):
    """Who gives the hours."""

    RES = "res"
    EUROHPC = "eurohpc"
    PORTUGAL = "portugal"
    INSTITUTION = "institution"
    AI_FACTORY = "ai-factory"
    CLOUD = "cloud"
    LOCAL = "local"


class AccessMode(StrEnum):
    """How an AI Factory gives access; NONE for other pools."""

    NONE = ""
    PLAYGROUND = "playground"
    FAST_LANE = "fast-lane"
    LARGE_SCALE = "large-scale"


@dataclass(frozen=True, slots=True)
class Pool:
    """Hours of one origin.

    Attributes:
        id: A lower-case word.
        kind: Who gives them.
        mode: How an AI Factory gives them.
        title: For people.

    """

    id: str
    kind: PoolKind
    mode: AccessMode = AccessMode.NONE
    title: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """People who work on one thing, and the hours that they share.

    Attributes:
        id: A lower-case word.
        title: For people.
        home: Member (site identifier) whose people they are, for the exchange; "" for none.
        closed: Whether it submits nothing any more.
        data_class: Class of its data, which binds each of its jobs; "" for none.
        jurisdictions: Only there may its data go; none for wherever the class may.

    """

    id: str
    title: str = ""
    home: str = ""
    closed: bool = False
    data_class: str = ""
    jurisdictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody belongs to a project.

    Attributes:
        project: Which.
        issuer: Who vouches for the member.
        subject: Whom that issuer means.
        role: USER or LEAD; None for one who left.

    """

    project: str
    issuer: str
    subject: str
    role: Role | None = Role.USER


@dataclass(frozen=True, slots=True)
class Grant:
    """Hours for one project on one machine in one period.

    Attributes:
        id: A lower-case word.
        project: Whose.
        pool: From which.
        machine: A site, ``site/cluster`` or a partition; "" for everywhere.
        begins: The first second in which it pays.
        ends: The first second in which it pays no more.
        core_s: Core-seconds in all, or UNLIMITED.
        accelerator_s: Accelerator-seconds in all, or UNLIMITED.
        priority: Class as RES has it: 0 for A, 1 for B, 2 for C…
        activity: Identifier of the activity, such as AECT-2025-2-0025, or "".
        closed: Whether it was closed before its end.

    """

    id: str
    project: str
    pool: str
    machine: str = ""
    begins: float = 0.0
    ends: float = 0.0
    core_s: int = 0
    accelerator_s: int = 0
    priority: int = 0
    activity: str = ""
    closed: bool = False

    def covers(self, partition: PartitionId) -> bool:
        """Tell whether it is for this partition."""
        machine = self.machine
        return not machine or partition == machine or partition.startswith(f"{machine}/")

    def valid(self, at: float) -> bool:
        """Tell whether it pays for what begins to exist at *at*."""
        return not self.closed and self.begins <= at < self.ends

    @property
    def letter(self) -> str:
        """Its class as people write it: A, B, C and so on."""
        return chr(ord("A") + self.priority)


def checked_project(project: Project) -> Project:
    """Return *project*; raises InvalidArgument."""
    word(project.id, "project")
    if project.home:
        word(project.home, "home")
    for one in project.jurisdictions:
        if not is_jurisdiction(one):
            raise InvalidArgument(
                f"{one[:60]!r} is no code of a country, nor 'EU'", field="jurisdictions",
                way_out="such as ES or ES,EU",
            )  # fmt: skip
    return project


def checked_pool(pool: Pool) -> Pool:
    """Return *pool*; raises InvalidArgument."""
    word(pool.id, "pool")
    if (pool.mode is not AccessMode.NONE) and pool.kind is not PoolKind.AI_FACTORY:
        raise InvalidArgument(
            f"a pool of kind {pool.kind} has no access mode", field="mode", way_out="leave it out"
        )
    return pool


def checked_membership(one: Membership) -> Membership:
    """Return *one*; raises InvalidArgument."""
    word(one.project, "project")
    if not one.subject or not one.issuer:
        raise InvalidArgument("a member has an issuer and a subject", field="subject")
    if one.role not in (None, Role.USER, Role.LEAD):
        raise InvalidArgument(
            f"'{one.role}' is no role in a project", field="role", way_out="user or project-lead"
        )
    return one


def checked_grant(grant: Grant) -> Grant:
    """Return *grant*; raises InvalidArgument."""
    word(grant.id, "grant")
    for part in grant.machine.split("/") if grant.machine else ():
        word(part, "machine")
    if grant.machine.count("/") > 2:
        raise InvalidArgument(
            f"'{grant.machine}' is neither a site, a cluster nor a partition",
            field="machine", way_out="such as csuc, csuc/pirineus3 or csuc/pirineus3/gpu",
        )  # fmt: skip
    if not grant.begins < grant.ends:
        raise InvalidArgument("is not after its beginning", field="ends")
    for name, amount in (("core_s", grant.core_s), ("accelerator_s", grant.accelerator_s)):
        if amount != UNLIMITED and not 0 <= amount < MOST:
            raise InvalidArgument(
                f"{amount} is not between 0 and {MOST - 1}",
                field=name, way_out=f"{UNLIMITED} for no bound",
            )  # fmt: skip
    if not 0 <= grant.priority < 26:
        raise InvalidArgument("a priority class is a letter from A to Z", field="priority")
    return grant
