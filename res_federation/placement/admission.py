"""One job held against one row, by the planner's own loops."""

from __future__ import annotations

from res_federation.model.job import Job
from res_federation.model.reason import Reason
from res_federation.placement.decide import consider
from res_federation.placement.packing import pack, unpack
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Row, Snapshot


def admission(row: Row, job: Job, policy: Policy) -> Reason:
    """Return FITS, or the first constraint by which *row* does not take *job* now."""
    rows, decided = consider(Snapshot(0, 0.0, (row,)), (job,), policy)
    _, (verdict,) = unpack(pack(rows.frame_id, decided)[0])
    return verdict.reason
