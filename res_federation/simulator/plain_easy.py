"""EASY backfilling in plain Python: what `resfed bench replay` measures the kernels against.

It says what the conventions say and nothing cleverer: a list for the queue, a sorted list for the
running jobs, one look through the queue in each pass.
"""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush

from res_federation.simulator.workload import Workload


def plain_easy(workload: Workload, processors: int) -> list[int]:
    """Return the start of each job, in the order of the queue."""
    submit, runtime = workload.submit.tolist(), workload.runtime.tolist()
    procs, estimate = workload.procs.tolist(), workload.estimate.tolist()
    jobs, arrived, free = len(submit), 0, processors
    start = [-1] * jobs
    ends: list[tuple[int, int]] = []
    believed: list[tuple[int, int]] = []
    queue: list[int] = []
    while arrived < jobs or ends:
        if ends and (arrived == jobs or ends[0][0] <= submit[arrived]):
            now = ends[0][0]
        else:
            now = submit[arrived]
        while ends and ends[0][0] == now:
            job = heappop(ends)[1]
            believed.remove((start[job] + estimate[job], job))
            free += procs[job]
        while arrived < jobs and submit[arrived] == now:
            queue.append(arrived)
            arrived += 1
        for job in _starting(queue, believed, procs, estimate, free, now):
            start[job] = now
            free -= procs[job]
            heappush(ends, (now + runtime[job], job))
    return start


def _starting(
    queue: list[int],
    believed: list[tuple[int, int]],
    procs: list[int],
    estimate: list[int],
    free: int,
    now: int,
) -> list[int]:
    """Make one pass; the jobs that start leave *queue* and join *believed*."""
    count = 0
    while count < len(queue) and procs[queue[count]] <= free:
        job = queue[count]
        free -= procs[job]
        insort(believed, (now + estimate[job], job))
        count += 1
    begun = queue[:count]
    del queue[:count]
    if not queue or not free:
        return begun
    head = procs[queue[0]]
    shadow, then = now, free
    for end, job in believed:
        if then >= head and end > shadow:
            break
        shadow, then = end, then + procs[job]
    extra = then - head
    kept = queue[:1]
    for job in queue[1:]:
        in_time = now + estimate[job] <= shadow
        if procs[job] <= free and (in_time or procs[job] <= extra):
            free -= procs[job]
            extra -= 0 if in_time else procs[job]
            insort(believed, (now + estimate[job], job))
            begun.append(job)
        else:
            kept.append(job)
    queue[:] = kept
    return begun
