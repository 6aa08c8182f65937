"""A job in the queue or on the nodes of a virtual site, and how a run of them is told."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.resources import Layout
from res_federation.simulator.release_profile import Amounts
from res_federation.simulator.virtual_site_partition import VirtualPartition


@dataclass(slots=True)
class Held:
    """A job in the site's queue or on its processors: a run, or a local user's (no token)."""

    key: int
    job: int
    part: VirtualPartition
    token: RunToken | None
    limit: int
    amounts: Amounts
    submitted: int
    fenced: bool = False
    given: int = -1
    begun: int = -1
    size: int | Layout = 0


def seen(held: Held) -> RunObservation:
    """Return how a run stands that the site holds."""
    assert held.token is not None, "a local job is not told"
    if held.begun >= 0:
        return RunObservation(held.token, JobState.RUNNING, begun=True, started=float(held.begun))
    return RunObservation(
        held.token, JobState.SUBMITTED, fenced=held.fenced, asks=held.fenced and held.given >= 0
    )
