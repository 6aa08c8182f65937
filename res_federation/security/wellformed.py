"""Messages that are none of ours: refused by name, before anything reads them.

gRPC takes a message that it cannot read for a fault of the server, and logs it with its stack:
whoever sends garbage would fill the log, also without a login.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from res_federation.errors import FederationError, InvalidArgument
from res_federation.security.peers import true_peer

log = structlog.get_logger(__name__)

Refuse = Callable[[Any, FederationError], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Garbage:
    """What came in place of a message."""

    bytes: int


class WellFormed(grpc.aio.ServerInterceptor):
    """Stands before all others of a port, and lets nothing in that is no message of its call."""

    def __init__(self, refuse: Refuse) -> None:
        """End such calls by *refuse*."""
        self._refuse = refuse

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap what answers a call, if anything does."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        words = (_reading(handler.request_deserializer), handler.response_serializer)
        method: str = handler_call_details.method
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._answers(method, handler.stream_stream, many=True), *words
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._answer(method, handler.stream_unary, many=True), *words
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._answers(method, handler.unary_stream, many=False), *words
            )
        return grpc.unary_unary_rpc_method_handler(
            self._answer(method, handler.unary_unary, many=False), *words
        )

    def _answer(self, method: str, inner: Any, *, many: bool) -> Any:
        async def answer(asked: Any, context: Any) -> Any:
            try:
                return await inner(_each(asked) if many else _checked(asked), context)
            except InvalidArgument as error:
                await self._tell(method, context, error)

        return answer

    def _answers(self, method: str, inner: Any, *, many: bool) -> Any:
        async def answers(asked: Any, context: Any) -> AsyncIterator[Any]:
            try:
                found = inner(_each(asked) if many else _checked(asked), context)
                if isawaitable(found):  # it writes by itself: gRPC's own health service
                    await found
                    return
                async for one in found:
                    yield one
            except InvalidArgument as error:
                await self._tell(method, context, error)

        return answers

    async def _tell(self, method: str, context: Any, error: InvalidArgument) -> None:
        peer = true_peer(context.peer())
        log.warning("malformed", call=method, peer=peer, why=error.message)
        await self._refuse(context, error)


def _reading(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def deserialized(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _Garbage(len(data))

    return deserialized


def _checked(message: Any) -> Any:
    if isinstance(message, _Garbage):
        raise InvalidArgument(f"{message.bytes} bytes are no message of this call")
    return message


async def _each(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        yield _checked(message)
