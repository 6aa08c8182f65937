"""`AgentService`: one stream a site; exchanges in, orders out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog

from res_federation.api.v1 import agents_pb2, agents_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.outboxes import Outbox
from res_federation.broker.services import answers
from res_federation.control.effects import (
    ArrangeRuns,
    BeginRuns,
    CancelRun,
    ForgetRuns,
    Order,
    RenewLeases,
    StartRun,
    WithdrawRuns,
)
from res_federation.control.events import SiteConnected, SiteDisconnected, SiteReported
from res_federation.errors import InvalidArgument
from res_federation.model import order as orders
from res_federation.model.identifiers import SiteId, job_of
from res_federation.wire import exchange

log = structlog.get_logger(__name__)

_MOST_BYTES = 8 << 20
"""A message of orders is closed at about this size; scripts make them large."""


class AgentService(agents_pb2_grpc.AgentServiceServicer):
    """Agents dial in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @answers.stream
    async def Connect(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[agents_pb2.ConnectRequest], context: Any
    ) -> AsyncIterator[agents_pb2.ConnectResponse]:
        """Exchange reports for orders until either side ends the stream."""
        first = await anext(request_iterator, None)
        if first is None:
            return
        if first.WhichOneof("body") != "report":
            raise InvalidArgument("the first message of a stream must be a report", field="body")
        site = exchange.report_from_message(first.report)[0].site
        await self._federation.loop.post(SiteConnected(self._federation.clock.now(), site))
        outbox = self._federation.outboxes.open(site)
        log.info("site_connected", site=site, peer=context.peer())
        reader = asyncio.create_task(self._read(site, outbox, first, request_iterator))
        reader.add_done_callback(lambda _: outbox.close())
        try:
            async for batch in outbox.batches():
                async for message in self._messages(batch):
                    yield message
            if reader.done():
                reader.result()
        finally:
            reader.cancel()
            if self._federation.outboxes.leave(outbox):
                self._federation.loop.put(SiteDisconnected(self._federation.clock.now(), site))
                log.info("site_disconnected", site=site)

    async def _read(
        self,
        site: SiteId,
        outbox: Outbox,
        first: agents_pb2.ConnectRequest,
        rest: AsyncIterator[agents_pb2.ConnectRequest],
    ) -> None:
        await self._take(site, first)
        async for request in rest:
            if not self._federation.outboxes.current(outbox):
                return
            await self._take(site, request)

    async def _take(self, site: SiteId, request: agents_pb2.ConnectRequest) -> None:
        if request.WhichOneof("body") == "output":
            self._federation.outputs.answer(exchange.piece_from_message(request.output))
            return
        report, runs, journal, complete, fences = exchange.report_from_message(request.report)
        if report.site != site:
            raise InvalidArgument(
                f"this stream is of site '{site}', the report of '{report.site}'",
                field="capacity.site",
            )
        unknown = [
            run.token for run in runs if job_of(run.token) not in self._federation.state.jobs
        ]
        strangers = await self._federation.never_seen(unknown)
        await self._federation.loop.post(
            SiteReported(
                self._federation.clock.now(), report, runs, journal, complete, strangers, fences
            )
        )

    async def _messages(self, batch: Any) -> AsyncIterator[agents_pb2.ConnectResponse]:
        """Put a batch of orders into messages of bounded size, their order kept."""
        message, size = agents_pb2.ConnectResponse(), 0
        for effect in batch:
            order = await self._order(effect)
            if order is None:
                continue
            packed = exchange.order_to_message(order)
            message.orders.append(packed)
            size += packed.ByteSize()
            if size >= _MOST_BYTES:
                yield message
                message, size = agents_pb2.ConnectResponse(), 0
        if message.orders:
            yield message

    async def _order(self, effect: Order | orders.Read) -> orders.Order | None:
        match effect:
            case StartRun(token, job_id, fenced, yields_s):
                job = self._federation.state.jobs.get(job_id)
                if job is None or job.run is None or job.run.token != token:
                    return None  # it ended or was withdrawn while the order waited
                spec = await self._federation.full_spec(job)
                return orders.Start(token, job.run.partition, spec, fenced, yields_s)
            case CancelRun(token, task):
                return orders.Cancel(token, task)
            case WithdrawRuns(tokens):
                return orders.Withdraw(tokens)
            case ArrangeRuns(partition, tokens):
                return orders.Arrange(partition, tokens)
            case RenewLeases(sequence, lease_s):
                return orders.Renew(sequence, lease_s)
            case BeginRuns(tokens):
                return orders.Begin(tokens)
            case ForgetRuns(tokens):
                return orders.Forget(tokens)
            case orders.Read():
                return effect
