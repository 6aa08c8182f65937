"""Compiles the kernels and starts the workers before the first user waits for them."""

from __future__ import annotations

import structlog

from res_federation.control.state import FederationState
from res_federation.model.identifiers import JobId
from res_federation.model.job import Job, JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.placement.declared import all_free
from res_federation.placement.engine import place
from res_federation.placement.score import Scatter
from res_federation.placement.waiting import Waiting
from res_federation.scatter.ray_scatter import RayScatter

log = structlog.get_logger(__name__)


def warm(state: FederationState, scatter: Scatter) -> None:
    """Make a round of jobs that nobody submitted, in a federation where all is free.

    Some start, and some wait and have their start foretold: so every loop of a round is compiled
    (the first time on a machine that takes half a minute, afterwards it is read from disk).
    """
    try:
        members = [site.site for site in state.sites.values()]
        snapshot = all_free(members, state.distances, state.dialects)
        jobs = [_job(number) for number in range(3)]
        if state.policy.late is None:
            place(snapshot, jobs, state.policy, scatter=scatter)
        else:
            view = Waiting(0, jobs).view([job.id for job in jobs])
            place(snapshot, view, state.policy, scatter=scatter)
        if isinstance(scatter, RayScatter):
            scatter.start()
    except Exception as error:  # noqa: BLE001 - rounds will try again; users can submit already
        log.warning("workers_not_started", why=f"{type(error).__name__}: {error}"[:500])


def _job(number: int) -> Job:
    """Return one of three: small, small with another limit, and one that is too wide for now."""
    request = ResourceRequest(tasks=1) if number < 2 else ResourceRequest(nodes=10**6)
    spec = JobSpec("warm", "nobody", "#!/bin/sh\n", request, time_limit_s=60 * (number + 1))
    return Job(JobId(f"{number:026d}"), spec, submitted=0.0)
