"""Turns a `FederationError` that a method raises into a rich status, once, for every method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from grpc_status import rpc_status

from res_federation.errors import FederationError
from res_federation.security.caller import present
from res_federation.security.peers import true_peer
from res_federation.wire.status import to_status

Servicer = TypeVar("Servicer")
Request = TypeVar("Request")
Response = TypeVar("Response")
Context = Any
"""grpc.aio's context; mypy-protobuf's generated one is private."""


async def refuse(context: Context, error: FederationError) -> None:
    """End a call with *error* as its rich status; raises gRPC's own way out of a handler."""
    call = present()
    if call is not None:
        call.denied(call, error, true_peer(context.peer()))
    # aio's context has no abort_with_status: the status travels as its trailing metadata.
    status = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def unary(
    method: Callable[[Servicer, Request, Context], Awaitable[Response]],
) -> Callable[[Servicer, Request, Context], Awaitable[Response]]:
    """Guard a method that answers once."""

    @wraps(method)
    async def guarded(self: Servicer, request: Request, context: Context) -> Response:
        try:
            return await method(self, request, context)
        except FederationError as error:
            await refuse(context, error)
            raise AssertionError("abort raises") from error

    return guarded


def stream(
    method: Callable[[Servicer, Request, Context], AsyncIterator[Response]],
) -> Callable[[Servicer, Request, Context], AsyncIterator[Response]]:
    """Guard a method that answers with a stream."""

    @wraps(method)
    async def guarded(
        self: Servicer, request: Request, context: Context
    ) -> AsyncIterator[Response]:
        try:
            async for response in method(self, request, context):
                yield response
        except FederationError as error:
            await refuse(context, error)

    return guarded
