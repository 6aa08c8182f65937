"""Records of the accounting as messages and back."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.accounting.books import AVAILABLE, NOTHING, RESERVED, USED, Balance
from res_federation.accounting.ledger import Entry, Line
from res_federation.accounting.records import (
    AccessMode,
    Grant,
    Membership,
    Pool,
    PoolKind,
    Project,
)
from res_federation.api.v1 import accounting_pb2 as pb
from res_federation.control.events import Usage
from res_federation.errors import InvalidArgument
from res_federation.model.principal import Role
from res_federation.wire.times import from_timestamp, to_timestamp

PROJECTS, POOLS, GRANTS, SITES = "projects/", "pools/", "grants/", "sites/"


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant with what became of it.

    Attributes:
        grant: The grant.
        available: Core- and accelerator-seconds that are left.
        reserved: Set aside for runs that have not ended.
        used: What was used.

    """

    grant: Grant
    available: tuple[int, int]
    reserved: tuple[int, int]
    used: tuple[int, int]


def pool_to_message(pool: Pool) -> pb.Pool:
    """Return the message of a pool."""
    return pb.Pool(
        name=f"{POOLS}{pool.id}", kind=str(pool.kind), mode=str(pool.mode), title=pool.title
    )


def pool_from_message(message: pb.Pool) -> Pool:
    """Return a pool; raises InvalidArgument."""
    return Pool(
        message.name.removeprefix(POOLS), _kind(message.kind), _mode(message.mode), message.title
    )


def _kind(text: str) -> PoolKind:
    try:
        return PoolKind(text)
    except ValueError:
        known = ", ".join(PoolKind)
        raise InvalidArgument(
            f"'{text}' is no kind of pool", field="kind", way_out=f"one of {known}"
        ) from None


def _mode(text: str) -> AccessMode:
    try:
        return AccessMode(text)
    except ValueError:
        known = ", ".join(one for one in AccessMode if one)
        raise InvalidArgument(
            f"'{text}' is no access mode", field="mode", way_out=f"one of {known}"
        ) from None


def project_to_message(project: Project) -> pb.Project:
    """Return the message of a project."""
    return pb.Project(
        name=f"{PROJECTS}{project.id}", title=project.title, home=project.home,
        closed=project.closed, data_class=project.data_class, jurisdictions=project.jurisdictions,
    )  # fmt: skip


def project_from_message(message: pb.Project) -> Project:
    """Return a project."""
    name = message.name.removeprefix(PROJECTS)
    return Project(
        name, message.title, message.home, message.closed, message.data_class,
        tuple(message.jurisdictions),
    )  # fmt: skip


def member_to_message(one: Membership) -> pb.Member:
    """Return the message of a membership."""
    return pb.Member(
        project=f"{PROJECTS}{one.project}", issuer=one.issuer, subject=one.subject,
        role=str(one.role or ""),
    )  # fmt: skip


def member_from_message(message: pb.Member) -> Membership:
    """Return a membership; raises InvalidArgument."""
    try:
        role = Role(message.role) if message.role else None
    except ValueError:
        raise InvalidArgument(
            f"'{message.role}' is no role", field="role", way_out="user or project-lead"
        ) from None
    project = message.project.removeprefix(PROJECTS)
    return Membership(project, message.issuer, message.subject, role)


def grant_to_message(grant: Grant, parts: dict[str, Balance] | None = None) -> pb.Grant:
    """Return the message of a grant, with its balances where they are given."""
    message = pb.Grant(
        name=f"{GRANTS}{grant.id}", project=f"{PROJECTS}{grant.project}",
        pool=f"{POOLS}{grant.pool}", machine=grant.machine,
        begin_time=to_timestamp(grant.begins), end_time=to_timestamp(min(grant.ends, _LAST)),
        core_seconds=grant.core_s, accelerator_seconds=grant.accelerator_s,
        priority=grant.priority, activity=grant.activity, closed=grant.closed,
    )  # fmt: skip
    if parts is not None:
        message.available.CopyFrom(_amount(parts.get(AVAILABLE, NOTHING)))
        message.reserved.CopyFrom(_amount(parts.get(RESERVED, NOTHING)))
        message.used.CopyFrom(_amount(parts.get(USED, NOTHING)))
    return message


_LAST = 253_402_300_799.0
"""The end of the year 9999: a Timestamp has nothing after it."""


def _amount(balance: Balance) -> pb.Amount:
    return pb.Amount(core_seconds=balance[0], accelerator_seconds=balance[1])


def grant_from_message(message: pb.Grant) -> Grant:
    """Return a grant."""
    return Grant(
        message.name.removeprefix(GRANTS), message.project.removeprefix(PROJECTS),
        message.pool.removeprefix(POOLS), message.machine, from_timestamp(message.begin_time),
        from_timestamp(message.end_time), message.core_seconds, message.accelerator_seconds,
        message.priority, message.activity, message.closed,
    )  # fmt: skip


def grant_view(message: pb.Grant) -> GrantView:
    """Return a grant with its balances."""
    available, reserved, used = (
        (one.core_seconds, one.accelerator_seconds)
        for one in (message.available, message.reserved, message.used)
    )
    return GrantView(grant_from_message(message), available, reserved, used)


def entry_to_message(entry: Entry) -> pb.Entry:
    """Return the message of an entry."""
    return pb.Entry(
        number=entry.number, post_time=to_timestamp(entry.at), kind=entry.kind,
        grant=f"{GRANTS}{entry.grant}" if entry.grant else "",
        project=f"{PROJECTS}{entry.project}" if entry.project else "", run=entry.run,
        once=entry.once, note=entry.note,
        lines=[
            pb.Line(account=one.account, core_seconds=one.core_s,
                    accelerator_seconds=one.accelerator_s, units=one.units)
            for one in entry.lines
        ],
    )  # fmt: skip


def entry_from_message(message: pb.Entry) -> Entry:
    """Return an entry."""
    lines = tuple(
        Line(one.account, one.core_seconds, one.accelerator_seconds, one.units)
        for one in message.lines
    )
    return Entry(
        message.number, from_timestamp(message.post_time), message.kind,
        message.grant.removeprefix(GRANTS), message.project.removeprefix(PROJECTS), message.run,
        lines, message.once, message.note,
    )  # fmt: skip


def usage_to_message(use: Usage) -> pb.Usage:
    """Return the message of use outside of the federation."""
    return pb.Usage(
        grant=f"{GRANTS}{use.grant}", once=use.once, core_seconds=use.core_s,
        accelerator_seconds=use.accelerator_s, note=use.note,
    )  # fmt: skip


def usage_from_message(message: pb.Usage) -> Usage:
    """Return use outside of the federation."""
    return Usage(
        message.grant.removeprefix(GRANTS), message.once, message.core_seconds,
        message.accelerator_seconds, message.note,
    )  # fmt: skip
