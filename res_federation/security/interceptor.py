"""Who makes the call that is being answered, and whether they may: asked before any service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from res_federation.errors import FederationError, PermissionDenied, Unauthenticated
from res_federation.security.authenticator import Authenticator, Login
from res_federation.security.caller import Call, Denied, begin
from res_federation.security.permissions import TABLE, Door, permit
from res_federation.security.tarpit import Tarpit

Refuse = Callable[[Any, FederationError], Awaitable[None]]


class Doorkeeper(grpc.aio.ServerInterceptor):
    """Lets a call in if its caller is known and the table has it for them; else it is denied."""

    def __init__(
        self,
        authenticator: Authenticator,
        now: Callable[[], float],
        refuse: Refuse,
        denied: Denied,
    ) -> None:
        """Ask *authenticator* and the table.

        Args:
            authenticator: Knows callers.
            now: Tells UTC seconds.
            refuse: Ends a call with an error.
            denied: Hears of each refusal, of services too.

        """
        self._authenticator, self._now = authenticator, now
        self._refuse, self._denied = refuse, denied
        self._tarpit = Tarpit(now)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Authenticate a call and look into the table; one that is refused reaches no service."""
        method = handler_call_details.method
        rule = TABLE.get(method)
        begin(Call(method, denied=self._denied))
        if rule is not None and rule.door is Door.ANYBODY:
            return await continuation(handler_call_details)
        try:
            login = await self._authenticator.login(
                handler_call_details.invocation_metadata, self._now()
            )
            if await continuation(handler_call_details) is None:
                return None  # there is no such call: gRPC says so
            found = permit(login.principal, method)
            begin(Call(method, found, login, self._denied))
            if found is None:
                raise PermissionDenied(
                    f"you may not call {method.rpartition('/')[2]}",
                    way_out="resfed whoami shows your roles",
                )
        except FederationError as error:
            return self._refusal(error)
        return self._watched(await continuation(handler_call_details), login)

    def _refusal(self, error: FederationError) -> Any:
        async def refuse(request_iterator: Any, context: Any) -> Any:
            del request_iterator
            await self._tarpit.hold(context.peer())
            await self._refuse(context, error)
            yield b""  # an asynchronous generator: never reached

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _watched(self, handler: Any, login: Login) -> Any:
        """Return *handler*; a stream of it ends when the login does."""
        if handler is None or not (handler.request_streaming or handler.response_streaming):
            return handler
        words = (handler.request_deserializer, handler.response_serializer)
        if not handler.response_streaming:
            inner = handler.stream_unary

            async def unary(requests: AsyncIterator[Any], context: Any) -> Any:
                return await inner(self._while_it_holds(requests, login), context)

            return grpc.stream_unary_rpc_method_handler(unary, *words)
        if handler.request_streaming:
            both = handler.stream_stream
            return grpc.stream_stream_rpc_method_handler(
                self._ending(
                    lambda asked, context: both(self._while_it_holds(asked, login), context), login
                ),
                *words,
            )
        return grpc.unary_stream_rpc_method_handler(
            self._ending(handler.unary_stream, login), *words
        )

    def _ending(self, inner: Callable[[Any, Any], AsyncIterator[Any]], login: Login) -> Any:
        async def stream(asked: Any, context: Any) -> AsyncIterator[Any]:
            try:
                async for answer in self._while_it_holds(inner(asked, context), login):
                    yield answer
            except FederationError as error:
                await self._refuse(context, error)

        return stream

    async def _while_it_holds(
        self, messages: AsyncIterator[Any], login: Login
    ) -> AsyncIterator[Any]:
        async for message in messages:
            if not login.holds(self._now()):
                raise Unauthenticated("the login is over", way_out="resfed login")
            yield message
