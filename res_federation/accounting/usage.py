"""What a run used: of each task the whole seconds that it held its cores and accelerators."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from res_federation.accounting.books import RESERVED, Books, of_grant
from res_federation.model.job import Job, Run


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


def check_reserved(books: Books, live: Iterable[Job]) -> None:
    """Assert that the books balance, and that reserved is what the runs of *live* jobs have.

    Raises:
        AssertionError: Naming what does not hold.

    """
    books.check()
    reserved: dict[str, tuple[int, int]] = {}
    for job in live:
        for run in job.runs:
            assert run.settled or not run.state.final or not run.grant, f"{run.token} is unsettled"
            if run.grant and not run.settled:
                core_s, accelerator_s = reserved.get(run.grant, (0, 0))
                reserved[run.grant] = (
                    core_s + run.reserved_core_s, accelerator_s + run.reserved_accelerator_s,
                )  # fmt: skip
    for grant in sorted({*books.grants, *reserved}):
        stands = books.balance(of_grant(grant, RESERVED))[:2]
        wanted = reserved.get(grant, (0, 0))
        assert stands == wanted, f"grant {grant} has {stands} reserved, its runs {wanted}"
