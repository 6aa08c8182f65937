"""`RayScatter`: the scatter that a broker passes to `place`. Does not import Ray itself.

A worker that dies is replaced; an engine process that dies, with or without its Ray runtime, is
started again.  A round that cannot be saved raises `RoundLost`: its jobs are still queued.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import structlog

from res_federation.placement.score import Board, Scored, Shard
from res_federation.scatter import environment

log = structlog.get_logger(__name__)

_PATIENCE_S = 90.0
"""A first answer waits for Ray to start; past this the engine is taken for hung."""


class RoundLost(Exception):
    """The workers did not answer, twice; the next round begins with new ones."""


def _nothing() -> None:
    """Set nothing up."""


class RayScatter:
    """Planning workers on Ray, behind a process of their own. May be used from any thread."""

    def __init__(
        self,
        workers: int,
        *,
        address: str | None = None,
        home: Path | None = None,
        begin: Callable[[], None] = _nothing,
    ) -> None:
        """Keep the settings; nothing is started before it is needed.

        Args:
            workers: Actors that score.
            address: Of a Ray cluster to join; None starts a small runtime on this machine.
            home: Where a runtime of our own keeps its files.
            begin: Sets the engine's process up; it must pickle by name.

        """
        self._settings = (workers, address, home, begin)
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def __call__(self, board: Board, shards: Sequence[Shard]) -> Iterable[Scored]:
        """Score *shards*, in any order.

        Raises:
            RoundLost: If the workers could not be had.

        """
        if not shards:
            return []
        scored: list[Scored] = self._ask((board, list(shards)))
        return scored

    def start(self) -> list[int]:
        """Start the workers, if they are not running; return their process identifiers.

        Raises:
            RoundLost: If they could not be had.

        """
        found: list[int] = self._ask(None)
        return found

    def close(self) -> None:
        """End the workers, and the runtime if it is our own."""
        with self._lock:
            self._end(patience_s=5.0)

    def _ask(self, question: Any) -> list[Any]:
        with self._lock:
            for _ in range(2):
                try:
                    answer = self._exchange(question)
                except (EOFError, OSError) as error:
                    log.warning("engine_lost", why=type(error).__name__)
                    self._end(patience_s=0.0)
                    continue
                if answer and isinstance(answer[0], str):
                    log.warning("engine_failed", why=answer[0])
                    self._end(patience_s=0.0)
                    continue
                return answer
            raise RoundLost("the planning workers did not answer twice")

    def _exchange(self, question: Any) -> list[Any]:
        if self._pipe is None:
            self._begin()
        assert self._pipe is not None, "just begun"
        self._pipe.send(question)
        answer: list[Any] = []
        while True:
            if not self._pipe.poll(_PATIENCE_S):
                raise EOFError("the engine is silent")
            part = self._pipe.recv()
            if part is None:
                return answer
            answer.append(part)

    def _begin(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_engine, args=(theirs, *self._settings), name="resfed-engine", daemon=True
        )
        self._process.start()
        theirs.close()

    def _end(self, patience_s: float) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            with contextlib.suppress(AssertionError):
                self._process.join(patience_s)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(5.0)
        self._pipe = self._process = None


def _engine(
    requests: Connection,
    workers: int,
    address: str | None,
    home: Path | None,
    begin: Callable[[], None],
) -> None:
    environment.prepare(address)
    from res_federation.scatter.engine_process import serve  # noqa: PLC0415 - imports Ray

    serve(requests, workers, address, home, begin)
