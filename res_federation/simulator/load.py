"""A workload at another load: submit times stretched or pressed, everything else as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.simulator.workload import Workload


def load_of(workload: Workload, processors: int) -> float:
    """Return processor-seconds over what *processors* have between first and last submission.

    Zero for less than two instants of submission.
    """
    if not len(workload):
        return 0.0
    span = int(workload.submit[-1] - workload.submit[0])
    work = float(np.sum(workload.procs.astype(np.float64) * workload.runtime))
    return work / (processors * span) if span else 0.0


def at_load(workload: Workload, processors: int, load: float) -> Workload:
    """Return *workload* with its submissions stretched so that *processors* have that *load*.

    The first submission stays where it is; the others are rounded down to whole seconds, so their
    order stays too.

    Raises:
        InvalidArgument: If *load* is not positive, or all jobs come at one instant.

    """
    if not load > 0:
        raise InvalidArgument(f"a load of {load:g} cannot be", way_out="--load 0.7")
    now = load_of(workload, processors)
    if not now:
        raise InvalidArgument(
            f"all jobs of '{workload.name}' come at one instant: they have no load",
            way_out="leave --load out",
        )
    first = workload.submit[0] if len(workload) else 0
    later = ((workload.submit - first) * (now / load)).astype(np.int64)
    return replace(workload, submit=first + later)
