"""Which job is decided first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from res_federation.model.job import Job
from res_federation.model.resources import ResourceRequest
from res_federation.placement.policy import LateStart, Policy


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* first come first served; the identifier settles equal times."""
    return sorted(jobs, key=lambda job: (job.submitted, job.id))


def in_turn(jobs: Iterable[Job], at: float, policy: Policy) -> list[Job]:
    """Return *jobs* in the order of *policy* at second *at*; of equal ones the older one first."""
    late = policy.late
    if late is None:
        return in_order(jobs)
    return sorted(jobs, key=lambda job: (-turn(job, at, late), job.submitted, job.id))


def turn(job: Job, at: float, late: LateStart) -> float:
    """Return how soon it is a job's turn: its age times its width over its length.

    The policy's exponents say how much of width and length counts.  Whoever has waited for the
    policy's patience counts twice, after twice as long five times: 1 + (wait / patience)^2.
    """
    wide, long = weight(job, late)
    wait = max(0.0, at - job.submitted)
    return float((wait + late.age_s) * wide / long * (1.0 + (wait / late.patience_s) ** 2))


def weight(job: Job, late: LateStart) -> tuple[float, float]:
    """Return how much a job's width counts for its turn, and how much its length against it."""
    width = processors(job.spec.request, late.accelerator_width)
    return float(width**late.width), float(max(1, run_estimate(job)) ** late.length)


def share(job: Job, shares: Mapping[str, float], late: LateStart) -> float:
    """Return by how much the fair share of a job's user multiplies its turn."""
    return float(shares.get(job.spec.user, 1.0) ** late.fair_share)


def run_estimate(job: Job) -> int:
    """Return for how many seconds a job is expected to run: its limit, where nothing is known.

    Only order and reservations go by it; nobody is ended by it.
    """
    return job.estimate_s or job.spec.time_limit_s


def processors(request: ResourceRequest, accelerator_width: float) -> float:
    """Return the processors that a request stands for, wherever it will lie."""
    nodes = request.nodes or 1
    tasks = request.tasks or nodes * (request.tasks_per_node or 1)
    devices = (
        request.accelerators_total
        or (request.accelerators_per_node or 0) * nodes
        or (request.accelerators_per_task or 0) * tasks
    )
    return max(nodes, tasks * request.cpus_per_task) + devices * accelerator_width
