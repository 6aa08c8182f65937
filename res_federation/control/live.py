"""How many jobs wait or run, by who submitted them: what a user or a project may not exceed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from res_federation.errors import ResourceExhausted
from res_federation.model.job import Job
from res_federation.model.limits import Limits


class Live:
    """Counts of live jobs and their tasks."""

    __slots__ = ("jobs", "project_jobs", "tasks")

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        """Count *jobs*."""
        self.jobs: Counter[str] = Counter()
        self.tasks: Counter[str] = Counter()
        self.project_jobs: Counter[str] = Counter()
        for job in jobs:
            self.add(job)

    def __eq__(self, other: object) -> bool:
        """Compare all counts."""
        return isinstance(other, Live) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment] # it changes

    def add(self, job: Job) -> None:
        """Count a job that is live from now on."""
        spec = job.spec
        self.jobs[spec.user] += 1
        self.tasks[spec.user] += spec.tasks
        if spec.project:
            self.project_jobs[spec.project] += 1

    def remove(self, job: Job) -> None:
        """Count a job no more."""
        spec = job.spec
        for counts, key, amount in (
            (self.jobs, spec.user, 1),
            (self.tasks, spec.user, spec.tasks),
            (self.project_jobs, spec.project, 1 if spec.project else 0),
        ):
            counts[key] -= amount
            if counts[key] <= 0:
                del counts[key]  # users come and go: only those with live jobs are kept

    def check_room(self, limits: Limits, user: str, project: str, jobs: int, tasks: int) -> None:
        """Check that so many more jobs and tasks are within *limits*.

        Raises:
            ResourceExhausted: Naming the limit and the present figure.

        """
        for who, count, more, most, what in (
            (user, self.jobs[user], jobs, limits.user_jobs, "jobs"),
            (user, self.tasks[user], tasks, limits.user_tasks, "tasks"),
            (f"project {project}", self.project_jobs[project] if project else 0,
             jobs if project else 0, limits.project_jobs, "jobs"),
        ):  # fmt: skip
            if 0 < most < count + more:
                raise ResourceExhausted(
                    f"{who} has {count} {what} that wait or run; with {more} more it is over"
                    f" the limit of {most}",
                    way_out="wait until some have ended",
                    code="TOO_MANY_JOBS",
                )
