"""Who the caller is taken for, and the tokens of machine accounts, from outside the broker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from res_federation.api.v1 import enrolment_pb2, enrolment_pb2_grpc, identity_pb2, identity_pb2_grpc
from res_federation.client.address import CHANNEL_OPTIONS
from res_federation.client.patience import Endurance
from res_federation.security.credentials import Credentials
from res_federation.security.flows import LoginAt
from res_federation.wire.status import from_rpc_error
from res_federation.wire.times import from_timestamp, to_duration

_CALL_S = 30.0
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class CallerView:
    """Who the broker takes the caller for.

    Attributes:
        user: As it stands in jobs.
        issuer: Short name of who vouches.
        subject: Whom the issuer means.
        roles: In the whole federation.
        projects: Role by project.
        sites: Administered.
        scopes: Of a machine account's token.
        expires: UTC seconds, None where the login has no end.

    """

    user: str
    issuer: str
    subject: str
    roles: tuple[str, ...]
    projects: dict[str, str]
    sites: tuple[str, ...]
    scopes: tuple[str, ...]
    expires: float | None


@dataclass(frozen=True, slots=True)
class MachineTokenView:
    """A token of a machine account; times are UTC seconds.

    Attributes:
        id: Of the account.
        label: What it is for.
        project: Whose jobs it submits and sees.
        scopes: What it is good for.
        owner: Who made it.
        made: When.
        expires: When it ends.
        revoked: When it was ended, or None.
        token: The token itself, where it was just made.

    """

    id: str
    label: str
    project: str
    scopes: tuple[str, ...]
    owner: str
    made: float
    expires: float
    revoked: float | None
    token: str


class IdentityClient:
    """The broker's `IdentityService`. Every method raises the classes of `errors`."""

    def __init__(self, address: str, credentials: Credentials) -> None:
        """Call the broker at *address* (``HOST:PORT``)."""
        self._address, self._credentials = address, credentials

    def whoami(self) -> CallerView:
        """Ask who the caller is taken for."""
        with self._stub() as stub:
            told = self._patient(stub.WhoAmI, identity_pb2.WhoAmIRequest())
        return CallerView(
            user=told.user,
            issuer=told.issuer,
            subject=told.subject,
            roles=tuple(told.roles),
            projects={one.project: one.role for one in told.projects},
            sites=tuple(told.sites),
            scopes=tuple(told.scopes),
            expires=from_timestamp(told.expire_time) if told.HasField("expire_time") else None,
        )

    def create_token(
        self, label: str, project: str, scopes: Iterable[str], lifetime_s: float = 0.0
    ) -> MachineTokenView:
        """Make a machine account; 0 seconds for the broker's default."""
        request = identity_pb2.CreateMachineTokenRequest(
            label=label, project=project, scopes=scopes
        )
        if lifetime_s:
            request.lifetime.CopyFrom(to_duration(lifetime_s))
        with self._stub() as stub:
            # the line stands before it is asked: asked twice, it would make two
            self._patient(stub.WhoAmI, identity_pb2.WhoAmIRequest())
            return _view(stub.CreateMachineToken(request, timeout=_CALL_S))

    def tokens(self) -> list[MachineTokenView]:
        """Return the machine accounts that the caller may see, ended ones too."""
        request = identity_pb2.ListMachineTokensRequest()
        found: list[MachineTokenView] = []
        with self._stub() as stub:
            while True:
                answer = self._patient(stub.ListMachineTokens, request)
                found += [_view(one) for one in answer.machine_tokens]
                if not answer.next_page_token:
                    return found
                request.page_token = answer.next_page_token

    def revoke_token(self, account: str) -> MachineTokenView:
        """End a token at once."""
        name = f"machineTokens/{account.removeprefix('machineTokens/')}"
        request = identity_pb2.RevokeMachineTokenRequest(name=name)
        with self._stub() as stub:
            return _view(self._patient(stub.RevokeMachineToken, request))

    def _patient(self, call: Any, request: Any) -> Any:
        return _asked(call, request, self._address)

    @contextmanager
    def _stub(self) -> Iterator[Any]:
        try:
            with self._credentials.channel(self._address, CHANNEL_OPTIONS) as channel:
                yield identity_pb2_grpc.IdentityServiceStub(channel)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._address) from None


def issuers(address: str, credentials: Credentials) -> list[LoginAt]:
    """Ask the broker at *address* where people log in; it needs no login itself."""
    try:
        with credentials.channel(address, CHANNEL_OPTIONS) as channel:
            stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
            told = _asked(stub.GetAuthority, enrolment_pb2.GetAuthorityRequest(), address)
    except grpc.RpcError as error:
        raise from_rpc_error(error, address) from None
    return [
        LoginAt(one.name, one.issuer, one.client_id, tuple(one.scopes), one.audience)
        for one in told.issuers
    ]


def _asked(call: Any, request: Any, address: str) -> Any:
    """Return the answer; a line that does not stand at once is tried again for a while."""
    endurance = Endurance(address, _PATIENCE_S, lambda: None)
    while True:
        try:
            return call(request, timeout=_CALL_S)
        except grpc.RpcError as error:
            time.sleep(endurance.pause_after(error, time.monotonic()))


def _view(one: identity_pb2.MachineToken) -> MachineTokenView:
    return MachineTokenView(
        id=one.uid,
        label=one.label,
        project=one.project,
        scopes=tuple(one.scopes),
        owner=one.owner,
        made=from_timestamp(one.create_time),
        expires=from_timestamp(one.expire_time),
        revoked=from_timestamp(one.revoke_time) if one.HasField("revoke_time") else None,
        token=one.token,
    )
