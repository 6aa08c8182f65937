"""Who makes the call that is being answered, and whether they may: asked before any service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from res_federation.errors import FederationError, PermissionDenied
from res_federation.security.authenticator import Authenticator, Login
from res_federation.security.caller import Call, Denied, begin
from res_federation.security.peers import true_peer
from res_federation.security.permissions import TABLE, Door, permit
from res_federation.security.streams import OpenStreams
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
        streams: OpenStreams | None = None,
    ) -> None:
        """Ask *authenticator* and the table.

        Args:
            authenticator: Knows callers.
            now: Tells UTC seconds.
            refuse: Ends a call with an error.
            denied: Hears of each refusal, of services too.
            streams: Knows those that are open; told of what changes for their callers.

        """
        self._authenticator, self._now = authenticator, now
        self._refuse, self._denied = refuse, denied
        self._tarpit = Tarpit(now)
        self.streams = streams or OpenStreams(now)

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
            # once: gRPC leaves out the interceptors behind this one when it is asked again
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # there is no such call: gRPC says so
            found = permit(login.principal, method)
            call = Call(method, found, login, self._denied)
            begin(call)
            if found is None:
                raise PermissionDenied(
                    f"you may not call {method.rpartition('/')[2]}",
                    way_out="resfed whoami shows your roles",
                )
        except FederationError as error:
            return self._refusal(error)
        return self._kept(handler, call, login)

    def _refusal(self, error: FederationError) -> Any:
        async def refuse(request_iterator: Any, context: Any) -> Any:
            del request_iterator
            await self._tarpit.hold(true_peer(context.peer()))
            await self._refuse(context, error)
            yield b""  # an asynchronous generator: never reached

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _kept(self, handler: Any, call: Call, login: Login) -> Any:
        """Return *handler*; a stream of it ends when its caller may not have it any more."""
        if not (handler.request_streaming or handler.response_streaming):
            return handler
        words = (handler.request_deserializer, handler.response_serializer)
        if not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._collected(handler.stream_unary, call, login), *words
            )
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._answered(handler.stream_stream, call, login, hears=True), *words
            )
        return grpc.unary_stream_rpc_method_handler(
            self._answered(handler.unary_stream, call, login, hears=False), *words
        )

    def _collected(self, inner: Any, call: Call, login: Login) -> Any:
        async def unary(requests: AsyncIterator[Any], context: Any) -> Any:
            try:
                with self.streams.kept(call, login) as stream:
                    async with stream.within():
                        return await inner(stream.heard(requests), context)
            except FederationError as error:
                await self._refuse(context, error)

        return unary

    def _answered(self, inner: Any, call: Call, login: Login, *, hears: bool) -> Any:
        async def answers(asked: Any, context: Any) -> AsyncIterator[Any]:
            try:
                with self.streams.kept(call, login) as stream:
                    heard = stream.heard(asked) if hears else asked
                    async for answer in stream.said(inner(heard, context)):
                        yield answer
            except FederationError as error:
                await self._refuse(context, error)

        return answers
