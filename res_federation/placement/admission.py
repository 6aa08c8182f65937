"""One job held against one row, by the planner's own loops."""

from __future__ import annotations

from res_federation.model.job import Job
from res_federation.model.reason import Reason
from res_federation.placement.decide import decide
from res_federation.placement.packing import pack, unpack
from res_federation.placement.policy import Policy
from res_federation.placement.rows import encode_rows
from res_federation.placement.score import Board, in_process, score
from res_federation.placement.shapes import encode_jobs
from res_federation.placement.snapshot import Row, Snapshot


def admission(row: Row, job: Job, policy: Policy) -> Reason:
    """Return FITS, or the first constraint by which *row* does not take *job* now."""
    snapshot = Snapshot(0, 0.0, (row,))
    rows = encode_rows(snapshot, policy)
    queue = encode_jobs((job,), rows, snapshot.distances, policy)
    scored = score(Board(rows.version, rows.fixed, queue.shapes.codes), queue.shapes, in_process)
    _, (verdict,) = unpack(pack(rows.frame_id, decide(rows, queue, scored, policy))[0])
    return verdict.reason
