"""`AgentService`: one stream a site; exchanges in, orders out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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
from res_federation.errors import FailedPrecondition, InvalidArgument
from res_federation.model import order as orders
from res_federation.model.identifiers import SiteId, job_of
from res_federation.security.limits import Bucket
from res_federation.security.peers import true_peer
from res_federation.wire import exchange

log = structlog.get_logger(__name__)

FIRST_S = 20.0
"""A stream whose first report has not come by then is ended."""
SILENT_S = 3 * 3600.0
"""So is one that says nothing for so long: agents report at least every hour."""
MESSAGES_PER_S, MESSAGES_BURST = 200.0, 400
"""So fast one agent is listened to: a report every 0.1 s, and pieces of output beside."""
_MOST_BYTES = 8 << 20
"""A message of orders is closed at about this size; scripts make them large."""


class AgentService(agents_pb2_grpc.AgentServiceServicer):
    """Agents dial in here."""

    def __init__(self, federation: Federation, known: Callable[[str], None]) -> None:
        """Serve *federation*; *known* hears the peer of each stream with a good certificate."""
        self._federation, self._known = federation, known

    @answers.stream
    async def Connect(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[agents_pb2.ConnectRequest], context: Any
    ) -> AsyncIterator[agents_pb2.ConnectResponse]:
        """Exchange reports for orders until either side, or the certificate, ends the stream.

        The site is the one that the certificate names, whatever the messages say.
        """
        enrolment = self._federation.enrolment
        site, serial = enrolment.peer(_certificate(context), true_peer(context.peer()))
        self._known(context.peer())
        try:
            async with asyncio.timeout(FIRST_S):
                first = await anext(request_iterator, None)
        except TimeoutError:
            raise FailedPrecondition(f"no report came within {FIRST_S:.0f} s") from None
        if first is None:
            return
        if first.WhichOneof("body") != "report":
            raise InvalidArgument("the first message of a stream must be a report", field="body")
        if (told := exchange.report_from_message(first.report)[0].site) != site:
            raise enrolment.refused_report(site, told)
        outbox = Outbox(site)
        with enrolment.standing(outbox, serial):
            end = await enrolment.admit(outbox, serial)
            try:
                async for message in self._converse(outbox, serial, first, request_iterator):
                    yield message
            finally:
                end.cancel()
            if (why := enrolment.why_ended(outbox)) is not None:
                raise why

    async def _converse(
        self,
        outbox: Outbox,
        serial: str,
        first: agents_pb2.ConnectRequest,
        rest: AsyncIterator[agents_pb2.ConnectRequest],
    ) -> AsyncIterator[agents_pb2.ConnectResponse]:
        site = outbox.site
        await self._federation.loop.post(SiteConnected(self._federation.clock.now(), site))
        self._federation.outboxes.open(outbox)
        log.info("site_connected", site=site, serial=serial)
        reader = asyncio.create_task(self._read(outbox, serial, first, rest))
        reader.add_done_callback(lambda _: outbox.close())
        try:
            async for batch in outbox.batches():
                async for message in self._messages(batch):
                    if self._federation.enrolment.why_ended(outbox) is not None:
                        return  # it was revoked meanwhile: not one order more
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
        outbox: Outbox,
        serial: str,
        first: agents_pb2.ConnectRequest,
        rest: AsyncIterator[agents_pb2.ConnectRequest],
    ) -> None:
        await self._take(outbox.site, first)
        pace = Bucket(MESSAGES_BURST, self._federation.clock.now())
        async for request in _spoken(rest):
            # one that talks too fast is read slowly: what it sends piles up at its own end
            now = self._federation.clock.now()
            while wait := pace.take(1, MESSAGES_PER_S, MESSAGES_BURST, now):
                await asyncio.sleep(wait)
                now = self._federation.clock.now()
            # what comes after a revocation is not heard, even before the stream has ended
            if outbox.closed.is_set() or not self._federation.outboxes.current(outbox):
                return
            if request.WhichOneof("body") == "renewal":
                await self._renew(outbox, serial, request.renewal)
            else:
                await self._take(outbox.site, request)

    async def _renew(self, outbox: Outbox, serial: str, asked: agents_pb2.RenewalRequest) -> None:
        enrolment = self._federation.enrolment
        made = await enrolment.renew(outbox.site, serial, asked.csr_pem)
        outbox.put((orders.Certify(made.pem, enrolment.authority.ca_pem.decode()),))

    async def _take(self, site: SiteId, request: agents_pb2.ConnectRequest) -> None:
        if request.WhichOneof("body") == "output":
            piece = exchange.piece_from_message(request.output)
            if not self._federation.outputs.answer(site, piece):
                log.info("output_not_asked_for", site=site, request=piece.request_id[:40])
            return
        report, runs, journal, complete, fences = exchange.report_from_message(request.report)
        if report.site != site:
            raise self._federation.enrolment.refused_report(site, report.site)
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

    async def _order(self, effect: Order | orders.Read | orders.Certify) -> orders.Order | None:
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
            case orders.Read() | orders.Certify():
                return effect


async def _spoken(
    requests: AsyncIterator[agents_pb2.ConnectRequest],
) -> AsyncIterator[agents_pb2.ConnectRequest]:
    """Yield messages until none comes for `SILENT_S`: such a stream is half open, or a trap."""
    while True:
        try:
            async with asyncio.timeout(SILENT_S):
                request = await anext(requests, None)
        except TimeoutError:
            raise FailedPrecondition(f"nothing was said for {SILENT_S:.0f} s") from None
        if request is None:
            return
        yield request


def _certificate(context: Any) -> bytes | None:
    """Return the peer's certificate that the handshake verified, PEM."""
    given: list[bytes] = context.auth_context().get("x509_pem_cert", [])
    return given[0] if given else None
