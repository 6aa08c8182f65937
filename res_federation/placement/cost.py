"""What ranks the rows where a job can start now."""

from __future__ import annotations

import numpy as np

from res_federation.placement.policy import EMPTIEST, Policy
from res_federation.placement.rows import AVAILABLE, CORES, Floats, RowArrays, grades
from res_federation.placement.shapes import ShapeColumns

_MOST_MINUTES = 1 << 20


def preference(rows: RowArrays, columns: ShapeColumns, policy: Policy) -> Floats:
    """Return (shapes, rows) numbers in the order in which rows are preferred, the least first.

    The least accelerator that will do (one on which the job would take far too long comes last),
    then the quickest transfer by the minute, then the smallest cluster, unless the emptiest is
    preferred.
    """
    late = policy.late
    count = len(rows.frame)
    if late is None or not count:
        return np.zeros(columns.transfer.shape)
    grade = grades(rows).astype(np.float64)
    slow = columns.reference[:, None] > late.slowest * rows.speed[None, :]
    size = np.zeros(count)
    if late.prefer != EMPTIEST:
        cores = rows.fixed[:, AVAILABLE] * rows.fixed[:, CORES]
        size = np.unique(cores, return_inverse=True)[1].reshape(count).astype(np.float64)
    minutes = np.minimum(np.floor(columns.transfer / 60.0), _MOST_MINUTES - 1.0)
    cost: Floats = ((slow * float(count + 1) + grade) * _MOST_MINUTES + minutes) * float(
        count
    ) + size
    return cost
