"""The Ray actor: holds the newest snapshot's rows and scores shards against them. Nothing more."""

from __future__ import annotations

import os

import numpy as np

from res_federation.placement.rows import FIXED_COLUMNS, Ints
from res_federation.placement.score import Board, Scored, Shard, score_shard
from res_federation.placement.shapes import COLUMNS


class Planner:
    """One planning worker."""

    def __init__(self) -> None:
        """Begin without a snapshot, but with the kernels compiled: no user waits for that."""
        self._held: tuple[int, Ints] | None = None
        score_shard(
            Board(0, np.zeros((1, FIXED_COLUMNS), np.int64), np.zeros((1, 1, 3), np.int64)),
            Shard(0, np.ones((1, COLUMNS), np.int64), np.zeros((1, 5), np.int64)),
        )

    def hold(self, key: int, fixed: Ints) -> None:
        """Hold the rows of a snapshot, in place of the ones before."""
        self._held = (key, fixed)

    def score(self, key: int, codes: Ints, shards: list[Shard]) -> list[Scored] | None:
        """Score shards against the snapshot *key*, or None when another one is held."""
        if self._held is None or self._held[0] != key:
            return None
        board = Board(key, self._held[1], codes)
        return [score_shard(board, shard) for shard in shards]

    def process(self) -> int:
        """Return the worker's process id, for tests that end it."""
        return os.getpid()
