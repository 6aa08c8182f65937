"""`AccountingService`: who may use which hours, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from res_federation.accounting import exchange
from res_federation.accounting.books import Books
from res_federation.accounting.records import Grant
from res_federation.api.v1 import accounting_pb2 as pb
from res_federation.api.v1 import accounting_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.control.accounts import grant_named, project_named
from res_federation.control.events import (
    RUN,
    Event,
    Exchanged,
    GrantClosed,
    GrantMade,
    MembershipSet,
    PoolSaved,
    ProjectSaved,
    UsageImported,
)
from res_federation.errors import InvalidArgument, PermissionDenied
from res_federation.model.identifiers import RunToken, is_run_token, site_id
from res_federation.security.caller import permit
from res_federation.security.permissions import Permit, Scope
from res_federation.store.ledger import MOST_A_PAGE, EntryFilter
from res_federation.wire import accounting as wire

_MOST_IMPORTED = 50_000
"""Uses in one call."""


def _all(mine: Permit) -> bool:
    return mine.everything or Scope.ANY in mine.roles.values()


def _sees(mine: Permit, project: str) -> bool:
    """Tell whether the call may be about *project*."""
    role = mine.principal.projects.get(project)
    return _all(mine) or (role is not None and mine.roles.get(role) is Scope.PROJECT)


def _checked(mine: Permit, project: str) -> str:
    """Return *project* if the call may be about it, whether it exists or not."""
    if not _sees(mine, project):
        own = sorted(one for one in mine.principal.projects if _sees(mine, one))
        raise PermissionDenied(
            f"you may not do this for project '{project}'",
            field="project", way_out=f"yours: {', '.join(own) or 'none'}",
        )  # fmt: skip
    return project


class AccountingService(accounting_pb2_grpc.AccountingServiceServicer):
    """Operators, leads, users and auditors come in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @property
    def _books(self) -> Books:
        return self._federation.state.books

    @property
    def _now(self) -> float:
        return self._federation.clock.now()

    async def _post(self, event: Event) -> None:
        await self._federation.loop.post(event)

    @answers.unary
    async def SavePool(self, request: pb.SavePoolRequest, context: Any) -> pb.Pool:  # noqa: N802, ARG002
        """Make a pool, or change one."""
        mine = permit()
        pool = wire.pool_from_message(request.pool)
        await self._post(PoolSaved(self._now, pool, mine.principal.user))
        return wire.pool_to_message(self._books.pools[pool.id])

    @answers.unary
    async def ListPools(  # noqa: N802
        self,
        request: pb.ListPoolsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListPoolsResponse:
        """Return all pools."""
        pools = [wire.pool_to_message(one) for _, one in sorted(self._books.pools.items())]
        return pb.ListPoolsResponse(pools=pools)

    @answers.unary
    async def SaveProject(self, request: pb.SaveProjectRequest, context: Any) -> pb.Project:  # noqa: N802, ARG002
        """Make a project, or change one."""
        mine = permit()
        project = wire.project_from_message(request.project)
        await self._post(ProjectSaved(self._now, project, mine.principal.user))
        return wire.project_to_message(self._books.projects[project.id])

    @answers.unary
    async def GetProject(self, request: pb.GetProjectRequest, context: Any) -> pb.Project:  # noqa: N802, ARG002
        """Return one project."""
        mine = permit()
        name = _checked(mine, request.name.removeprefix(wire.PROJECTS))
        return wire.project_to_message(project_named(self._books, name))

    @answers.unary
    async def ListProjects(  # noqa: N802
        self,
        request: pb.ListProjectsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListProjectsResponse:
        """Return the projects that the caller may see."""
        mine = permit()
        found = [one for name, one in sorted(self._books.projects.items()) if _sees(mine, name)]
        return pb.ListProjectsResponse(projects=[wire.project_to_message(one) for one in found])

    @answers.unary
    async def SetMember(self, request: pb.SetMemberRequest, context: Any) -> pb.Member:  # noqa: N802, ARG002
        """Let somebody belong to a project, in another role, or not any more."""
        mine = permit()
        member = wire.member_from_message(request.member)
        _checked(mine, member.project)
        await self._post(MembershipSet(self._now, member, mine.principal.user))
        return wire.member_to_message(member)

    @answers.unary
    async def ListMembers(  # noqa: N802
        self,
        request: pb.ListMembersRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListMembersResponse:
        """Return the members of a project."""
        mine = permit()
        project = _checked(mine, request.project.removeprefix(wire.PROJECTS))
        project_named(self._books, project)
        found = [
            one
            for key, one in sorted(self._books.members.items())
            if key[0] == project and one.role is not None
        ]
        return pb.ListMembersResponse(members=[wire.member_to_message(one) for one in found])

    @answers.unary
    async def SaveGrant(self, request: pb.SaveGrantRequest, context: Any) -> pb.Grant:  # noqa: N802, ARG002
        """Make a grant, or change one."""
        mine = permit()
        grant = wire.grant_from_message(request.grant)
        if grant.closed:
            raise InvalidArgument("close it with CloseGrant", field="closed")
        await self._post(GrantMade(self._now, grant, mine.principal.user))
        return self._grant(self._books.grants[grant.id])

    @answers.unary
    async def CloseGrant(self, request: pb.CloseGrantRequest, context: Any) -> pb.Grant:  # noqa: N802, ARG002
        """Close a grant: the rest goes back to its pool."""
        mine = permit()
        name = request.name.removeprefix(wire.GRANTS)
        await self._post(GrantClosed(self._now, name, mine.principal.user))
        return self._grant(self._books.grants[name])

    @answers.unary
    async def GetGrant(self, request: pb.GetGrantRequest, context: Any) -> pb.Grant:  # noqa: N802, ARG002
        """Return a grant with what is left of it."""
        mine = permit()
        return self._grant(self._seen_grant(mine, request.name.removeprefix(wire.GRANTS)))

    @answers.unary
    async def ListGrants(  # noqa: N802
        self,
        request: pb.ListGrantsRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListGrantsResponse:
        """Return the grants that the caller may see, each with what is left of it."""
        mine = permit()
        project = request.project.removeprefix(wire.PROJECTS)
        if project:
            project_named(self._books, _checked(mine, project))
        found = [
            one
            for _, one in sorted(self._books.grants.items())
            if _sees(mine, one.project) and project in ("", one.project)
        ]
        return pb.ListGrantsResponse(grants=[self._grant(one) for one in found])

    @answers.unary
    async def ListLedger(  # noqa: N802
        self,
        request: pb.ListLedgerRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListLedgerResponse:
        """Return entries by number; a page token is the number after which to go on."""
        mine = permit()
        if not 0 <= request.page_size <= MOST_A_PAGE:
            raise InvalidArgument(f"is not between 0 and {MOST_A_PAGE}", field="page_size")
        if request.page_token and not request.page_token.isdecimal():
            raise InvalidArgument("is not from an answer", field="page_token")
        project, grant = (
            request.project.removeprefix(wire.PROJECTS),
            request.grant.removeprefix(wire.GRANTS),
        )
        if grant:
            self._seen_grant(mine, grant)
        elif project or not _all(mine):
            project_named(self._books, _checked(mine, project))
        size = request.page_size or MOST_A_PAGE
        wanted = EntryFilter((grant,) if grant else (), project, int(request.page_token or 0))
        found = await self._federation.store.entries(wanted, size + 1)
        page = found[:size]
        return pb.ListLedgerResponse(
            entries=[wire.entry_to_message(one) for one in page],
            next_page_token=str(page[-1].number) if len(found) > size else "",
        )

    @answers.unary
    async def ImportUsage(  # noqa: N802
        self,
        request: pb.ImportUsageRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ImportUsageResponse:
        """Charge use that did not pass through the federation, each once in all time."""
        mine = permit()
        if len(request.usage) > _MOST_IMPORTED:
            raise InvalidArgument(
                f"{len(request.usage)} uses in one call",
                field="usage", way_out=f"give at most {_MOST_IMPORTED}",
            )  # fmt: skip
        usage = {one.once: wire.usage_from_message(one) for one in request.usage}
        for one in usage.values():
            grant_named(self._books, one.grant)
        known = await self._federation.store.posted_once(usage)
        known |= await self._own_runs(usage)
        fresh = tuple(one for once, one in usage.items() if once not in known)
        if fresh and not request.validate_only:
            await self._post(UsageImported(self._now, fresh, mine.principal.user))
        return pb.ImportUsageResponse(charged=len(fresh), known=sorted(known))

    async def _own_runs(self, names: Iterable[str]) -> set[str]:
        """Return those names of uses that are runs of this federation: they are in its ledger."""
        runs = {one.removeprefix(RUN) for one in names if one.startswith(RUN)}
        tokens = [RunToken(one) for one in runs if is_run_token(one)]
        strangers = await self._federation.never_seen(tokens)
        return {f"{RUN}{one}" for one in tokens if one not in strangers}

    @answers.unary
    async def ListExchange(  # noqa: N802
        self,
        request: pb.ListExchangeRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListExchangeResponse:
        """Return the balances of the members that the caller may see."""
        mine = permit()
        return self._exchange(mine)

    @answers.unary
    async def RecordExchange(  # noqa: N802
        self,
        request: pb.RecordExchangeRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListExchangeResponse:
        """Note what a member gave another outside of any run."""
        mine = permit()
        giver = site_id(request.giver.removeprefix(wire.SITES), "giver")
        taker = site_id(request.taker.removeprefix(wire.SITES), "taker")
        event = Exchanged(self._now, giver, taker, request.units, request.note, mine.principal.user)
        await self._post(event)
        return self._exchange(mine)

    def _exchange(self, mine: Permit) -> pb.ListExchangeResponse:
        found = exchange.balances(self._books)
        return pb.ListExchangeResponse(
            balances=[
                pb.ExchangeBalance(site=f"{wire.SITES}{site}", units=found.get(site, 0))
                for site in self._federation.state.sites
                if _all(mine) or site in mine.principal.sites
            ]
        )

    def _seen_grant(self, mine: Permit, name: str) -> Grant:
        """Return a grant that the caller may see; whether another exists is not told."""
        found = self._books.grants.get(name)
        if not _sees(mine, "" if found is None else found.project):
            raise PermissionDenied(f"you may not see grant '{name}'", field="grant")
        return grant_named(self._books, name)

    def _grant(self, grant: Grant) -> pb.Grant:
        return wire.grant_to_message(grant, self._books.accounts_of(grant.id))
