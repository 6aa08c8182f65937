"""A member's site as a user or an operator sees it: what it declares, has, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from res_federation.api.v1 import sites_pb2
from res_federation.model.capacity import License, PartitionCapacity
from res_federation.model.forecast import ForecastError
from res_federation.model.governance import Governance
from res_federation.model.identifiers import PartitionId, SiteId
from res_federation.model.site import Confidence, Partition
from res_federation.wire.governance import governance_from_message
from res_federation.wire.sites import (
    error_from_message,
    partition_capacity_from_message,
    shape_from_message,
)
from res_federation.wire.times import from_timestamp


class SiteState(StrEnum):
    """How a site stands with the broker."""

    UNSPECIFIED = "UNSPECIFIED"
    DISCONNECTED = "DISCONNECTED"
    READY = "READY"
    STALE = "STALE"
    DRAINED = "DRAINED"
    NO_BATCH = "NO_BATCH"


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site at one moment.

    Attributes:
        id: Identifier such as ``csuc``.
        name: The institution.
        machine: The machine.
        city: Where it stands.
        latitude: Degrees north, or None where the place is not known.
        longitude: Degrees east, or None.
        batch: Batch system that its agent drives; "" for none.
        state: How it stands.
        drain_reason: Why an operator drained it, or "".
        reported: UTC seconds when its newest report was received, or None.
        waiting_jobs: Jobs of the federation that wait there.
        running_jobs: Jobs of the federation that run there.
        partitions: What it declares.
        capacity: What it has now, one for each group of like nodes; empty before a report.
        problem: Why the figures of its newest report are old, or "".
        measured: UTC seconds by the site's clock when those figures were measured, or None.
        licenses: What its batch system counts by licence.
        forecasts: How good the forecasts were of jobs that have started there.
        governance: Under whose rule it is, or None where nothing is known.

    """

    id: SiteId
    name: str
    machine: str
    city: str
    latitude: float | None
    longitude: float | None
    batch: str
    state: SiteState
    drain_reason: str = ""
    reported: float | None = None
    waiting_jobs: int = 0
    running_jobs: int = 0
    partitions: tuple[Partition, ...] = ()
    capacity: tuple[PartitionCapacity, ...] = ()
    problem: str = ""
    measured: float | None = None
    licenses: tuple[License, ...] = ()
    forecasts: ForecastError = field(default_factory=ForecastError)
    governance: Governance | None = None


def site_from_message(message: sites_pb2.Site) -> SiteView:
    """Return the site; a state that this version does not know is UNSPECIFIED."""
    state = sites_pb2.SiteState.Name(message.state) if message.state in _STATES else ""
    return SiteView(
        id=SiteId(message.uid),
        name=message.display_name,
        machine=message.machine,
        city=message.city,
        latitude=message.latitude if message.HasField("latitude") else None,
        longitude=message.longitude if message.HasField("longitude") else None,
        batch=message.batch,
        state=SiteState(state.removeprefix("SITE_STATE_") or "UNSPECIFIED"),
        drain_reason=message.drain_reason,
        reported=from_timestamp(message.report_time) if message.HasField("report_time") else None,
        waiting_jobs=message.waiting_jobs,
        running_jobs=message.running_jobs,
        partitions=tuple(_partition(part) for part in message.partitions),
        capacity=tuple(
            partition_capacity_from_message(part) for part in message.capacity.partitions
        ),
        problem=message.capacity.problem,
        measured=_measured(message.capacity),
        licenses=tuple(License(one.name, one.total, one.free) for one in message.capacity.licenses),
        forecasts=error_from_message(message.forecasts),
        governance=(
            governance_from_message(message.governance) if message.HasField("governance") else None
        ),
    )


def _measured(report: sites_pb2.CapacityReport) -> float | None:
    if report.HasField("measure_time"):
        return from_timestamp(report.measure_time)
    return from_timestamp(report.take_time) if report.HasField("take_time") else None


_STATES = frozenset(sites_pb2.SiteState.values())


def _partition(message: sites_pb2.Partition) -> Partition:
    known = {word.value: word for word in Confidence}
    return Partition(
        id=PartitionId(message.name),
        name=message.name.rpartition("/")[2],
        shape=shape_from_message(message.shape),
        nodes=message.nodes if message.HasField("nodes") else None,
        cpu=message.cpu,
        max_time_s=message.max_time_s if message.HasField("max_time_s") else None,
        confidence=known.get(message.confidence, Confidence.ASSUMPTION),
        note=message.note,
    )
