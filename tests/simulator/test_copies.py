"""Copies in every queue, against a few obviously right lines."""

from __future__ import annotations

import pytest

from res_federation.simulator.federation import replay_federation
from res_federation.simulator.site_models import FederationModel, pool
from res_federation.simulator.workload import Workload
from tests.simulator.drawn_workload import drawn
from tests.simulator.plain_queue import PlainQueue

SIZES = (16, 8, 4)
THREE = FederationModel("three", tuple(pool(f"s{size}", size) for size in SIZES))


def plain_copies(jobs: Workload, discipline: str) -> tuple[list[int], list[int]]:
    """Go through all seconds at which anything happens, and every queue at each."""
    queues = [PlainQueue(size, discipline) for size in SIZES]
    submit, procs = jobs.submit.tolist(), jobs.procs.tolist()
    start, place = [-1] * len(jobs), [-1] * len(jobs)
    ends: dict[int, list[int]] = {}
    times = set(submit)
    while times:
        now = min(times)
        times.remove(now)
        for job in ends.pop(now, []):
            queues[place[job]].finish(job, now)
        for job in range(len(jobs)):
            if submit[job] == now:
                for size, queue in zip(SIZES, queues, strict=True):
                    if procs[job] <= size:
                        queue.submit(job, procs[job], int(jobs.estimate[job]), now)
        for number, queue in enumerate(queues):
            for job in queue.start(now):
                start[job], place[job] = now, number
                for other in queues:
                    if other is not queue:
                        other.cancel(job)
                end = now + int(jobs.runtime[job])
                ends.setdefault(end, []).append(job)
                times.add(end)
    return start, place


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
def test_the_first_start_wins_and_the_other_copies_are_revoked_at_once(seed, scheduler):
    jobs = drawn(seed, 150, gap=25)
    outcome = replay_federation(jobs, THREE, policy="slurm-federation", scheduler=scheduler)
    start, place = plain_copies(jobs, scheduler)
    assert outcome.start.tolist() == start
    assert outcome.place.tolist() == place
