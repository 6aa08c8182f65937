"""What the jobs of a workload ask for, as a federation and its sites want to hear it."""

from __future__ import annotations

from res_federation.model.identifiers import JobId
from res_federation.model.job import JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.simulator.workload import Workload

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PREFIX = "01000000000000000000"


class Demand:
    """Jobs by number, in the order of the workload; jobs that ask alike share one request.

    Attributes:
        submit: (jobs) seconds.
        runtime: (jobs) seconds.
        limit: (jobs) the user's time limit in seconds.
        user: (jobs) number of the user, -1 where unknown.
        kind: (jobs) index into *requests*.
        requests: Distinct requests.
        ids: (jobs) identifiers, ascending.
        number: Job by identifier.

    """

    def __init__(self, workload: Workload, *, shaped: bool) -> None:
        """Read a workload.

        Args:
            workload: The jobs.
            shaped: Whether requests with nodes, memory and accelerators are heeded; where all
                partitions are pools of processors, jobs ask for processors alone.

        """
        self.submit: list[int] = workload.submit.tolist()
        self.runtime: list[int] = workload.runtime.tolist()
        self.limit: list[int] = workload.estimate.tolist()
        self.procs: list[int] = workload.procs.tolist()
        self.user: list[int] = workload.user.tolist()
        shapes = workload.shape.tolist() if shaped and len(workload.shape) else []
        self.requests: list[ResourceRequest] = list(workload.shapes) if shapes else []
        self.kind: list[int] = []
        known: dict[int, int] = {}
        for job, procs in enumerate(self.procs):
            kind = shapes[job] if shapes else -1
            if kind < 0:
                if procs not in known:
                    known[procs] = len(self.requests)
                    self.requests.append(ResourceRequest(tasks=procs))
                kind = known[procs]
            self.kind.append(kind)
        self.ids = job_ids(len(self.submit))
        self.number = {job: number for number, job in enumerate(self.ids)}
        self._specs: dict[tuple[int, int, int], JobSpec] = {}

    def spec(self, job: int) -> JobSpec:
        """Return what a user would have submitted; equal ones are one object."""
        key = (self.kind[job], self.limit[job], self.user[job])
        spec = self._specs.get(key)
        if spec is None:
            kind, limit, user = key
            spec = self._specs[key] = JobSpec(
                name="job", user=f"user-{user}", script="",
                request=self.requests[kind], time_limit_s=limit,
            )  # fmt: skip
        return spec


def job_ids(count: int) -> list[JobId]:
    """Return *count* identifiers in ascending order, in the form of a ULID."""
    pairs = [a + b for a in _DIGITS for b in _DIGITS]
    return [
        JobId(_PREFIX + pairs[n >> 20 & 1023] + pairs[n >> 10 & 1023] + pairs[n & 1023])
        for n in range(count)
    ]
