"""Output of jobs, fetched from the agent that holds it, a bounded piece at a time."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from res_federation.broker.outboxes import Outboxes
from res_federation.errors import NotFound, Unavailable
from res_federation.model.identifiers import SiteId
from res_federation.model.job import Run
from res_federation.model.order import Piece, Read

PIECE_BYTES = 1 << 20
_PATIENCE_S = 15.0


class Outputs:
    """Requests for output that agents have not answered yet."""

    def __init__(self, outboxes: Outboxes) -> None:
        """Send through *outboxes*."""
        self._outboxes = outboxes
        self._asked: dict[str, tuple[SiteId, asyncio.Future[Piece]]] = {}
        self._numbers = itertools.count(1)

    def answer(self, site: SiteId, piece: Piece) -> bool:
        """Hand a piece to whoever asked; tell whether anybody did.

        One that nobody waits for, or that another site was asked for, is dropped.
        """
        asked, future = self._asked.get(piece.request_id, (None, None))
        if future is None or asked != site:
            return False
        if not future.done():
            future.set_result(piece)
        return True

    async def read(self, run: Run, *, task: int, standard_error: bool, offset: int) -> Piece:
        """Return the next piece of a run's output.

        Raises:
            Unavailable: If the site's agent is not connected or does not answer.
            NotFound: If the agent has no such output; the words are its own.

        """
        request_id = f"r{next(self._numbers)}"
        order = Read(request_id, run.token, task, standard_error, offset, PIECE_BYTES)
        future: asyncio.Future[Piece] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = (SiteId(run.site), future)
        try:
            if not self._outboxes.send(SiteId(run.site), (order,)):
                raise Unavailable(
                    f"site {run.site}, which holds the output, is not connected",
                    way_out="the output stays there; try again later",
                )
            async with asyncio.timeout(_PATIENCE_S):
                piece = await future
        except TimeoutError:
            raise Unavailable(
                f"site {run.site} did not send the output within {_PATIENCE_S:.0f} s",
                way_out="try again later",
            ) from None
        finally:
            del self._asked[request_id]
        if piece.error:
            raise NotFound(piece.error)
        if piece.offset != max(0, offset) or len(piece.data) > PIECE_BYTES:
            raise Unavailable(
                f"site {run.site} sent {len(piece.data)} bytes from byte {piece.offset},"
                f" asked were at most {PIECE_BYTES} from {max(0, offset)}",
                way_out="tell its administrators",
            )
        # a site that says that there is more and sends nothing would be asked for ever
        return piece if piece.data else replace(piece, end=True)
