"""Scored shapes into decisions, serially, spending capacity; and the commit's check of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from res_federation.model.identifiers import JobId
from res_federation.model.job import Job
from res_federation.model.plan import Assignment
from res_federation.model.reason import Code, Reason
from res_federation.placement import kernels
from res_federation.placement.policy import Policy
from res_federation.placement.rows import Ints, RowArrays, encode_rows
from res_federation.placement.score import Board, Narrow, in_process, score
from res_federation.placement.shapes import Queue, encode_jobs
from res_federation.placement.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of each job of a queue.

    Attributes:
        verdicts: (jobs, rows, 3) code, needed, have.
        terms: (jobs, rows, 4) start, transfer, idle accelerator, run: seconds.
        chosen: (jobs,) row, or -1.
        starts: (jobs,) whether free nodes were taken for it.

    """

    verdicts: npt.NDArray[np.int32]
    terms: npt.NDArray[np.float32]
    chosen: Ints
    starts: npt.NDArray[np.bool_]


def decide(
    rows: RowArrays, queue: Queue, scored: Narrow, policy: Policy, only: Ints | None = None
) -> Decided:
    """Decide every job of *queue* in its order; *rows* is left as it was.

    Args:
        rows: Capacity at the beginning.
        queue: Jobs, in the order in which they are decided.
        scored: As `score.score` gives it.
        policy: What is weighed.
        only: (jobs,) the one row that each job is held against; all rows where not given.

    """
    free, bars = rows.free.copy(), rows.bars.copy()
    none = np.full(len(queue.jobs), -1, np.int64)
    found = kernels.decide(
        scored, queue.shape, queue.shapes.numbers, queue.transfer, queue.reference,
        queue.throttle, queue.salt, rows.fixed, free, bars, rows.release_after.copy(),
        rows.release_nodes.copy(), rows.backlog.copy(), rows.waiting.copy(), rows.speed, rows.salt,
        float(policy.idle_accelerator_s), float(policy.unknown_release_s),
        none if only is None else only,
    )  # fmt: skip
    return Decided(*found)


def recheck(
    snapshot: Snapshot,
    jobs: Mapping[JobId, Job],
    assignments: Sequence[Assignment],
    policy: Policy,
) -> tuple[Reason | None, ...]:
    """Hold each assignment against the present, in order; None where it still stands.

    The very functions that planned are asked again, so on an unchanged snapshot every
    assignment stands; where a job was to begin at once and no longer can, it is planned anew.
    """
    if not assignments:
        return ()
    rows = encode_rows(snapshot, policy)
    queue = encode_jobs([jobs[one.job] for one in assignments], rows, snapshot.distances, policy)
    board = Board(rows.version, rows.fixed, queue.shapes.codes)
    only = np.array([_row(rows, one) for one in assignments], np.int64)
    decided = decide(rows, queue, score(board, queue.shapes, in_process), policy, only)
    return tuple(
        _verdict(decided, number, only[number], assignment)
        for number, assignment in enumerate(assignments)
    )


def _row(rows: RowArrays, assignment: Assignment) -> int:
    """Find the assignment's row; a partition that is gone counts as past the last row."""
    if assignment.row < len(rows.frame) and rows.frame[assignment.row] == assignment.partition:
        return assignment.row
    if assignment.partition in rows.frame:
        return rows.frame.index(assignment.partition)
    return len(rows.frame)


def _verdict(decided: Decided, number: int, row: int, assignment: Assignment) -> Reason | None:
    if row >= decided.verdicts.shape[1]:
        return Reason(Code.SNAPSHOT_OUTDATED)
    if decided.chosen[number] < 0:
        code, needed, have = (int(value) for value in decided.verdicts[number, row])
        return Reason(Code(code), needed, have)
    if assignment.starts_now and not decided.starts[number]:
        return Reason(Code.SNAPSHOT_OUTDATED)
    return None
