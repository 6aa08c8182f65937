"""`IdentityService`: who calls, and the tokens of machine accounts."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

import structlog

from res_federation.api.v1 import identity_pb2, identity_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.errors import InvalidArgument, NotFound, PermissionDenied
from res_federation.model.audit import AuditEntry
from res_federation.model.machine_account import MachineAccount
from res_federation.model.principal import MACHINE, Role
from res_federation.security.caller import caller, permit, present
from res_federation.security.machine import new_account, revoked, seen
from res_federation.security.ownership import project
from res_federation.security.permissions import Permit, Scope
from res_federation.wire.times import to_timestamp

log = structlog.get_logger(__name__)

_PREFIX = "machineTokens/"
_A_PAGE = 100
_MOST_A_PAGE = 1000


class IdentityService(identity_pb2_grpc.IdentityServiceServicer):
    """People come in here, to see who they are and to make tokens for their machines."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @answers.unary
    async def WhoAmI(  # noqa: N802
        self,
        request: identity_pb2.WhoAmIRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> identity_pb2.Caller:
        """Say who the caller is taken for."""
        who, call = caller(), present()
        until = call.login.expires if call is not None and call.login is not None else inf
        return identity_pb2.Caller(
            user=who.user,
            issuer=who.issuer,
            subject=who.subject,
            roles=sorted(who.roles),
            projects=[
                identity_pb2.ProjectRole(project=name, role=who.projects[name])
                for name in sorted(who.projects)
            ],
            sites=sorted(who.sites),
            scopes=sorted(who.scopes or ()),
            expire_time=to_timestamp(until) if isfinite(until) else None,
        )

    @answers.unary
    async def CreateMachineToken(  # noqa: N802
        self,
        request: identity_pb2.CreateMachineTokenRequest,
        context: Any,  # noqa: ARG002
    ) -> identity_pb2.MachineToken:
        """Make an account with its token, which is told this once."""
        now, call = self._federation.clock.now(), present()
        account, token = new_account(
            request.label,
            project(permit(), request.project, "project"),
            request.scopes,
            caller().user,
            now,
            request.lifetime.seconds + request.lifetime.nanos / 1e9,
        )
        if call is not None and call.login is not None and account.project in call.login.claimed:
            account = seen(account, member=True, now=now)
        await self._federation.store.machine_accounts.add(account)
        self._federation.machines.put(account)
        self._note("machine_token.create", account, now)
        return _message(account, token)

    @answers.unary
    async def ListMachineTokens(  # noqa: N802
        self,
        request: identity_pb2.ListMachineTokensRequest,
        context: Any,  # noqa: ARG002
    ) -> identity_pb2.ListMachineTokensResponse:
        """Return a page of those that the caller may see."""
        if not 0 <= request.page_size <= _MOST_A_PAGE:
            raise InvalidArgument(f"is not between 0 and {_MOST_A_PAGE}", field="page_size")
        mine, size = permit(), request.page_size or _A_PAGE
        found = [
            account
            for account in self._federation.machines.all()
            if account.id > request.page_token and _may(mine, account)
        ]
        page = found[:size]
        return identity_pb2.ListMachineTokensResponse(
            machine_tokens=[_message(account) for account in page],
            next_page_token=page[-1].id if len(page) < len(found) else "",
        )

    @answers.unary
    async def RevokeMachineToken(  # noqa: N802
        self,
        request: identity_pb2.RevokeMachineTokenRequest,
        context: Any,  # noqa: ARG002
    ) -> identity_pb2.MachineToken:
        """End a token at once; one that has ended already is returned as it is."""
        account = self._named(request.name)
        if account.revoked is None:
            now = self._federation.clock.now()
            ended = revoked(account, now)
            # memory first: from here on the token opens nothing, even if the disk is slow
            self._federation.machines.put(ended)
            self._federation.streams.look_again(f"{ended.id}@{MACHINE}")
            await self._federation.store.machine_accounts.revoke(ended.id, now)
            self._note("machine_token.revoke", ended, now)
            account = ended
        return _message(account)

    def _named(self, name: str) -> MachineAccount:
        """Return an account; who may not see it does not learn whether it is there."""
        mine, uid = permit(), name.removeprefix(_PREFIX)
        try:
            account = self._federation.machines.account(uid)
        except NotFound:
            if mine.everything or Scope.ANY in mine.roles.values():
                raise
            account = None
        if account is None or not _may(mine, account):
            raise PermissionDenied(
                f"machine account '{uid}' is not one that you may end", field="name",
                way_out="resfed admin token list",
            )  # fmt: skip
        return account

    def _note(self, act: str, account: MachineAccount, now: float) -> None:
        data = (("project", account.project), ("scopes", " ".join(account.scopes)))
        log.info(act, account=account.id, by=caller().user, project=account.project)
        self._federation.loop.note(
            AuditEntry(now, caller().user, act, account.id, "done", data=data)
        )


def _may(mine: Permit, account: MachineAccount) -> bool:
    who, roles = mine.principal, mine.roles
    if mine.everything or Scope.ANY in roles.values():
        return True
    leads = who.projects.get(account.project) is Role.LEAD and Role.LEAD in roles
    own = account.owner == who.user and (Role.USER in roles or Role.LEAD in roles)
    return leads or own


def _message(account: MachineAccount, token: str = "") -> identity_pb2.MachineToken:
    return identity_pb2.MachineToken(
        name=f"{_PREFIX}{account.id}",
        uid=account.id,
        label=account.label,
        project=account.project,
        scopes=account.scopes,
        owner=account.owner,
        create_time=to_timestamp(account.made),
        expire_time=to_timestamp(account.expires),
        revoke_time=None if account.revoked is None else to_timestamp(account.revoked),
        token=token,
    )
