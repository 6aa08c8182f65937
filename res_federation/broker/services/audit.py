"""`AuditService`: what was done and what was denied, for those who look after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from res_federation.api.v1 import audit_pb2, audit_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.errors import FailedPrecondition, InvalidArgument, NotFound
from res_federation.model.audit import AuditEntry
from res_federation.model.audit_chain import entry_of
from res_federation.wire.audit import head_to_message, item_to_message, record_to_message
from res_federation.wire.times import from_timestamp

_A_PAGE = 100
_MOST_A_PAGE = 1000
_MOST_LOOKED_THROUGH = 20_000
"""Entries that are read for one page: then the page is returned as it is, with its token."""


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """Auditors come in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation
        self._log = federation.store.audit

    @answers.unary
    async def ListEntries(  # noqa: N802
        self,
        request: audit_pb2.ListEntriesRequest,
        context: Any,  # noqa: ARG002
    ) -> audit_pb2.ListEntriesResponse:
        """Return entries, the newest first; a page token is a number before which to go on."""
        if not 0 <= request.page_size <= _MOST_A_PAGE:
            raise InvalidArgument(f"is not between 0 and {_MOST_A_PAGE}", field="page_size")
        if request.page_token and not _is_number(request.page_token):
            raise InvalidArgument("is not from an answer", field="page_token")
        wanted = request.page_size or _A_PAGE
        before, looked = int(request.page_token or 0), 0
        answer = audit_pb2.ListEntriesResponse()
        while len(answer.entries) < wanted and looked < _MOST_LOOKED_THROUGH:
            page = await self._log.newest(before, _MOST_A_PAGE)
            for record in page:
                before, looked = record.number, looked + 1
                if _is_wanted(entry_of(record.entry), request):
                    answer.entries.append(record_to_message(record))
                    if len(answer.entries) == wanted:
                        break
            if not page or before == 1:
                return answer
        answer.next_page_token = str(before)
        return answer

    @answers.stream
    async def ExportEntries(  # noqa: N802
        self,
        request: audit_pb2.ExportEntriesRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[audit_pb2.ExportEntriesResponse]:
        """Sign the log as it is now, and stream it up to that head."""
        if request.first < 0:
            raise InvalidArgument("must not be negative", field="first")
        if request.first and request.HasField("since_time"):
            raise InvalidArgument("give a number or a time, not both", field="since_time")
        await self._federation.loop.sign(self._federation.clock.now())
        head = await self._log.head()
        if head is None:
            raise _unsigned()
        first = request.first or 1
        if request.HasField("since_time"):
            first = await self._log.first_since(from_timestamp(request.since_time))
        if first > head.number:
            raise NotFound(f"there is no entry {first} yet", way_out=f"the last is {head.number}")
        async for lines in self._log.lines(first, head.number):
            items = [item_to_message(line) for line in lines]
            yield audit_pb2.ExportEntriesResponse(items=items)

    @answers.unary
    async def GetHead(  # noqa: N802
        self,
        request: audit_pb2.GetHeadRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> audit_pb2.AuditHead:
        """Return the newest signed head."""
        head = await self._log.head()
        if head is None:
            raise _unsigned()
        return head_to_message(head)

    @answers.unary
    async def GetKey(  # noqa: N802
        self,
        request: audit_pb2.GetKeyRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> audit_pb2.GetKeyResponse:
        """Return the public key."""
        return audit_pb2.GetKeyResponse(pem=self._federation.audit_key)


def _unsigned() -> FailedPrecondition:
    return FailedPrecondition("no head of the audit log is signed yet", way_out="try again")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _is_wanted(entry: AuditEntry, request: audit_pb2.ListEntriesRequest) -> bool:
    act = request.act
    return (
        (not act or entry.act == act or entry.act.startswith(f"{act}."))
        and request.actor in ("", entry.actor)
        and request.target in ("", entry.target)
        and request.outcome in ("", entry.outcome)
    )
