"""Output of runs for the broker, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from res_federation.agent.rundir import RunDirectory
from res_federation.errors import FederationError
from res_federation.model.order import Piece, Read

PIECE_BYTES = 1024 * 1024


def pieces(order: Read, runs: Path) -> Iterator[Piece]:
    """Yield what *order* asks for; the last piece says whether there is more at present."""
    offset, left = max(0, order.offset), order.limit
    try:
        directory = RunDirectory.of(runs, order.token)
        if not directory.path.is_dir():
            yield Piece(order.request_id, b"", offset, end=True, error="no output is kept here")
            return
        if order.task < 0 and directory.is_array:
            why = "the job is an array: name one of its tasks"
            yield Piece(order.request_id, b"", offset, end=True, error=why)
            return
        while True:
            size = min(left, PIECE_BYTES)
            data, end = directory.read_output(
                order.task, error=order.standard_error, offset=offset, limit=max(0, size)
            )
            yield Piece(order.request_id, data, offset, end=end)
            offset, left = offset + len(data), left - len(data)
            if end or left <= 0:
                return
    except (FederationError, OSError) as error:
        yield Piece(order.request_id, b"", offset, end=True, error=str(error))
