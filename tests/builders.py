"""Short ways to make what most tests need: rows, snapshots, jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from res_federation.model.accelerators import family_in
from res_federation.model.capacity import FreeNodes
from res_federation.model.identifiers import JobId, PartitionId, new_job_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Code
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.placement.snapshot import Row, Snapshot
from res_federation.topology.distances import NOWHERE, DistanceTable

CPU = NodeShape(cores=64, memory_mib=256_000)
A100 = NodeShape(
    cores=64, memory_mib=512_000, accelerator="nvidia-a100-40gb", accelerators=4,
    accelerator_memory_mib=40_960,
)  # fmt: skip
H100 = NodeShape(
    cores=80, memory_mib=512_000, accelerator="nvidia-h100-sxm-64gb", accelerators=4,
    accelerator_memory_mib=65_536,
)  # fmt: skip


def a_row(name: str, shape: NodeShape = CPU, nodes: int = 4, **fields: Any) -> Row:
    """Make a row ``name/c/p`` (or *name* itself with slashes in it), up and all free."""
    partition = PartitionId(name if "/" in name else f"{name}/c/p")
    site, cluster, part = partition.split("/")
    memory = -1 if shape.memory_mib is None else shape.memory_mib
    row = Row(
        partition=partition,
        names=(part,),
        site_names=tuple(sorted({site, cluster})),
        problem=Code.FITS,
        shape=shape,
        nodes=nodes,
        family=family_in(shape.accelerator),
        available=nodes,
        free=(FreeNodes(nodes, shape.cores or 0, memory, shape.accelerators),),
    )
    return replace(row, **fields)


def busy(row: Row, **fields: Any) -> Row:
    """Return *row* with nothing free."""
    return replace(row, free=(), **fields)


def a_snapshot(*rows: Row, distances: DistanceTable = NOWHERE) -> Snapshot:
    """Make a snapshot of *rows*."""
    return Snapshot(1, 0.0, rows, distances)


def an_id(number: int) -> JobId:
    """Return the identifier of job *number*."""
    return new_job_id(1_000_000 + number, number.to_bytes(10, "big"))


def a_job(number: int = 0, request: ResourceRequest | None = None, **fields: Any) -> Job:
    """Make job *number*; fields of its `JobSpec` by name, and `refused`."""
    refused = fields.pop("refused", ())
    spec = JobSpec(
        name=f"job-{number}", user="ana", script="#!/bin/sh\n",
        request=request or ResourceRequest(), **fields,
    )  # fmt: skip
    return Job(id=an_id(number), spec=spec, submitted=float(number), refused=refused)


def answers(plan: Plan) -> dict[JobId, Assignment | Rejection]:
    """Return what became of each job of *plan*."""
    found: list[Assignment | Rejection] = [*plan.assignments, *plan.rejections]
    return {one.job: one for one in found}


def where(plan: Plan, jobs: Sequence[Job]) -> list[str]:
    """Return the site of each of *jobs*, "" where it was not placed."""
    found = {one.job: one.partition.split("/")[0] for one in plan.assignments}
    return [found.get(job.id, "") for job in jobs]
