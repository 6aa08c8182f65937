"""How long a user's jobs ran, of what was asked for them: what the next one is expected to run.

Limits are mostly too long.  A job is expected to run for its limit times the largest of its user's
last few ratios of run time and limit: jobs are ranked by it, and it decides which fits before a
place that is kept for another.  Nobody is ended by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from res_federation.accounting.fair_share import Usage
from res_federation.control.state import FederationState
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.job_state import JobState
from res_federation.placement.order import processors

RAN = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT})
"""Ends that tell how long a job runs; one that was cancelled or lost might have run on."""
LEAST = 3
"""Ended jobs of a user from which their run times tell anything."""
KEPT = 16
"""Ratios that are kept of each user, the newest last: more than any policy asks for."""


def estimate(limit_s: int, ratios: Sequence[float], newest: int) -> int:
    """Return for how many seconds a job is expected to run: at least 1, at most its limit.

    Args:
        limit_s: The job's time limit.
        ratios: Of its user's ended jobs run time over limit, the newest last.
        newest: So many of them are looked at; 0 for none.

    """
    seen = ratios[-newest:] if newest > 0 else ()
    if len(seen) < min(LEAST, newest) or not seen:
        return limit_s
    return max(1, min(limit_s, ceil(limit_s * max(seen))))


def estimated(state: FederationState, spec: JobSpec) -> int:
    """Return for how many seconds a new job is expected to run, by what is known of its user."""
    late = state.policy.late
    if late is None:
        return spec.time_limit_s
    return estimate(spec.time_limit_s, state.history.get(spec.user, ()), late.history)


def learn(state: FederationState, job: Job) -> tuple[float, ...] | None:
    """Note how long a job ran that has just ended; None where that tells nothing.

    Returns:
        What is known of its user from now on.

    """
    run, limit = job.run, job.spec.time_limit_s
    length = None if run is None or job.state not in RAN else ran_for(run)
    if length is None or limit <= 0:
        return None
    ratio = min(1.0, length / limit)
    known = (*state.history.get(job.spec.user, ()), ratio)[-KEPT:]
    state.history[job.spec.user] = known
    return known


def spend(state: FederationState, job: Job, at: float) -> None:
    """Note what a job used that has just ended, where the policy's order asks for it."""
    late, run = state.policy.late, job.run
    length = None if run is None else ran_for(run)
    if late is None or late.fair_share <= 0 or length is None:
        return
    wide = processors(job.spec.request, late.accelerator_width)
    used = state.usage.get(job.spec.user, Usage(0.0, at))
    amount = wide * length * job.spec.tasks
    state.usage[job.spec.user] = used.more(amount, at, late.half_life_s)


def ran_for(run: Run) -> float | None:
    """Return the seconds that the longest task of a run took; None where nobody knows."""
    lengths = [
        task.ended - task.started
        for task in run.tasks
        if task.started is not None and task.ended is not None
    ]
    if lengths:
        return max(0.0, *lengths)
    if run.started is None or run.ended is None:
        return None
    return max(0.0, run.ended - run.started)
