"""What a run used: of each task the whole seconds that it held its cores and accelerators."""

from __future__ import annotations

from math import ceil

from res_federation.model.job import Run


def seconds(run: Run) -> int:
    """Return the seconds of all tasks of a run that has ended, each rounded up to a whole second.

    A task that was seen to start and not to end ran until the run was given up (`LOST` runs): that
    is the most that it can have used as far as anybody knows.  What was never seen to start used
    nothing.
    """
    total = 0
    for task in run.tasks:
        if task.started is not None:
            ended = task.ended if task.ended is not None else run.ended
            total += _length(task.started, ended)
    if total == 0 and run.started is not None and all(one.started is None for one in run.tasks):
        return _length(run.started, run.ended)
    return total


def _length(started: float, ended: float | None) -> int:
    return 0 if ended is None else max(0, ceil(ended - started))
