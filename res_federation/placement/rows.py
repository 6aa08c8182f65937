"""A snapshot's rows as arrays: what the kernels work on."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.model.identifiers import PartitionId
from res_federation.placement.accelerator_grades import accelerator_grades
from res_federation.placement.snapshot import Row

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Columns of `fixed`, one row of the array for each row of the snapshot.
CORES, MEMORY, ACCELERATORS, NODES, AVAILABLE, PROBLEM, PROBLEM_HAVE = range(7)
MAX_TIME, MAX_NODES, MAX_ARRAY, MAX_WAITING = range(7, 11)
RULE = 11  # and three more: the site's rules on cores and memory
SITE = 15
FIXED_COLUMNS = 16

SPARE_BARS = 96
"""Bars that a histogram may gain in one round; past it, leftovers of a node are not used."""
MOST_CORES, MOST_ACCELERATORS = 0xFFFF, 0x7F
"""Of one node, so that a score is three integers: what a node has beyond is not used."""
SPARE_RELEASES = 64
"""Releases that a profile may gain in one round; past it, they join one that is later."""


@dataclass(frozen=True, slots=True)
class RowArrays:
    """Rows sorted by partition and shape, so that the order in which sites come cannot matter.

    Attributes:
        version: Of the snapshot.
        rows: The rows in sorted order.
        frame: Their partitions.
        frame_id: Eight bytes that name the frame.
        fixed: (rows, FIXED_COLUMNS) what scoring looks at; -1 for none or not known.
        free: (rows, bars, 4) histogram: nodes, cores, memory (-1 not counted), accelerators.
        bars: (rows,) bars in use.
        release_after: (rows, releases) seconds, ascending; infinity where unused.
        release_nodes: (rows, releases) nodes' worth.
        backlog: (rows,) node-seconds that wait.
        waiting: (rows,) runs that wait.
        speed: (rows,) of the accelerator relative to an A100; 1.0 for none.
        salt: (rows,) a number drawn from the partition's name: breaks ties.
        shared: (rows,) whether others wait or run there too.
        depth: (rows,) jobs that may hold a place there.
        ahead: (rows, places) node-seconds of others before each place of ours.
        first: (rows, 4) nodes, cores and accelerators of each, and limit of whom others wait for.
        words: Of each row what verdicts about words depend on; the same object while it is equal.

    """

    version: int
    rows: tuple[Row, ...]
    frame: tuple[PartitionId, ...]
    frame_id: bytes
    fixed: Ints
    free: Ints
    bars: Ints
    release_after: Floats
    release_nodes: Floats
    backlog: Floats
    waiting: Ints
    speed: Floats
    salt: npt.NDArray[np.uint64]
    shared: Flags
    depth: Ints
    ahead: Floats
    first: Ints
    words: tuple[Any, ...]


def grades(rows: RowArrays) -> Ints:
    """Return (rows,) how good each one's accelerator is: 0 for none, then the least first."""
    speed = {row.family: float(one) for row, one in zip(rows.rows, rows.speed, strict=True)}
    return accelerator_grades([(row.shape, row.nodes, row.family) for row in rows.rows], speed)


def draw(text: str, seed: int = 0) -> int:
    """Return 64 bits drawn from *text* and *seed* by blake2b."""
    digest = blake2b(text.encode(), digest_size=8, salt=seed.to_bytes(8, "little", signed=True))
    return int.from_bytes(digest.digest(), "little")
