"""A snapshot's rows as arrays: what the kernels work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from res_federation.model.identifiers import PartitionId, site_of
from res_federation.model.resources import NodeShape, shape_numbers
from res_federation.placement.accelerator_grades import accelerator_grades
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Profile, Row, Snapshot
from res_federation.slurm.site_rules import NO_RULES, rule_numbers

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

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


def encode_rows(snapshot: Snapshot, policy: Policy) -> RowArrays:
    """Return the rows of *snapshot* as arrays, sorted."""
    rows = _sorted(snapshot.rows)
    frame = tuple(row.partition for row in rows)
    count = len(rows)
    bars = max((len(row.free) for row in rows), default=0) + SPARE_BARS
    releases = max((len(row.releases) for row in rows), default=0) + SPARE_RELEASES
    free = np.zeros((count, bars, 4), np.int64)
    after = np.full((count, releases), np.inf)
    worth = np.zeros((count, releases))
    for number, row in enumerate(rows):
        for place, bar in enumerate(row.free):
            free[number, place] = (bar.nodes, bar.cores, bar.memory_mib, bar.accelerators)
        length = len(row.releases)
        if isinstance(row.releases, Profile):
            after[number, :length], worth[number, :length] = row.releases.after, row.releases.nodes
        else:
            ordered = np.array(sorted(row.releases, key=lambda one: one.after_s)).reshape(length, 2)
            after[number, :length], worth[number, :length] = ordered.T
    return RowArrays(
        version=snapshot.version,
        rows=rows,
        frame=frame,
        frame_id=blake2b("\n".join(frame).encode(), digest_size=8).digest(),
        fixed=np.array(
            [_fixed(row, number, policy) for row, number in zip(rows, _sites(rows), strict=True)],
            np.int64,
        ).reshape(count, FIXED_COLUMNS),
        free=free,
        bars=np.array([len(row.free) for row in rows], np.int64),
        release_after=after,
        release_nodes=worth,
        backlog=np.array([row.backlog_node_s for row in rows], np.float64),
        waiting=np.array([row.waiting for row in rows], np.int64),
        speed=np.array([_speed(row, policy) for row in rows], np.float64),
        salt=np.array([draw(row.partition) for row in rows], np.uint64),
    )


@lru_cache(maxsize=4096)
def _written(shape: NodeShape) -> str:
    return repr(shape)


def _sorted(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return *rows* by partition and shape; by all that they say where those are equal."""
    alike = Counter((row.partition, row.shape) for row in rows)

    def key(row: Row) -> tuple[str, str, str]:
        only = alike[row.partition, row.shape] == 1
        return (row.partition, _written(row.shape), "" if only else repr(row))

    return tuple(sorted(rows, key=key))


def _sites(rows: Sequence[Row]) -> list[int]:
    """Number the sites of *rows* in the order in which they come."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(site_of(row.partition), len(numbers)) for row in rows]


def _fixed(row: Row, site: int, policy: Policy) -> tuple[int, ...]:
    cores, memory, accelerators = shape_numbers(row.shape)
    rule = NO_RULES if row.dialect is None else rule_numbers(row.dialect.rule(row.names[0]))
    return (
        min(cores, MOST_CORES),
        memory,
        min(accelerators, MOST_ACCELERATORS),
        row.nodes,
        row.available,
        int(row.problem),
        row.problem_have,
        -1 if row.max_time_s is None else row.max_time_s,
        -1 if row.max_nodes is None else row.max_nodes,
        -1 if row.max_array is None else row.max_array,
        policy.max_waiting_per_partition,
        *rule,
        site,
    )


def _speed(row: Row, policy: Policy) -> float:
    return policy.accelerator_speed.get(row.family, 1.0) if row.family else 1.0


def grades(rows: RowArrays) -> Ints:
    """Return (rows,) how good each one's accelerator is: 0 for none, then the least first."""
    speed = {row.family: float(one) for row, one in zip(rows.rows, rows.speed, strict=True)}
    return accelerator_grades([(row.shape, row.nodes, row.family) for row in rows.rows], speed)


def draw(text: str, seed: int = 0) -> int:
    """Return 64 bits drawn from *text* and *seed* by blake2b."""
    digest = blake2b(text.encode(), digest_size=8, salt=seed.to_bytes(8, "little", signed=True))
    return int.from_bytes(digest.digest(), "little")
