"""A pool of Ray actors that hold the snapshot and score shards. Lives in the engine's process.

A worker that dies is replaced, with the whole pool, and its shards are scored again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import structlog

from res_federation.placement.rows import Ints
from res_federation.placement.score import Board, Scored, Shard
from res_federation.scatter import runtime

log = structlog.get_logger(__name__)

_PATIENCE_S = 30.0
_keys = itertools.count(1)


class RayPool:
    """Planning workers. Used by one caller at a time."""

    def __init__(
        self, workers: int, *, address: str | None = None, home: Path | None = None
    ) -> None:
        """Keep the settings; nothing is started before it is needed.

        Args:
            workers: Actors.
            address: Of a Ray cluster to join; None starts a runtime on this machine.
            home: Where a runtime of our own keeps its files.

        """
        self._workers = workers
        self._address = address
        self._home = home
        self._actors: list[Any] = []
        self._folder: Path | None = None
        self._held: Ints | None = None
        self._key = 0

    def start(self) -> None:
        """Start the workers, if they are not running."""
        if not self._actors:
            if not ray.is_initialized():
                self._folder = runtime.join(self._address, self._workers, self._home)
            self._actors = runtime.actors(self._workers)
            self._held = None
            log.info("workers_started", workers=self._workers, ray=self._address or "local")

    def score(self, board: Board, shards: Sequence[Shard]) -> list[Scored]:
        """Score *shards*, in any order; try once more with new workers when some are lost.

        Raises:
            RuntimeError: If the workers could not be had twice.

        """
        try:
            self.start()
            return self._score(board, shards)
        except (ray.exceptions.RayError, RuntimeError) as error:
            log.warning("workers_lost", why=type(error).__name__)
            self._forget()
        self.start()
        return self._score(board, shards)

    def _score(self, board: Board, shards: Sequence[Shard]) -> list[Scored]:
        self._hold(board)
        parts = [list(shards[number :: self._workers]) for number in range(self._workers)]
        calls = [
            actor.score.remote(self._key, board.codes, part)
            for actor, part in zip(self._actors, parts, strict=True)
            if part
        ]
        answers = ray.get(calls, timeout=_PATIENCE_S)
        if any(answer is None for answer in answers):
            raise RuntimeError("a worker holds another snapshot")
        return [scored for answer in answers for scored in answer]

    def _hold(self, board: Board) -> None:
        """Send the snapshot's rows to every worker, once for each version of them."""
        if self._held is not None and (
            self._held is board.fixed
            or (self._held.shape == board.fixed.shape and bool((self._held == board.fixed).all()))
        ):
            return
        self._key = next(_keys)
        for actor in self._actors:
            actor.hold.remote(self._key, board.fixed)
        self._held = board.fixed

    def processes(self) -> list[int]:
        """Return the workers' process ids."""
        self.start()
        answers: list[int] = ray.get([actor.process.remote() for actor in self._actors])
        return answers

    def _forget(self) -> None:
        """Let go of the workers, so that the next start begins with new ones."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._held = [], None

    def close(self) -> None:
        """End the workers and leave the runtime."""
        self._actors, self._held = [], None
        runtime.leave(self._folder)
