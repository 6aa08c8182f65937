"""Scored shapes into decisions, serially, spending capacity; and the commit's check of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from res_federation.accounting.funds import Funds
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job
from res_federation.model.plan import Assignment
from res_federation.model.reason import Code, Reason
from res_federation.placement import kernels, terms
from res_federation.placement.decide_late import decide_late, triples
from res_federation.placement.ground import GONE
from res_federation.placement.paying import Till, codes_of, nodes_of, noted
from res_federation.placement.policy import LateStart, Policy
from res_federation.placement.row_memo import RowMemo
from res_federation.placement.rows import Floats, Ints, RowArrays
from res_federation.placement.score import Board, Narrow, Scatter, in_process, score
from res_federation.placement.shapes import Queue, encode_jobs
from res_federation.placement.snapshot import Snapshot
from res_federation.placement.terms import Considered, of_queue, rest, run_factor, static_terms
from res_federation.placement.waiting import Waiting

PartitionRow = tuple[PartitionId, int]
_Found = tuple[Narrow, npt.NDArray[np.float32], Ints, npt.NDArray[np.bool_]]
"""Verdicts, terms, chosen and starts, as `Decided` has them."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of each job of a queue.

    Attributes:
        verdicts: (jobs, rows, 3) code, needed, have.
        terms: (jobs, rows, 4) start, transfer, idle accelerator, run: seconds; NaN: not told.
        chosen: (jobs,) row, or -1.
        starts: (jobs,) whether free nodes were taken for it.
        static: (shapes, rows, len(STATIC)) seconds of all terms, where others than the four count.
        shape: (jobs,) index of each one's shape there.

    """

    verdicts: npt.NDArray[np.int32]
    terms: npt.NDArray[np.float32]
    chosen: Ints
    starts: npt.NDArray[np.bool_]
    static: Floats | None = None
    shape: Ints | None = None


def consider(
    snapshot: Snapshot,
    jobs: Sequence[Job],
    policy: Policy,
    *,
    scatter: Scatter = in_process,
    held_to: Sequence[PartitionRow] | None = None,
    known: RowMemo | None = None,
) -> tuple[RowArrays, Decided]:
    """Decide *jobs* in their order on *snapshot*: every question about placement comes here.

    What is ordered already is spent first, by the same loops.

    Args:
        snapshot: Capacity.
        jobs: In the order in which they are decided.
        policy: What is weighed.
        scatter: Spreads the scoring.
        held_to: For each job the one partition, and the row where it is known, that it is held
            against; every row where not given.
        known: Rows of the snapshot before.

    """
    if policy.late is not None and held_to is None:
        return _consider_late(snapshot, jobs, policy, policy.late, scatter)
    rows = (known or RowMemo()).encode(snapshot, policy)
    spent = len(snapshot.ordered)
    queue = encode_jobs(
        [*(one.job for one in snapshot.ordered), *jobs], rows, snapshot.distances, policy,
        snapshot.residency,
    )  # fmt: skip
    only = np.full(len(queue.jobs), -1, np.int64)
    only[:spent] = [_row(rows, one.partition, -1) for one in snapshot.ordered]
    if held_to is not None:
        only[spent:] = [_row(rows, partition, row) for partition, row in held_to]
    board = Board(rows.version, rows.fixed, queue.shapes.codes)
    scored = score(board, queue.shapes, scatter)
    of = None if held_to is not None else of_queue(rows, queue, snapshot, policy)
    static = None if of is None or not rest(of).any() else static_terms(of)
    if snapshot.funds is None or not jobs:
        found = _decide(rows, queue, scored, of, policy, only)
    else:
        _decide(rows, _part(queue, slice(spent)), scored, of, policy, only[:spent])
        found = _paid(rows, _part(queue, slice(spent, None)), scored, of, policy, only[spent:],
                      snapshot.funds)  # fmt: skip
        spent, queue = 0, _part(queue, slice(spent, None))
    verdicts, seconds, chosen, starts = found
    return rows, Decided(
        verdicts[spent:], seconds[spent:], chosen[spent:], starts[spent:], static,
        queue.shape[spent:],
    )  # fmt: skip


def _decide(
    rows: RowArrays, queue: Queue, scored: Narrow, of: Considered | None, policy: Policy,
    only: Ints,
) -> _Found:  # fmt: skip
    """Decide the jobs of a queue one after the other; without *of* nothing is ranked."""
    transfer, factor = queue.transfer, np.ones((len(queue.reference), len(rows.frame)))
    other = np.zeros((1, len(rows.frame)))
    if of is not None:
        transfer, other = terms.transfer(of), rest(of)
        factor = run_factor(of) if queue.reference.any() else factor
    found: _Found = kernels.decide(
        scored, queue.shape, queue.shapes.numbers, transfer, queue.reference, queue.throttle,
        queue.salt, rows.fixed, rows.free, rows.bars, rows.release_after, rows.release_nodes,
        rows.backlog, rows.waiting, factor, other, rows.salt, float(policy.idle_accelerator_s),
        float(policy.unknown_release_s), only,
    )  # fmt: skip
    return found


def _part(queue: Queue, jobs: slice) -> Queue:
    """Return some jobs of a queue, with the shapes of all."""
    return replace(queue, jobs=queue.jobs[jobs], shape=queue.shape[jobs], salt=queue.salt[jobs])


def _paid(
    rows: RowArrays, queue: Queue, scored: Narrow, of: Considered | None, policy: Policy,
    only: Ints, funds: Funds,
) -> _Found:  # fmt: skip
    """Decide the jobs of a queue where grants pay, and take back what none does in its turn."""
    codes, nodes = np.zeros((len(scored), len(rows.frame)), np.uint8), nodes_of(rows.rows)
    for kind, first in zip(*np.unique(queue.shape, return_index=True), strict=True):
        spec = queue.jobs[first].spec
        mine = codes_of(spec, nodes, funds)
        codes[kind] = [mine[name] for name in rows.frame]
    payable = noted(scored, codes, (), rows.rows)
    verdicts, seconds, chosen, starts = _decide(rows, queue, payable, of, policy, only)
    till = Till(funds, rows.rows)
    for number in np.flatnonzero(chosen >= 0).tolist():
        row = int(chosen[number])
        if till.pay(queue.jobs[number].spec, rows.frame[row]) is None:
            verdicts[number, row] = int(Code.GRANT_SPENT), -1, -1
            chosen[number], starts[number] = -1, False
    return verdicts, seconds, chosen, starts


def spent(
    snapshot: Snapshot, policy: Policy, scatter: Scatter, known: RowMemo | None = None
) -> RowArrays:
    """Return the rows of *snapshot* after what is ordered already was taken off."""
    if not snapshot.ordered:
        return (known or RowMemo()).encode(snapshot, policy)
    return consider(snapshot, (), policy, scatter=scatter, held_to=(), known=known)[0]


def _consider_late(
    snapshot: Snapshot, jobs: Sequence[Job], policy: Policy, late: LateStart, scatter: Scatter
) -> tuple[RowArrays, Decided]:
    """Decide *jobs* by class and tell each by itself, in the order in which they were given."""
    view = Waiting(policy.seed, jobs, by_user=late.fair_share > 0).view()
    rows = spent(snapshot, policy, scatter)
    found = decide_late(snapshot, rows, view, policy, late, scatter)
    places = {job.id: number for number, job in enumerate(jobs)}
    verdicts = np.zeros((len(jobs), len(rows.frame), 3), np.int32)
    seconds = np.zeros((len(jobs), len(rows.frame), 4), np.float32)
    chosen = np.full(len(jobs), -1, np.int64)
    told = found.found
    for kind in np.flatnonzero(told.failed != GONE).tolist():
        shared = triples(found, kind, int(told.failed[kind]))
        for job in view.names_from(int(told.rest[kind])):
            verdicts[places[job]] = shared
    for event, (slot, row) in enumerate(zip(told.slot.tolist(), told.row.tolist(), strict=True)):
        place, kind = places[view.job(slot).id], int(told.kind[event])
        verdicts[place] = triples(found, kind, event)
        if row >= 0:
            chosen[place], seconds[place, row] = row, (0.0, np.nan, np.nan, np.nan)
    return rows, Decided(verdicts, seconds, chosen, chosen >= 0)


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
    held_to = [(one.partition, one.row) for one in assignments]
    rows, decided = consider(
        snapshot, [jobs[one.job] for one in assignments], policy, held_to=held_to
    )
    return tuple(
        _verdict(decided, number, _row(rows, *held_to[number]), assignment)
        for number, assignment in enumerate(assignments)
    )


def _row(rows: RowArrays, partition: PartitionId, row: int) -> int:
    """Find a partition's row; a partition that is gone counts as past the last row."""
    if 0 <= row < len(rows.frame) and rows.frame[row] == partition:
        return row
    return rows.frame.index(partition) if partition in rows.frame else len(rows.frame)


def _verdict(decided: Decided, number: int, row: int, assignment: Assignment) -> Reason | None:
    if row >= decided.verdicts.shape[1]:
        return Reason(Code.SNAPSHOT_OUTDATED)
    if decided.chosen[number] < 0:
        code, needed, have = (int(value) for value in decided.verdicts[number, row])
        return Reason(Code(code), needed, have)
    if assignment.starts_now and not decided.starts[number]:
        return Reason(Code.SNAPSHOT_OUTDATED)
    return None
