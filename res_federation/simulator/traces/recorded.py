"""A broker's recording as a workload: what was submitted to it, and how long it ran."""

from __future__ import annotations

from pathlib import Path

from res_federation.control.events import JobSubmitted, SiteReported
from res_federation.control.state import FederationState
from res_federation.model.identifiers import JobId, job_of
from res_federation.model.job import JobSpec, TaskOutcome
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.gather import Gathered
from res_federation.simulator.workload import Workload
from res_federation.store.recording import read_recording


def read_recorded(path: Path, name: str, first: int | None) -> Workload:
    """Return the jobs of a recording; an array's tasks are jobs of their own.

    Raises:
        InvalidArgument: If the file is no whole recording.

    """
    submitted: dict[JobId, tuple[float, JobSpec]] = {}
    outcomes: dict[tuple[JobId, int], TaskOutcome] = {}
    for frame in read_recording(path):
        if isinstance(frame, FederationState):
            for job in frame.jobs.values():
                submitted.setdefault(job.id, (job.submitted, job.spec))
                if job.run is not None:
                    outcomes |= {(job.id, task.index): task for task in job.run.tasks}
        elif isinstance(frame, JobSubmitted):
            submitted[frame.job] = (frame.at, frame.spec)
        elif isinstance(frame, SiteReported):
            for run in frame.runs:
                outcomes |= {(job_of(run.token), task.index): task for task in run.tasks}
    jobs = Gathered(first)
    for number, (submission, (at, spec)) in enumerate(submitted.items(), start=1):
        for index in spec.array or (-1,):
            if not jobs.wanted():
                break
            job_id = f"{submission}_{index}" if index >= 0 else submission
            _add(jobs, number, job_id, at, spec, outcomes.get((submission, index)))
    return jobs.workload(name)


def _add(
    jobs: Gathered, number: int, name: str, at: float, spec: JobSpec, task: TaskOutcome | None
) -> None:
    if task is None or task.started is None:
        jobs.drop(rules.NEVER_STARTED, number)
        return
    if task.ended is None:
        jobs.drop(rules.NOT_ENDED, number)
        return
    request = spec.request
    times = (int(at), round(task.ended - task.started), spec.time_limit_s)
    procs = (request.tasks or request.nodes or 1) * request.cpus_per_task
    who = (spec.user, spec.account, spec.partition)
    jobs.add(number, name, times, procs, who, request)
