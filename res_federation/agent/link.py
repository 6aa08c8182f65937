"""The agent's stream to the broker: dials out, reports, takes orders, dials again for ever."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import grpc
import structlog

from res_federation.agent.batch import BatchSystem
from res_federation.agent.clock import Clock
from res_federation.agent.dial import Dial
from res_federation.agent.outputs import pieces
from res_federation.agent.runs import Runs
from res_federation.api.v1 import agents_pb2, agents_pb2_grpc
from res_federation.errors import FederationError, Unavailable
from res_federation.model.capacity import CapacityReport
from res_federation.model.identifiers import SiteId
from res_federation.model.order import Certify, Order, Read
from res_federation.wire.exchange import orders_from_message, piece_to_message, report_to_message
from res_federation.wire.status import from_rpc_error

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # the broken connection of one dial is not the next's
)
_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 10.0
_LEAST_GAP_S = 0.1


def pause_s(site: SiteId, attempt: int) -> float:
    """Return how long to wait before dial number *attempt* (from 1): doubled, with jitter.

    The jitter is the site's own, so that fourteen agents do not dial a new broker at once.
    """
    longest = min(_LAST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 16))
    digest = hashlib.blake2b(f"{site} {attempt}".encode(), digest_size=8).digest()
    return longest * (0.5 + int.from_bytes(digest, "big") / 2**65)


T = TypeVar("T")
Call = grpc.aio.StreamStreamCall[agents_pb2.ConnectRequest, agents_pb2.ConnectResponse]


class Link:
    """One site's stream. `hold` never ends by itself."""

    def __init__(
        self,
        dial: Dial,
        broker: str,
        journal: str,
        runs: Runs,
        batch: BatchSystem,
        state: Path,
        *,
        now: Clock,
        beat_s: float = 5.0,
    ) -> None:
        """Prepare; nothing is dialled yet.

        Args:
            dial: Comes to the broker, as the site.
            broker: ``host:port``, for messages.
            journal: Names this life of the journal.
            runs: What is held.
            batch: Tells the capacity.
            state: The agent's directory.
            now: Reads the clock.
            beat_s: A report is sent this often even when nothing changed.

        """
        self._dial, self._site, self._broker, self._journal = dial, dial.site, broker, journal
        self._runs, self._batch, self._output = runs, batch, state / "runs"
        self._now, self._beat_s = now, beat_s
        self._log = structlog.get_logger("resfed.agent").bind(site=self._site)
        self._answered = asyncio.Event()
        self._renewed = False
        self.connected = False
        """Whether the broker answered on the present stream."""

    @property
    def _patience_s(self) -> float:
        """How long a report may stay without an answer before the stream counts as dead."""
        return max(10.0, 3 * self._beat_s)

    async def hold(self) -> None:
        """Keep a stream for ever."""
        attempt = 0
        while True:
            try:
                await self._converse()
                why = "the broker ended the stream"
            except* (grpc.aio.AioRpcError, FederationError, OSError) as group:
                error = _first(group, self._broker)
                why = str(error)
                if isinstance(error, FederationError):
                    self._dial.refused(error)
            if self._renewed:
                self._renewed, self.connected, attempt = False, False, 0
                continue  # with the new certificate, at once
            attempt = 1 if self.connected else attempt + 1
            if self.connected or attempt == 1:
                self._log.warning("no link to the broker", broker=self._broker, reason=why)
            self.connected = False
            await asyncio.sleep(pause_s(self._site, attempt))

    async def _converse(self) -> None:
        """Hold one stream until it breaks."""
        async with await self._dial.channel(_OPTIONS) as channel:
            stub = agents_pb2_grpc.AgentServiceStub(channel)
            call: Call = stub.Connect(metadata=(("resfed-site", self._site),))
            reads: asyncio.Queue[Read] = asyncio.Queue(maxsize=1000)
            self._answered.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    writers = [
                        group.create_task(self._report(call)),
                        group.create_task(self._send_output(call, reads)),
                        group.create_task(self._renew(call)),
                    ]
                    await self._receive(call, reads)
                    for writer in writers:
                        writer.cancel()
            finally:
                call.cancel()

    async def _receive(self, call: Call, reads: asyncio.Queue[Read]) -> None:
        while True:
            response = await _on_stream(call.read())
            if not isinstance(response, agents_pb2.ConnectResponse):  # grpc.aio.EOF
                return
            self._answered.set()
            if not self.connected:
                self.connected = True
                self._log.info("linked to the broker", broker=self._broker)
            orders = orders_from_message(response)
            self._carry_out(orders)
            for order in orders:
                if isinstance(order, Read):
                    await reads.put(order)
                elif isinstance(order, Certify):
                    self._dial.accept(order)
                    self._renewed = True
                    return

    def _carry_out(self, orders: tuple[Order, ...]) -> None:
        try:
            self._runs.carry_out(orders)
        except FederationError as error:
            # what could not be written down is not in the next report, and is ordered again
            self._log.error("orders not carried out", reason=str(error))

    async def _renew(self, call: Call) -> None:
        """Ask for the next certificate when it is time; again while no answer comes."""
        while True:
            await asyncio.sleep(self._dial.renewal_in())
            asked = agents_pb2.RenewalRequest(csr_pem=self._dial.identity.request())
            await _on_stream(call.write(agents_pb2.ConnectRequest(renewal=asked)))
            await asyncio.sleep(self._patience_s)

    async def _report(self, call: Call) -> None:
        """Send a report at once, when something changes, and on a beat."""
        while True:
            self._runs.news.clear()
            await _on_stream(call.write(await self._message()))
            await self._wait_for(self._answered.wait(), self._patience_s, "no answer to a report")
            self._answered.clear()
            await asyncio.sleep(_LEAST_GAP_S)
            try:
                async with asyncio.timeout(self._beat_s):
                    await self._runs.news.wait()
            except TimeoutError:
                continue

    async def _message(self) -> agents_pb2.ConnectRequest:
        measured = await self._batch.capacity()
        at = self._now()
        sequence, runs = self._runs.report(at, measured.taken_at)
        report = CapacityReport(
            site=self._site,
            sequence=sequence,
            taken_at=at,
            time_to_live_s=3 * self._beat_s + 1.0,
            partitions=measured.partitions,
            licenses=measured.licenses,
            problem=measured.problem or self._runs.problem,
            measured_at=measured.taken_at,
            needs_account=measured.needs_account,
            arranges=measured.arranges,
        )
        return agents_pb2.ConnectRequest(
            report=report_to_message(
                report, runs, self._journal, self._runs.complete, self._batch.fences
            )
        )

    async def _send_output(self, call: Call, reads: asyncio.Queue[Read]) -> None:
        while True:
            order = await reads.get()
            for piece in pieces(order, self._output):
                message = agents_pb2.ConnectRequest(output=piece_to_message(piece))
                await self._wait_for(
                    _on_stream(call.write(message)), self._patience_s, "output is not taken"
                )

    async def _wait_for(self, waited: Awaitable[object], seconds: float, why: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                await waited
        except TimeoutError:
            raise Unavailable(f"{why} for {seconds:g} s") from None


async def _on_stream(step: Awaitable[T]) -> T:
    """Await a step of a stream; a broken stream is Unavailable, however gRPC tells it.

    gRPC raises CancelledError when the *other* side cancels, and InvalidStateError once a stream
    is over: neither may end the agent.
    """
    try:
        return await step
    except asyncio.InvalidStateError:
        raise Unavailable("the stream is over") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unavailable("the broker cancelled the stream") from None


def _first(group: BaseExceptionGroup[BaseException], broker: str) -> BaseException:
    """Return what went wrong first, as the broker raised it if it was the broker."""
    first = group.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return from_rpc_error(first, broker) if isinstance(first, grpc.aio.AioRpcError) else first
