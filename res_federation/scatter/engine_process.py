"""The process that talks to Ray, so that the death of a Ray runtime cannot take the broker along.

Ray ends a driver whose raylet dies.  Here that is this process: the broker sees the pipe close
and starts another one.  The pipe closing from the other side ends this process, and with it the
runtime that it started: a broker that was killed leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from res_federation.scatter.ray_pool import RayPool


def serve(
    requests: Connection,
    workers: int,
    address: str | None,
    home: Path | None,
    begin: Callable[[], None],
) -> None:
    """Answer ``(board, shards)`` with scores, or with the text of an error, until the pipe closes.

    ``None`` asks for the workers' process identifiers; ``None`` ends each answer.  *begin* sets
    the process up (its logs).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the broker's business
    begin()
    pool = RayPool(workers, address=address, home=home)
    try:
        while True:
            try:
                asked = requests.recv()
            except EOFError:
                return
            answer: Sequence[object]
            try:
                answer = pool.processes() if asked is None else pool.score(*asked)
            except Exception as error:  # noqa: BLE001 - Ray fails in many ways; each is told
                answer = (f"{type(error).__name__}: {error}"[:500],)
            for part in answer:  # each by itself: a pipe is slow with large messages
                requests.send(part)
            requests.send(None)
    finally:
        with contextlib.suppress(Exception):
            pool.close()
