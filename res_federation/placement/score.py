"""Scoring a shard of shapes: the part of a round that workers may share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from res_federation.placement import fit, kernels
from res_federation.placement.rows import Ints
from res_federation.placement.shapes import Shapes

Narrow = npt.NDArray[np.int32]

SHARD_SHAPES = 512
"""Shapes of one shard. Fixed, so that the shards do not depend on the number of workers."""


@dataclass(frozen=True, slots=True)
class Board:
    """What every shard of a round is scored against: rows, and verdicts about words."""

    version: int
    fixed: Ints
    codes: Ints


@dataclass(frozen=True, slots=True)
class Shard:
    """Some of a round's shapes: *number* gives their place in the merge."""

    number: int
    numbers: Ints
    tables: Ints


@dataclass(frozen=True, slots=True)
class Scored:
    """A scored shard: (shapes, rows, 3) integers as `kernels.score_shapes` gives them."""

    number: int
    verdicts: Narrow


class Scatter(Protocol):
    """Scores every shard; the order of the answers does not matter."""

    def __call__(self, board: Board, shards: Sequence[Shard]) -> Iterable[Scored]:
        """Return each shard's scores, in any order."""
        ...


def score_shard(board: Board, shard: Shard) -> Scored:
    """Score one shard. Pure: the same in this process and on any worker."""
    laid = fit.lay_out(shard.numbers, board.fixed)
    found = kernels.score_shapes(shard.numbers, shard.tables, board.codes, board.fixed, laid)
    return Scored(shard.number, found)


def in_process(board: Board, shards: Sequence[Shard]) -> Iterable[Scored]:
    """Score every shard here."""
    return [score_shard(board, shard) for shard in shards]


def score(board: Board, shapes: Shapes, scatter: Scatter) -> Narrow:
    """Score all shapes by shards and merge them by number: arrival order cannot matter."""
    count = shapes.numbers.shape[0]
    shards = [
        Shard(
            number,
            shapes.numbers[start : start + SHARD_SHAPES],
            shapes.tables[start : start + SHARD_SHAPES],
        )
        for number, start in enumerate(range(0, count, SHARD_SHAPES))
    ]
    scored = sorted(scatter(board, shards), key=lambda one: one.number)
    assert [one.number for one in scored] == list(range(len(shards))), "a shard is missing"
    if not scored:
        return np.zeros((0, board.fixed.shape[0], 3), np.int32)
    return np.concatenate([one.verdicts for one in scored])
