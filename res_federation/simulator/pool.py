"""Replay a whole trace on one pool of processors.

The conventions, to the second: at one instant completions free their processors, arrivals join the
queue, then one scheduling pass is made; a job that starts at t holds its processors over
[t, t + run time); the scheduler believes in the estimate.  All else is in `pool_passes`.
"""

from __future__ import annotations

import heapq

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.placement.kernels import compiled
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.pool_passes import run_pass
from res_federation.simulator.pool_state import (
    DISCIPLINES,
    RUNNING,
    Pool,
    enqueue,
    finish,
    make_pool,
)
from res_federation.simulator.workload import Ints, Workload

MACHINE = "machine"


def replay_pool(workload: Workload, processors: int, scheduler: str) -> Outcome:
    """Return when each job starts on a pool of *processors* under a local scheduler.

    Raises:
        InvalidArgument: If there is no such scheduler, there are no processors, or a job asks for
            more of them than there are.

    """
    if scheduler not in DISCIPLINES:
        known = ", ".join(DISCIPLINES)
        raise InvalidArgument(f"unknown scheduler {scheduler!r}", field="scheduler", way_out=known)
    if processors <= 0:
        raise InvalidArgument("a machine needs at least one processor", field="machine")
    count = len(workload)
    if count and int(workload.procs.max()) > processors:
        worst = int(np.argmax(workload.procs > processors))
        raise InvalidArgument(
            f"job {workload.job_ids[worst]} asks for {workload.procs[worst]} processors, "
            f"the machine has {processors}",
            field="procs",
        )
    start = starts(
        workload.submit,
        workload.runtime,
        workload.procs,
        workload.estimate,
        processors,
        DISCIPLINES[scheduler],
    )
    return Outcome(
        workload=workload,
        places=(Place(MACHINE, MACHINE, processors),),
        place=np.zeros(count, np.int64),
        start=start,
        end=start + workload.runtime,
        local=np.zeros(count, np.bool_),
        left_out={},
    )


def starts(
    submit: Ints, runtime: Ints, procs: Ints, estimate: Ints, processors: int, discipline: int
) -> Ints:
    """Return (jobs,) start times; every argument in the order of the queue, *submit* ascending."""
    pool = make_pool(len(submit), np.unique(procs), processors, discipline)
    start = np.full(len(submit), -1, np.int64)
    replay(pool, submit, runtime, procs, estimate, start)
    return start


@compiled
def replay(
    pool: Pool, submit: Ints, runtime: Ints, procs: Ints, estimate: Ints, start: Ints
) -> None:
    """Run all jobs through the pool; job k has slot k + 1.  Fills *start*."""
    jobs = submit.shape[0]
    ends = [(0, 0) for _ in range(0)]  # a heap of (end, slot); typed by what is not in it
    arrived = 0
    while arrived < jobs or pool.head[RUNNING] > 0:
        if arrived < jobs and (len(ends) == 0 or submit[arrived] < ends[0][0]):
            now = submit[arrived]
        else:
            now = ends[0][0]
        while len(ends) > 0 and ends[0][0] == now:
            finish(pool, heapq.heappop(ends)[1], now)
        while arrived < jobs and submit[arrived] == now:
            enqueue(pool, arrived + 1, 0, arrived, procs[arrived], estimate[arrived])
            arrived += 1
        for k in range(run_pass(pool, now)):
            slot = pool.began[k]
            start[slot - 1] = now
            heapq.heappush(ends, (now + runtime[slot - 1], slot))
