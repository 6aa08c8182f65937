"""What the loops of late binding pass to one another, and the codes that they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from res_federation.placement.kernels import Floats, Ints, Narrow, Salts

Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Links = npt.NDArray[np.int32]
Able = npt.NDArray[np.int16]
Names = npt.NDArray[np.uint8]
AS_SCORED, QUEUE_FULL, REFUSED = 255, 45, 47
NODES_BUSY, WAITS_FOR_TURN, NODES_KEPT_FOR_IT, LEFT_FOR_OTHERS = 48, 49, 50, 51
PLACE_AT_SITE, GRANT_SPENT, GRANT_NOT_BEGUN = 52, 53, 54
"""Codes of `model.reason.Code`, but for the first; loops know numbers only."""
GONE, SLEPT = -2, -1
"""Stand for the number of the event where a class failed: no job is left, or it was not asked."""


class Ground(NamedTuple):
    """Rows, as `rows.RowArrays` has them; all but *fixed* and *salt* are spent."""

    fixed: Ints
    free: Ints
    bars: Ints
    after: Floats
    worth: Floats
    backlog: Floats
    waiting: Ints
    salt: Salts
    idle: Floats  # (rows,) free cores
    full: Flags  # (rows,) whether the federation may not let more runs wait there
    top: Ints  # (rows, 4) the first bar of each row: mostly the whole nodes, and enough of them
    shared: Flags  # (rows,) whether others wait or run there too
    depth: Ints  # (rows,) jobs that may hold a place there
    held: Ints  # (rows,) jobs that hold one
    ours: Floats  # (rows,) node-seconds of those
    ahead: Floats  # (rows, places) node-seconds of others before each of our places
    first: (
        Ints  # (rows, 4) nodes, cores and accelerators of each, and limit of whom others wait for
    )
    reserved: Ints  # (rows,) place in which nodes are kept for whoever is first there, or -1


class Classes(NamedTuple):
    """What jobs of each class ask for, as `memo.Scores` has it, and in which order they come."""

    scored: Narrow
    numbers: Ints
    throttle: Ints
    estimate: Ints
    wide: Floats
    long: Floats
    cost: Floats
    able: Able  # as `asleep.able_rows` gives it
    head: Links
    sleeps: Flags  # (classes,) whether nothing was free for it anywhere when a round last ended
    changed: Ints  # the rows that have changed since


class Jobs(NamedTuple):
    """Jobs by slot, as `waiting.View` has them."""

    after: Links
    submitted: Floats
    name: Names
    salt: Salts
    at: Ints  # (slots,) row where a job holds a place, or -1


class Places(NamedTuple):
    """Kept places: `kept_places` says what their columns are."""

    columns: Floats
    lies: Ints
    later: Ints
    bars: Ints
    spare: Floats  # (places,) as `kept_places.spare_nodes` tells it
    used: Ints  # (1,)


@dataclass(frozen=True, slots=True)
class Found:
    """What a round found.

    Attributes:
        slot: (events,) the job, or the first one of those that stay.
        kind: (events,) its class.
        row: (events,) where it is sent, or -1.
        place: (events,) where it holds a place in the meantime, or -1.
        waves: (events,) how many times its tasks run one after the other.
        begin: (events,) seconds until it is expected to start where it holds a place.
        codes: (events, rows) code of each row, or AS_SCORED.
        failed: (classes,) number of the event that says why jobs stay, or SLEPT, or GONE.
        rest: (classes,) slot of the first job that stays without a place kept for it, or -1.
        sleeps: (classes,) whether it found no free nodes anywhere.
        looked: How many times a class was looked at.

    """

    slot: Ints
    kind: Ints
    row: Ints
    place: Ints
    waves: Floats
    begin: Floats
    codes: Codes
    failed: Ints
    rest: Links
    sleeps: Flags
    looked: int
