"""What is in a trace, as figures: for `resfed trace check`."""

from __future__ import annotations

from typing import Any

import numpy as np

from res_federation.simulator.workload import Ints, Workload


def figures(work: Workload) -> dict[str, Any]:
    """Return the figures of a workload, ready for JSON; None where there is nothing to tell.

    The load is the processor seconds of all jobs over what the machine of the trace's header has
    between the first and the last submit.
    """
    jobs = len(work)
    first, last = (int(work.submit[0]), int(work.submit[-1])) if jobs else (None, None)
    span = None if first is None or last is None else last - first
    area = float(np.dot(work.procs.astype(np.float64), work.runtime))
    has_load = bool(work.processors and span)
    return {
        "trace": work.name,
        "format": work.form,
        "processors": work.processors or None,
        "read": work.read,
        "jobs": jobs,
        "dropped": dict(work.dropped),
        "repaired": dict(work.repaired),
        "first_lines": dict(work.first_lines),
        "first_submit": first,
        "last_submit": last,
        "span_s": span,
        "processor_seconds": int(area),
        "load": round(area / (work.processors * span), 4) if has_load and span else None,
        "users": _different(work.user),
        "groups": _different(work.group),
        "queues": _different(work.queue),
        "shapes": len(work.shapes),
        "procs": _spread(work.procs),
        "runtime_s": _spread(work.runtime),
        "estimate_s": _spread(work.estimate),
        "larger_than_machine": int((work.procs > work.processors).sum()) if work.processors else 0,
    }


def _different(numbers: Ints) -> int:
    return len(np.unique(numbers[numbers >= 0]))


def _spread(values: Ints) -> dict[str, int] | None:
    if not len(values):
        return None
    middle, high = np.percentile(values, (50, 95), method="lower")
    return {
        "min": int(values.min()),
        "median": int(middle),
        "p95": int(high),
        "max": int(values.max()),
    }
