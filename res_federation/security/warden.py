"""Measures every call of the users' port against the limits, after it is known who calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isawaitable
from typing import Any

import grpc
import structlog

from res_federation.errors import FederationError, Unauthenticated
from res_federation.security.caller import caller, permit
from res_federation.security.limits import Meter
from res_federation.security.ownership import project
from res_federation.security.peers import true_peer

log = structlog.get_logger(__name__)

_ONE = "/res_federation.api.v1.JobService/CreateJob"
_MANY = "/res_federation.api.v1.JobService/CreateJobs"

Refuse = Callable[[Any, FederationError], Awaitable[None]]


class Warden(grpc.aio.ServerInterceptor):
    """Refuses the calls of those who ask too much; the calls of others go on as ever."""

    def __init__(
        self,
        meter: Meter,
        now: Callable[[], float],
        refuse: Refuse,
        known: Callable[[str], None],
    ) -> None:
        """Ask *meter*; *refuse* ends a call with an error.

        *known* hears the peer of each call that has a good login.
        """
        self._meter, self._now, self._refuse, self._known = meter, now, refuse, known

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap the method that answers; no method, nothing to wrap."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method: str = handler_call_details.method
        parts = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streamed(method, handler.stream_stream), **parts
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._collected(method, handler.stream_unary), **parts
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streamed(method, handler.unary_stream), **parts
            )
        return grpc.unary_unary_rpc_method_handler(
            self._answered(method, handler.unary_unary), **parts
        )

    def _answered(self, method: str, answer: Any) -> Any:
        async def measured(request: Any, context: Any) -> Any:
            who = self._who(context)
            try:
                if method == _ONE:
                    self._meter.submissions(who, _project(request), 1, self._now())
                else:
                    self._meter.call(who, self._now())
            except FederationError as error:
                await self._tell(context, method, who, error)
            return await answer(request, context)

        return measured

    def _collected(self, method: str, answer: Any) -> Any:
        async def measured(requests: AsyncIterator[Any], context: Any) -> Any:
            who = self._who(context)
            try:
                self._meter.call(who, self._now())
                with self._meter.stream(who):
                    counted = self._chunks(who, requests) if method == _MANY else requests
                    return await answer(counted, context)
            except FederationError as error:
                await self._tell(context, method, who, error)

        return measured

    def _streamed(self, method: str, answer: Any) -> Any:
        async def measured(request: Any, context: Any) -> AsyncIterator[Any]:
            who = self._who(context)
            try:
                self._meter.call(who, self._now())
                with self._meter.stream(who):
                    answers = answer(request, context)
                    if isawaitable(answers):  # it writes by itself: gRPC's own health service
                        await answers
                        return
                    async for response in answers:
                        yield response
            except FederationError as error:
                await self._tell(context, method, who, error)

        return measured

    async def _chunks(self, who: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield the messages of a batch; each is counted before its jobs are looked at."""
        async for chunk in requests:
            for name, jobs in Counter(map(_project, chunk.requests)).items():
                self._meter.submissions(who, name, jobs, self._now())
            yield chunk

    def _who(self, context: Any) -> str:
        """Return whom a call counts for: the caller, or the address where nobody needs a login."""
        try:
            user = caller().user
        except Unauthenticated:
            return f"peer {true_peer(context.peer()).rpartition(':')[0]}"
        self._known(context.peer())
        return user

    async def _tell(self, context: Any, method: str, who: str, error: FederationError) -> None:
        log.warning("limited", call=method, actor=who, why=error.message)
        await self._refuse(context, error)  # raises: gRPC has its answer


def _project(request: Any) -> str:
    """Return the project that a job is for; "" for one that the service will refuse.

    Nobody uses up the rate of a project in which they are not.
    """
    try:
        return project(permit(), request.spec.project, "spec.project")
    except FederationError:
        return ""
