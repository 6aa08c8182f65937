"""Who makes the call that is being answered; asked before any service sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc
import structlog

from res_federation.errors import FederationError, Unauthenticated
from res_federation.model.principal import Principal
from res_federation.security.authenticator import Authenticator

log = structlog.get_logger(__name__)

_PUBLIC = frozenset(
    {
        "/res_federation.api.v1.EnrolmentService/GetAuthority",
        "/res_federation.api.v1.EnrolmentService/EnrolSite",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }
)
_caller: ContextVar[Principal] = ContextVar("caller")

Refuse = Callable[[Any, FederationError], Awaitable[None]]


def caller() -> Principal:
    """Return who makes the call that is being answered.

    Raises:
        Unauthenticated: In a call that anybody may make.

    """
    try:
        return _caller.get()
    except LookupError:
        raise Unauthenticated("nobody is logged in") from None


class Doorkeeper(grpc.aio.ServerInterceptor):
    """Lets nobody in whom the authenticator does not know."""

    def __init__(
        self, authenticator: Authenticator, now: Callable[[], float], refuse: Refuse
    ) -> None:
        """Ask *authenticator*; *refuse* ends a call with an error."""
        self._authenticator, self._now, self._refuse = authenticator, now, refuse

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Authenticate a call; one that is refused never reaches its service."""
        method = handler_call_details.method
        if method not in _PUBLIC:
            try:
                who = self._authenticator.principal(
                    handler_call_details.invocation_metadata, self._now()
                )
            except FederationError as error:
                log.warning("denied", call=method, why=error.message)
                return self._refusal(error)
            _caller.set(who)
        return await continuation(handler_call_details)

    def _refusal(self, error: FederationError) -> Any:
        async def refuse(request_iterator: Any, context: Any) -> Any:
            del request_iterator
            await self._refuse(context, error)
            yield b""  # an asynchronous generator: never reached

        return grpc.stream_stream_rpc_method_handler(refuse)
