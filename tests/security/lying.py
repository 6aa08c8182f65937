"""Two sites at the core of a broker: one honest, one that lies."""

from __future__ import annotations

from typing import Any

from res_federation.control.effects import Effect, RunRound, SendToSite
from res_federation.control.events import (
    Event,
    JobSubmitted,
    PlanReady,
    SiteConnected,
    SiteReported,
    Ticked,
)
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, federation
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.capacity import CapacityReport, FreeNodes, PartitionCapacity
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import Job, JobSpec, RunObservation
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition, Site
from res_federation.placement.engine import place
from tests.builders import an_id

GPU = NodeShape(80, 512_000, "nvidia-h100-sxm-64gb", 4, 65_536)
CPU = NodeShape(64, 256_000)
AT = 1_000_000.0
LIFE = "life"


def a_site(name: str) -> Site:
    parts = (
        Partition(PartitionId(f"{name}/c/gpu"), "gpu", GPU, 10),
        Partition(PartitionId(f"{name}/c/cpu"), "cpu", CPU, 100),
    )
    return Site(SiteId(name), name, name, "", 40.0, 0.0, "slurm", parts, clusters=("c",))


def a_part(partition: str, shape: NodeShape, nodes: int, **fields: Any) -> PartitionCapacity:
    free = FreeNodes(nodes, shape.cores or 0, shape.memory_mib or -1, shape.accelerators)
    fields = {"available": nodes, "free": (free,), **fields}
    return PartitionCapacity(PartitionId(partition), shape, nodes, **fields)


class Broker:
    """Two sites with honest agents and a job at each; what is told stays to be looked at."""

    def __init__(self) -> None:
        self.at = AT
        self.state: FederationState = federation((a_site("good"), a_site("liar")))
        self.effects: list[Effect] = []
        self.sequence = 0
        for name in ("good", "liar"):
            self.do(SiteConnected(self.at, SiteId(name)))
            self.report(name)
        self.jobs = {
            name: self.submit(number, name) for number, name in enumerate(("good", "liar"))
        }

    def do(self, event: Event) -> list[Effect]:
        effects = handle(self.state, event)
        self.state.check()
        self.effects += effects
        for effect in effects:
            if isinstance(effect, RunRound):
                plan = place(effect.snapshot, effect.jobs, self.state.policy)
                self.do(PlanReady(self.at, plan))
        return effects

    def honest(self, name: str) -> CapacityReport:
        self.sequence += 1
        parts = (a_part(f"{name}/c/gpu", GPU, 10), a_part(f"{name}/c/cpu", CPU, 100))
        return CapacityReport(SiteId(name), self.sequence, self.at, 60.0, parts)

    def report(
        self, name: str, *runs: RunObservation, told: CapacityReport | None = None, **fields: Any
    ) -> list[Effect]:
        fields = {"journal": LIFE, "complete": False, "fences": True, **fields}
        return self.do(SiteReported(self.at, told or self.honest(name), runs, **fields))

    def submit(self, number: int, site: str) -> Job:
        spec = JobSpec(
            f"job-{number}", "ana", "#!/bin/sh\n", ResourceRequest(nodes=1), clusters=(site,)
        )
        self.do(JobSubmitted(self.at, an_id(number), spec))
        self.at += 0.2  # two rounds are a little apart
        self.do(Ticked(self.at))
        job = self.state.jobs[an_id(number)]
        assert job.site == site
        return job

    @property
    def denials(self) -> list[AuditEntry]:
        return [
            one for one in self.effects if isinstance(one, AuditEntry) and one.outcome == DENIED
        ]

    def orders(self, effects: list[Effect]) -> list[object]:
        return [order for one in effects if isinstance(one, SendToSite) for order in one.orders]


def the_token(job: Job) -> RunToken:
    assert job.run is not None
    return job.run.token
