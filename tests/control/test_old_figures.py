"""An agent that is well over a batch system that is not: its figures are old, and count as old."""

from __future__ import annotations

import pytest

from res_federation.control.capacity import snapshot
from res_federation.control.events import SiteConnected, SiteReported
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, federation
from res_federation.model.capacity import CapacityReport, FreeNodes, PartitionCapacity
from res_federation.model.identifiers import PartitionId, SiteId, partition_id
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import NodeShape
from res_federation.model.sentences import sentence
from res_federation.model.site import Partition, Site

SHAPE = NodeShape(cores=8, memory_mib=16_000)
PART = PartitionId("a/c/p")
SITE_CLOCK = 500.0
"""The site's clock is behind the broker's: ages are differences on one clock."""


def reported(problem: str, measured_at: float | None) -> FederationState:
    partition = Partition(partition_id("a", "c", "p"), "p", SHAPE, 2)
    site = Site(SiteId("a"), "A", "C", "", 40.0, 0.0, "slurm", (partition,), clusters=("c",))
    state = federation((site,))
    report = CapacityReport(
        SiteId("a"), 1, SITE_CLOCK, 30.0,
        (PartitionCapacity(PART, SHAPE, 2, 2, free=(FreeNodes(2, 8, 16_000, 0),)),),
        problem=problem, measured_at=measured_at,
    )  # fmt: skip
    handle(state, SiteConnected(1000.0, SiteId("a")))
    handle(state, SiteReported(1000.0, report, (), "journal", True))
    return state


@pytest.mark.parametrize(
    ("measured_at", "age"), [(SITE_CLOCK - 3600.0, 3610), (SITE_CLOCK, 10), (None, 10)]
)
def test_old_figures_take_no_jobs_and_say_how_old_they_are(
    measured_at: float | None, age: int
) -> None:
    state = reported("slurmctld does not answer", measured_at)
    (row,) = snapshot(state, 1010.0).rows
    assert (row.problem, row.problem_have) == (Code.REPORT_STALE, age)
    assert "figures" in sentence(Reason(row.problem, have=row.problem_have))


def test_figures_without_a_problem_count_as_of_their_report() -> None:
    (row,) = snapshot(reported("", SITE_CLOCK - 20.0), 1010.0).rows
    assert row.problem is Code.FITS
