"""Replay a whole trace on one pool of processors.

The conventions, to the second: at one instant completions free their processors, arrivals join the
queue, then one scheduling pass is made; a job that starts at t holds its processors over
[t, t + run time); the scheduler believes in the estimate.  All else is in `pool_passes`.
"""

from __future__ import annotations

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.placement.compiling import compiled
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.pool_passes import run_pass
from res_federation.simulator.pool_state import (
    CONSERVATIVE,
    DISCIPLINES,
    admit,
    enqueue,
    finish,
    make_pool,
)
from res_federation.simulator.pool_tree import BEGAN, DISCIPLINE, FREE, HEAD, QUEUED
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
    replay(*pool, submit, runtime, procs, estimate, start)
    return start


@compiled
def rise(heap: Ints, due: Ints, length: int, slot: int) -> None:
    """Put a slot on a heap of *length* by when it is due."""
    at, time = length, due[slot]
    while at > 0 and time < due[heap[(at - 1) >> 1]]:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = slot


@compiled
def sink(heap: Ints, due: Ints, length: int) -> None:
    """Take the first slot off a heap that then has *length*."""
    slot, at, child = heap[length], 0, 1
    time = due[slot]
    while child < length:
        if child + 1 < length and due[heap[child + 1]] < due[heap[child]]:
            child += 1
        if due[heap[child]] >= time:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = slot


@compiled
def replay(
    nodes: Ints,
    rows: Ints,
    submit: Ints,
    runtime: Ints,
    procs: Ints,
    estimate: Ints,
    start: Ints,
) -> None:
    """Run all jobs through the pool; slots are used again, so that few are.  Fills *start*."""
    jobs = submit.shape[0]
    ends, due = np.zeros(jobs + 1, np.int64), np.zeros(jobs + 1, np.int64)  # a heap, by due[slot]
    job, spare = np.zeros(jobs + 1, np.int64), np.arange(1, jobs + 1)
    arrived, running, used = 0, 0, 0
    planned = rows[HEAD, DISCIPLINE] == CONSERVATIVE
    while arrived < jobs or running > 0:
        if arrived < jobs and (running == 0 or submit[arrived] < due[ends[0]]):
            now = submit[arrived]
        else:
            now = due[ends[0]]
        while running > 0 and due[ends[0]] == now:
            finish(nodes, rows, ends[0], now)
            used -= 1
            spare[used] = ends[0]
            running -= 1
            sink(ends, due, running)
        while arrived < jobs and submit[arrived] == now:
            slot = spare[used]
            used += 1
            job[slot] = arrived
            if rows[HEAD, QUEUED] == 0 and procs[arrived] <= rows[HEAD, FREE] and not planned:
                admit(nodes, rows, slot, now, arrived, procs[arrived], estimate[arrived])
                start[arrived] = now
                due[slot] = now + runtime[arrived]
                rise(ends, due, running, slot)
                running += 1
            else:
                enqueue(nodes, rows, slot, 0, arrived, procs[arrived], estimate[arrived])
            arrived += 1
        if rows[HEAD, QUEUED] > 0:
            for k in range(run_pass(nodes, rows, now)):
                slot = rows[BEGAN, k]
                start[job[slot]] = now
                due[slot] = now + runtime[job[slot]]
                rise(ends, due, running, slot)
                running += 1
