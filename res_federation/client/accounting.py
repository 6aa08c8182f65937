"""Accounting for plain Python and for asyncio: `Federation.accounting`, and the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

import grpc

from res_federation.accounting.ledger import Entry
from res_federation.accounting.records import Grant, Membership, Pool, Project
from res_federation.api.v1 import accounting_pb2 as pb
from res_federation.api.v1.accounting_pb2_grpc import AccountingServiceStub
from res_federation.client.audit import AsyncCall, Call
from res_federation.control.events import Usage
from res_federation.wire import accounting as wire
from res_federation.wire.accounting import GrantView

T = TypeVar("T")
Question = tuple[str, Any, Callable[[Any], T]]
"""Which call, what is asked, and what is read of the answer."""


def _saved_pool(pool: Pool) -> Question[Pool]:
    request = pb.SavePoolRequest(pool=wire.pool_to_message(pool))
    return "SavePool", request, wire.pool_from_message


def _pools() -> Question[list[Pool]]:
    return "ListPools", pb.ListPoolsRequest(), lambda a: [*map(wire.pool_from_message, a.pools)]


def _saved_project(project: Project) -> Question[Project]:
    request = pb.SaveProjectRequest(project=wire.project_to_message(project))
    return "SaveProject", request, wire.project_from_message


def _project(project: str) -> Question[Project]:
    request = pb.GetProjectRequest(name=f"{wire.PROJECTS}{project}")
    return "GetProject", request, wire.project_from_message


def _projects() -> Question[list[Project]]:
    read = wire.project_from_message
    return "ListProjects", pb.ListProjectsRequest(), lambda a: [*map(read, a.projects)]


def _set_member(member: Membership) -> Question[Membership]:
    request = pb.SetMemberRequest(member=wire.member_to_message(member))
    return "SetMember", request, wire.member_from_message


def _members(project: str) -> Question[list[Membership]]:
    request = pb.ListMembersRequest(project=f"{wire.PROJECTS}{project}")
    return "ListMembers", request, lambda a: [*map(wire.member_from_message, a.members)]


def _saved_grant(grant: Grant) -> Question[GrantView]:
    request = pb.SaveGrantRequest(grant=wire.grant_to_message(grant))
    return "SaveGrant", request, wire.grant_view


def _closed_grant(grant: str) -> Question[GrantView]:
    return "CloseGrant", pb.CloseGrantRequest(name=f"{wire.GRANTS}{grant}"), wire.grant_view


def _grant(grant: str) -> Question[GrantView]:
    return "GetGrant", pb.GetGrantRequest(name=f"{wire.GRANTS}{grant}"), wire.grant_view


def _grants(project: str) -> Question[list[GrantView]]:
    request = pb.ListGrantsRequest(project=f"{wire.PROJECTS}{project}" if project else "")
    return "ListGrants", request, lambda a: [*map(wire.grant_view, a.grants)]


def _imported(usage: Sequence[Usage], *, dry_run: bool) -> Question[tuple[int, list[str]]]:
    request = pb.ImportUsageRequest(
        usage=[wire.usage_to_message(one) for one in usage], validate_only=dry_run
    )
    return "ImportUsage", request, lambda a: (a.charged, [*a.known])


def _balances(answer: pb.ListExchangeResponse) -> dict[str, int]:
    return {one.site.removeprefix(wire.SITES): one.units for one in answer.balances}


def _exchange() -> Question[dict[str, int]]:
    return "ListExchange", pb.ListExchangeRequest(), _balances


def _exchanged(giver: str, taker: str, units: int, note: str) -> Question[dict[str, int]]:
    request = pb.RecordExchangeRequest(
        giver=f"{wire.SITES}{giver}", taker=f"{wire.SITES}{taker}", units=units, note=note
    )
    return "RecordExchange", request, _balances


def _ledger(project: str, grant: str) -> pb.ListLedgerRequest:
    return pb.ListLedgerRequest(
        project=f"{wire.PROJECTS}{project}" if project else "",
        grant=f"{wire.GRANTS}{grant}" if grant else "",
    )


class Accounting:
    """Pools, projects, grants and the ledger. Every method raises `res_federation.errors`."""

    def __init__(self, channel: grpc.Channel, call: Call) -> None:
        """Ask through *channel*."""
        self._stub = AccountingServiceStub(channel)
        self._call = call

    def _ask(self, question: Question[T]) -> T:
        method, request, read = question
        return read(self._call(lambda s: getattr(self._stub, method)(request, timeout=s)))

    def save_pool(self, pool: Pool) -> Pool:
        """Make a pool, or change one."""
        return self._ask(_saved_pool(pool))

    def pools(self) -> list[Pool]:
        """Return all pools."""
        return self._ask(_pools())

    def save_project(self, project: Project) -> Project:
        """Make a project, or change one."""
        return self._ask(_saved_project(project))

    def project(self, project: str) -> Project:
        """Return a project."""
        return self._ask(_project(project))

    def projects(self) -> list[Project]:
        """Return the projects that one may see."""
        return self._ask(_projects())

    def set_member(self, member: Membership) -> Membership:
        """Let somebody belong to a project, or (without a role) not any more."""
        return self._ask(_set_member(member))

    def members(self, project: str) -> list[Membership]:
        """Return the members of a project."""
        return self._ask(_members(project))

    def save_grant(self, grant: Grant) -> GrantView:
        """Make a grant, or change the amounts and the period of one."""
        return self._ask(_saved_grant(grant))

    def close_grant(self, grant: str) -> GrantView:
        """Close a grant: the rest goes back to its pool."""
        return self._ask(_closed_grant(grant))

    def grant(self, grant: str) -> GrantView:
        """Return a grant with what is left of it."""
        return self._ask(_grant(grant))

    def grants(self, project: str = "") -> list[GrantView]:
        """Return the grants that one may see, of all projects or of one."""
        return self._ask(_grants(project))

    def import_usage(
        self, usage: Sequence[Usage], *, dry_run: bool = False
    ) -> tuple[int, list[str]]:
        """Charge use outside of the federation; return how many, and names of known ones."""
        return self._ask(_imported(usage, dry_run=dry_run))

    def exchange(self) -> dict[str, int]:
        """Return what members gave beyond what they took, in thousandths of units."""
        return self._ask(_exchange())

    def record_exchange(self, giver: str, taker: str, units: int, note: str = "") -> dict[str, int]:
        """Note what a member gave another outside of any run."""
        return self._ask(_exchanged(giver, taker, units, note))

    def entries(self, project: str = "", grant: str = "") -> Iterator[Entry]:
        """Yield entries of the ledger by number, page by page."""
        request = _ledger(project, grant)
        while True:
            answer = self._call(lambda s: self._stub.ListLedger(request, timeout=s))
            yield from map(wire.entry_from_message, answer.entries)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


class AsyncAccounting:
    """`Accounting` for asyncio, with the same words."""

    def __init__(self, channel: grpc.aio.Channel, call: AsyncCall) -> None:
        """Ask through *channel*."""
        self._stub: Any = AccountingServiceStub(channel)
        self._call = call

    async def _ask(self, question: Question[T]) -> T:
        method, request, read = question
        return read(await self._call(lambda s: getattr(self._stub, method)(request, timeout=s)))

    async def save_pool(self, pool: Pool) -> Pool:
        """Make a pool, or change one."""
        return await self._ask(_saved_pool(pool))

    async def pools(self) -> list[Pool]:
        """Return all pools."""
        return await self._ask(_pools())

    async def save_project(self, project: Project) -> Project:
        """Make a project, or change one."""
        return await self._ask(_saved_project(project))

    async def project(self, project: str) -> Project:
        """Return a project."""
        return await self._ask(_project(project))

    async def projects(self) -> list[Project]:
        """Return the projects that one may see."""
        return await self._ask(_projects())

    async def set_member(self, member: Membership) -> Membership:
        """Let somebody belong to a project, or (without a role) not any more."""
        return await self._ask(_set_member(member))

    async def members(self, project: str) -> list[Membership]:
        """Return the members of a project."""
        return await self._ask(_members(project))

    async def save_grant(self, grant: Grant) -> GrantView:
        """Make a grant, or change the amounts and the period of one."""
        return await self._ask(_saved_grant(grant))

    async def close_grant(self, grant: str) -> GrantView:
        """Close a grant: the rest goes back to its pool."""
        return await self._ask(_closed_grant(grant))

    async def grant(self, grant: str) -> GrantView:
        """Return a grant with what is left of it."""
        return await self._ask(_grant(grant))

    async def grants(self, project: str = "") -> list[GrantView]:
        """Return the grants that one may see, of all projects or of one."""
        return await self._ask(_grants(project))

    async def import_usage(
        self, usage: Sequence[Usage], *, dry_run: bool = False
    ) -> tuple[int, list[str]]:
        """Charge use outside of the federation; return how many, and names of known ones."""
        return await self._ask(_imported(usage, dry_run=dry_run))

    async def exchange(self) -> dict[str, int]:
        """Return what members gave beyond what they took, in thousandths of units."""
        return await self._ask(_exchange())

    async def record_exchange(
        self, giver: str, taker: str, units: int, note: str = ""
    ) -> dict[str, int]:
        """Note what a member gave another outside of any run."""
        return await self._ask(_exchanged(giver, taker, units, note))

    async def entries(self, project: str = "", grant: str = "") -> AsyncIterator[Entry]:
        """Yield entries of the ledger by number, page by page."""
        request = _ledger(project, grant)
        while True:
            answer = await self._call(lambda s: self._stub.ListLedger(request, timeout=s))
            for message in answer.entries:
                yield wire.entry_from_message(message)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token
