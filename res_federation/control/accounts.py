"""What administrators do to the books, and what else they set: limits."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from res_federation.accounting import ledger, records
from res_federation.accounting.books import Books
from res_federation.accounting.ledger import Entry
from res_federation.control.effects import BooksChanged, Effect
from res_federation.control.events import (
    Exchanged,
    GrantClosed,
    GrantMade,
    LimitsSet,
    MembershipSet,
    PoolSaved,
    ProjectSaved,
    UsageImported,
)
from res_federation.control.recall import recall
from res_federation.control.residency import check_project, with_records
from res_federation.control.sites import member
from res_federation.control.state import FederationState
from res_federation.errors import FailedPrecondition, InvalidArgument, NotFound
from res_federation.model.identifiers import SiteId, site_id

Act = (
    PoolSaved
    | ProjectSaved
    | MembershipSet
    | GrantMade
    | GrantClosed
    | UsageImported
    | Exchanged
    | LimitsSet
)


def act(state: FederationState, event: Act) -> list[Effect]:
    """Do what an administrator asked.

    Raises:
        InvalidArgument: If a record is not well-formed.
        NotFound: If it names what does not exist.
        FailedPrecondition: If it would change what must stay.

    """
    books = state.books
    effect: BooksChanged | None
    match event:
        case PoolSaved():
            pool = records.checked_pool(event.pool)
            if books.pools.get(pool.id) == pool:
                return []
            books.pools[pool.id] = pool
            effect = BooksChanged("pool saved", event.at, event.by, pool=pool)
        case ProjectSaved():
            effect = _project(state, event)
        case MembershipSet():
            one = records.checked_membership(event.member)
            project_named(books, one.project)
            books.members[one.project, one.issuer, one.subject] = one
            effect = BooksChanged("member set", event.at, event.by, member=one)
        case GrantMade():
            effect = _grant(state, event)
        case GrantClosed():
            effect = _close(books, event)
        case UsageImported():
            effect = BooksChanged(
                "usage imported", event.at, event.by, entries=_usage(books, event)
            )
        case Exchanged():
            effect = BooksChanged("exchanged", event.at, event.by, entries=_exchange(state, event))
        case LimitsSet():
            state.terms = replace(state.terms, limits=event.limits)
            return []
        case _:
            assert_never(event)
    if effect is None:
        return []
    state.version += 1
    return [effect, *recall(state, event.at)]


def _project(state: FederationState, event: ProjectSaved) -> BooksChanged | None:
    """Make a project, or change one; None where it is so already."""
    project, books = records.checked_project(event.project), state.books
    if books.projects.get(project.id) == project:
        return None
    if project.home:
        member(state, SiteId(project.home))
    check_project(state.residency, project)
    books.projects[project.id] = project
    state.residency = with_records(state.residency, books.projects)
    return BooksChanged("project saved", event.at, event.by, project=project)


def project_named(books: Books, project: str) -> records.Project:
    """Return a project; raises NotFound."""
    found = books.projects.get(project)
    if found is None:
        raise NotFound(
            f"there is no project '{project}'", field="project", way_out="resfed project list"
        )
    return found


def grant_named(books: Books, grant: str) -> records.Grant:
    """Return a grant; raises NotFound."""
    found = books.grants.get(grant)
    if found is None:
        raise NotFound(f"there is no grant '{grant}'", field="grant", way_out="resfed grant list")
    return found


def _grant(state: FederationState, event: GrantMade) -> BooksChanged | None:
    """Make a grant, or change one; of one that exists project, pool and machine stay.

    None where it is so already: a file that is imported again posts nothing.
    """
    books, grant = state.books, records.checked_grant(event.grant)
    if books.grants.get(grant.id) == grant and not grant.closed:
        return None
    project_named(books, grant.project)
    if grant.pool not in books.pools:
        raise NotFound(f"there is no pool '{grant.pool}'", field="pool", way_out="resfed pool list")
    old = books.grants.get(grant.id)
    if grant.machine and old is None:
        _check_machine(state, grant)
    if old is not None:
        same = (old.project, old.pool, old.machine) == (grant.project, grant.pool, grant.machine)
        if not same or old.closed:
            raise FailedPrecondition(
                f"grant '{grant.id}' is {'closed' if old.closed else 'for another machine'}",
                field="grant", way_out="make a new grant",
            )  # fmt: skip
    books.put_grant(grant)
    kind = "granted" if old is None else "changed"
    state.books_turn = books.turns(event.at)
    entry = ledger.adjust(books, grant, event.at, kind)
    return BooksChanged(f"grant {kind}", event.at, event.by, grant=grant, entries=(entry,))


def _check_machine(state: FederationState, grant: records.Grant) -> None:
    """Check that a grant is for something that is there; raises NotFound."""
    site = member(state, site_id(grant.machine.split("/")[0], "machine"))
    reported = () if site.report is None else site.report.partitions
    parts = sorted({*site.declared, *(one.id for one in reported)})
    if parts and not any(map(grant.covers, parts)):
        raise NotFound(
            f"there is no '{grant.machine}' at {site.site.id}",
            field="machine", way_out=f"there are {', '.join(parts)}",
        )  # fmt: skip


def _close(books: Books, event: GrantClosed) -> BooksChanged:
    """Close a grant: the rest goes back to its pool, and its runs are settled as they end."""
    grant = grant_named(books, event.grant)
    if grant.closed:
        raise FailedPrecondition(f"grant '{grant.id}' is closed already", field="grant")
    grant = replace(grant, closed=True)
    books.put_grant(grant)
    entry = ledger.adjust(books, grant, event.at, "closed")
    return BooksChanged("grant closed", event.at, event.by, grant=grant, entries=(entry,))


def _usage(books: Books, event: UsageImported) -> tuple[Entry, ...]:
    """Charge usage that did not pass through the federation."""
    grants = [grant_named(books, one.grant) for one in event.usage]
    for one in event.usage:
        if not one.once or one.core_s < 0 or one.accelerator_s < 0:
            raise InvalidArgument(
                f"usage '{one.once}' has no name of its own, or a negative amount", field="usage"
            )
    return tuple(
        ledger.charge(
            books, grant, (one.core_s, one.accelerator_s), event.at, once=one.once, note=one.note
        )
        for grant, one in zip(grants, event.usage, strict=True)
    )


def _exchange(state: FederationState, event: Exchanged) -> tuple[Entry, ...]:
    """Note what a member gave another outside of any run."""
    giver, taker = member(state, event.giver).site.id, member(state, event.taker).site.id
    if giver == taker:
        raise InvalidArgument(f"'{taker}' gives itself nothing", field="taker")
    if event.units <= 0:
        raise InvalidArgument("is not more than nothing", field="units")
    entry = ledger.exchange(state.books, giver, taker, event.units, event.at, note=event.note)
    return (entry,)
