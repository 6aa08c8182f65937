"""One bounded outbox for each connected site: a slow site is cut off, memory never grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import structlog

from res_federation.control.effects import Order
from res_federation.model.identifiers import SiteId
from res_federation.model.order import Certify, Read

log = structlog.get_logger(__name__)

_MOST_BATCHES = 1000

Batch = Sequence[Order | Read | Certify]


class Outbox:
    """What is on its way to one stream of one agent."""

    def __init__(self, site: SiteId) -> None:
        """Begin empty."""
        self.site = site
        self.closed = asyncio.Event()
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue(_MOST_BATCHES)

    def put(self, batch: Batch) -> None:
        """Send *batch* after those before it; a full outbox ends the stream."""
        try:
            self._batches.put_nowait(batch)
        except asyncio.QueueFull:
            log.warning("site_too_slow", site=self.site, batches=_MOST_BATCHES)
            self.close()

    def close(self) -> None:
        """End the stream; the agent dials again and tells everything anew."""
        self.closed.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until closed."""
        closed = asyncio.ensure_future(self.closed.wait())
        batch: asyncio.Task[Batch | None] | None = None
        try:
            while not self.closed.is_set():
                batch = asyncio.ensure_future(self._batches.get())
                await asyncio.wait({batch, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not batch.done():
                    return
                found = batch.result()
                if found is not None:
                    yield found
        finally:  # also when the agent hangs up: nobody waits for ever
            closed.cancel()
            if batch is not None:
                batch.cancel()


class Outboxes:
    """The newest stream of each site."""

    def __init__(self) -> None:
        """Begin with no site connected."""
        self._by_site: dict[SiteId, Outbox] = {}

    def open(self, outbox: Outbox) -> None:
        """Take the outbox of a new stream; an older stream of the same site is ended."""
        if outbox.site in self._by_site:
            self._by_site[outbox.site].close()
        self._by_site[outbox.site] = outbox

    def current(self, outbox: Outbox) -> bool:
        """Tell whether *outbox* is still the newest of its site."""
        return self._by_site.get(outbox.site) is outbox

    def leave(self, outbox: Outbox) -> bool:
        """Take *outbox* away; tell whether its site is now without a stream."""
        if self.current(outbox):
            del self._by_site[outbox.site]
            return True
        return False

    def send(self, site: SiteId, batch: Batch) -> bool:
        """Send to the newest stream of *site*; tell whether there is one."""
        outbox = self._by_site.get(site)
        if outbox is None or outbox.closed.is_set():
            return False
        outbox.put(batch)
        return True

    def close(self) -> None:
        """End every stream."""
        for outbox in self._by_site.values():
            outbox.close()
