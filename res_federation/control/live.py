"""How many jobs wait or run, by who submitted them: what a user or a project may not exceed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from res_federation.errors import ResourceExhausted
from res_federation.model.job import Job
from res_federation.model.limits import Limits


@dataclass(slots=True)
class Live:
    """Counts of live jobs and their tasks: by user, and jobs by project.

    Plain values: they travel in recordings of the state.
    """

    jobs: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    project_jobs: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Live:
        """Count *jobs*."""
        live = cls()
        for job in jobs:
            live.add(job)
        return live

    def add(self, job: Job) -> None:
        """Count a job that is live from now on."""
        spec = job.spec
        self.jobs[spec.user] = self.jobs.get(spec.user, 0) + 1
        self.tasks[spec.user] = self.tasks.get(spec.user, 0) + spec.tasks
        if spec.project:
            self.project_jobs[spec.project] = self.project_jobs.get(spec.project, 0) + 1

    def remove(self, job: Job) -> None:
        """Count a job no more."""
        spec = job.spec
        for counts, key, amount in (
            (self.jobs, spec.user, 1),
            (self.tasks, spec.user, spec.tasks),
            (self.project_jobs, spec.project, 1),
        ):
            left = counts.pop(key, 0) - amount
            if left > 0:  # users come and go: only those with live jobs are kept
                counts[key] = left

    def check_room(self, limits: Limits, user: str, project: str, jobs: int, tasks: int) -> None:
        """Check that so many more jobs and tasks are within *limits*.

        Raises:
            ResourceExhausted: Naming the limit and the present figure.

        """
        for who, count, more, most, what in (
            (user, self.jobs.get(user, 0), jobs, limits.user_jobs, "jobs"),
            (user, self.tasks.get(user, 0), tasks, limits.user_tasks, "tasks"),
            (f"project {project}", self.project_jobs.get(project, 0),
             jobs if project else 0, limits.project_jobs, "jobs"),
        ):  # fmt: skip
            if 0 < most < count + more:
                raise ResourceExhausted(
                    f"{who} has {count} {what} that wait or run; with {more} more it is over"
                    f" the limit of {most}",
                    way_out="wait until some have ended",
                    code="TOO_MANY_JOBS",
                )
