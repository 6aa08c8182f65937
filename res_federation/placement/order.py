"""Which job is decided first."""

from __future__ import annotations

from collections.abc import Iterable

from res_federation.model.job import Job


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* first come first served; the identifier settles equal times."""
    return sorted(jobs, key=lambda job: (job.submitted, job.id))
