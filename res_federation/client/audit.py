"""The audit log for auditors: `Federation.audit` and `FederationClient.audit`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol, TypeVar

import grpc

from res_federation.api.v1 import audit_pb2
from res_federation.api.v1.audit_pb2_grpc import AuditServiceStub
from res_federation.client.patience import BULK_S, Endurance
from res_federation.model.audit_chain import Head, Record
from res_federation.wire.audit import head_from_message, item_from_message, record_from_message
from res_federation.wire.status import from_rpc_error
from res_federation.wire.times import to_timestamp

T = TypeVar("T")


class Call(Protocol):
    """Makes a unary call, with patience."""

    def __call__(self, ask: Callable[[float], T]) -> T:
        """Return the answer to *ask*, which is given the seconds of one attempt."""
        ...


class AsyncCall(Protocol):
    """Makes a unary call, with patience."""

    async def __call__(self, ask: Callable[[float], Awaitable[T]]) -> T:
        """Return the answer to *ask*, which is given the seconds of one attempt."""
        ...


class AuditLog:
    """What was done and what was denied. Every method raises `res_federation.errors`."""

    def __init__(
        self, channel: grpc.Channel, call: Call, endurance: Callable[[], Endurance]
    ) -> None:
        """Ask through *channel*."""
        self._stub = AuditServiceStub(channel)
        self._call = call
        self._endurance = endurance

    def entries(
        self, *, act: str = "", actor: str = "", target: str = "", outcome: str = ""
    ) -> Iterator[Record]:
        """Yield entries, the newest first, page by page.

        Args:
            act: Only this act, or those that begin with it and a dot.
            actor: Only acts of this one.
            target: Only acts on this.
            outcome: Only ``done`` or ``denied``.

        """
        request = _listing(act, actor, target, outcome)
        while True:
            answer = self._call(lambda s: self._stub.ListEntries(request, timeout=s))
            yield from (record_from_message(record) for record in answer.entries)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def export(self, first: int = 0, since: float | None = None) -> Iterator[Record | Head]:
        """Yield the log from entry *first*, or from *since* (UTC seconds), and its heads.

        The last thing is a head, signed for this call.  An export that breaks off is not taken up
        again: it would have a seam.
        """
        endurance, begun = self._endurance(), False
        while True:
            stream = self._stub.ExportEntries(_exporting(first, since), timeout=BULK_S)
            try:
                for answer in stream:
                    begun = True
                    yield from (item_from_message(item) for item in answer.items)
            except grpc.RpcError as error:
                if begun:
                    raise from_rpc_error(error) from error
                time.sleep(endurance.pause_after(error, time.monotonic()))
            else:
                return
            finally:
                stream.cancel()

    def head(self) -> Head:
        """Return the newest signed head: keep it elsewhere."""
        request = audit_pb2.GetHeadRequest()
        return head_from_message(self._call(lambda s: self._stub.GetHead(request, timeout=s)))

    def key(self) -> str:
        """Return the public key, in PEM."""
        request = audit_pb2.GetKeyRequest()
        return self._call(lambda s: self._stub.GetKey(request, timeout=s)).pem


class AsyncAuditLog:
    """`AuditLog` for asyncio, with the same words."""

    def __init__(
        self, channel: grpc.aio.Channel, call: AsyncCall, endurance: Callable[[], Endurance]
    ) -> None:
        """Ask through *channel*."""
        self._stub: Any = AuditServiceStub(channel)
        self._call = call
        self._endurance = endurance

    async def entries(
        self, *, act: str = "", actor: str = "", target: str = "", outcome: str = ""
    ) -> AsyncIterator[Record]:
        """Yield entries, the newest first, page by page."""
        request = _listing(act, actor, target, outcome)
        while True:
            answer = await self._call(lambda s: self._stub.ListEntries(request, timeout=s))
            for record in answer.entries:
                yield record_from_message(record)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def export(
        self, first: int = 0, since: float | None = None
    ) -> AsyncIterator[Record | Head]:
        """Yield the log from entry *first*, or from *since* (UTC seconds), and its heads."""
        endurance, begun = self._endurance(), False
        while True:
            stream = self._stub.ExportEntries(_exporting(first, since), timeout=BULK_S)
            try:
                async for answer in stream:
                    begun = True
                    for item in answer.items:
                        yield item_from_message(item)
            except grpc.RpcError as error:
                if begun:
                    raise from_rpc_error(error) from error
                await asyncio.sleep(endurance.pause_after(error, time.monotonic()))
            else:
                return
            finally:
                stream.cancel()

    async def head(self) -> Head:
        """Return the newest signed head: keep it elsewhere."""
        request = audit_pb2.GetHeadRequest()
        return head_from_message(await self._call(lambda s: self._stub.GetHead(request, timeout=s)))

    async def key(self) -> str:
        """Return the public key, in PEM."""
        request = audit_pb2.GetKeyRequest()
        answer = await self._call(lambda s: self._stub.GetKey(request, timeout=s))
        return str(answer.pem)


def _listing(act: str, actor: str, target: str, outcome: str) -> audit_pb2.ListEntriesRequest:
    return audit_pb2.ListEntriesRequest(act=act, actor=actor, target=target, outcome=outcome)


def _exporting(first: int, since: float | None) -> audit_pb2.ExportEntriesRequest:
    at = None if since is None else to_timestamp(since)
    return audit_pb2.ExportEntriesRequest(first=first, since_time=at)
