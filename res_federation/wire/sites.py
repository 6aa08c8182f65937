"""Sites and capacity to protobuf and back."""

from __future__ import annotations

import math
import re
from typing import Any

from res_federation.api.v1 import sites_pb2
from res_federation.errors import InvalidArgument
from res_federation.model.capacity import (
    MOST_WAITING,
    CapacityReport,
    FreeNodes,
    License,
    NodeStates,
    PartitionCapacity,
    QosLimit,
    Release,
    WaitingJob,
    Window,
)
from res_federation.model.forecast import ForecastError
from res_federation.model.identifiers import PartitionId, RunToken, site_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition
from res_federation.wire.text import MOST_WORD, line
from res_federation.wire.times import from_duration, from_timestamp, to_duration, to_timestamp

_SHAPE_OPTIONAL = ("cores", "memory_mib", "accelerator_memory_mib")
MOST_PARTS = 10_000
"""Groups of nodes of one report."""
MOST_WORDS = 1000
"""Names, reservations, licences in one list."""
MOST_TIME_TO_LIVE_S = 14 * 86400.0
"""No report is fresh for longer."""
_PARTITION = re.compile(r"^[^/\x00-\x1f]+/[^/\x00-\x1f]+/[^\x00-\x1f]+$")
_LIMITS = ("max_time_s", "max_nodes", "max_array")
_STATES = ("idle", "mixed", "allocated", "drained", "down", "reserved", "other")
_QOS_LIMITS = (
    "max_time_s", "max_nodes", "max_jobs", "max_submitted", "max_cores", "max_accelerators",
)  # fmt: skip

_COUNTS = ("scored", "within_p50", "within_p90", "untold")
_LOSSES = (
    "pinball_p50", "pinball_p90", "profile_p50", "profile_p90", "mean_p50", "mean_p90",
)  # fmt: skip


def shape_to_message(shape: NodeShape) -> sites_pb2.NodeShape:
    """Return a node shape as a message; what is not known is absent."""
    return sites_pb2.NodeShape(
        cores=shape.cores,
        memory_mib=shape.memory_mib,
        accelerator=shape.accelerator,
        accelerators=shape.accelerators,
        accelerator_memory_mib=shape.accelerator_memory_mib,
        architecture=shape.architecture,
    )


def shape_from_message(message: sites_pb2.NodeShape) -> NodeShape:
    """Return a node shape."""
    given: dict[str, Any] = {
        name: getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]
        for name in _SHAPE_OPTIONAL
    }
    return NodeShape(
        accelerator=line(message.accelerator, MOST_WORD),
        accelerators=message.accelerators,
        architecture=line(message.architecture, MOST_WORD) or "x86_64",
        **given,
    )


def partition_capacity_to_message(part: PartitionCapacity) -> sites_pb2.PartitionCapacity:
    """Return what one group of like nodes has as a message."""
    return sites_pb2.PartitionCapacity(
        partition=part.id,
        shape=shape_to_message(part.shape),
        nodes=part.nodes,
        available=part.available,
        up=part.up,
        free=[
            sites_pb2.FreeNodes(
                nodes=free.nodes,
                cores=free.cores,
                memory_mib=free.memory_mib,
                accelerators=free.accelerators,
            )
            for free in part.free
        ],
        releases=[
            sites_pb2.Release(
                release_time=to_timestamp(release.at),
                nodes=release.nodes,
                cores=release.cores,
                accelerators=release.accelerators,
            )
            for release in part.releases
        ],
        pending_jobs=part.pending_jobs,
        pending_core_s=part.pending_core_s,
        pending_accelerator_s=part.pending_accelerator_s,
        max_time_s=part.max_time_s,
        max_nodes=part.max_nodes,
        max_array=part.max_array,
        features=part.features,
        states=sites_pb2.NodeStates(**{name: getattr(part.states, name) for name in _STATES}),
        windows=[_window_to_message(window) for window in part.windows],
        qos=[_qos_to_message(qos) for qos in part.qos],
        queue=[_waiting_to_message(job) for job in part.queue],
        others=part.others,
    )


def partition_capacity_from_message(message: sites_pb2.PartitionCapacity) -> PartitionCapacity:
    """Check and return what one group of like nodes has.

    Raises:
        InvalidArgument: If a count is negative or not a number.

    """
    _check(message)
    limits: dict[str, Any] = {
        name: getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]
        for name in _LIMITS
    }
    return PartitionCapacity(
        id=PartitionId(message.partition),
        shape=shape_from_message(message.shape),
        nodes=message.nodes,
        available=message.available,
        up=message.up,
        free=tuple(
            FreeNodes(free.nodes, free.cores, free.memory_mib, free.accelerators)
            for free in message.free
        ),
        releases=tuple(
            Release(
                from_timestamp(release.release_time),
                release.nodes,
                release.cores,
                release.accelerators,
            )
            for release in message.releases
        ),
        pending_jobs=message.pending_jobs,
        pending_core_s=message.pending_core_s,
        pending_accelerator_s=message.pending_accelerator_s,
        features=tuple(line(word, MOST_WORD) for word in message.features[:MOST_WORDS]),
        states=NodeStates(**{name: getattr(message.states, name) for name in _STATES}),
        windows=tuple(_window_from_message(window) for window in message.windows[:MOST_WORDS]),
        qos=tuple(_qos_from_message(qos) for qos in message.qos[:MOST_WORDS]),
        queue=tuple(_waiting_from_message(job) for job in message.queue[:MOST_WAITING]),
        others=message.others,
        **limits,
    )


def _waiting_to_message(job: WaitingJob) -> sites_pb2.WaitingJob:
    return sites_pb2.WaitingJob(
        nodes=job.nodes,
        cores=job.cores,
        accelerators=job.accelerators,
        limit_seconds=job.limit_s,
        token=job.token or "",
    )


def _waiting_from_message(message: sites_pb2.WaitingJob) -> WaitingJob:
    return WaitingJob(
        nodes=max(0, message.nodes),
        cores=max(0, message.cores),
        accelerators=max(0, message.accelerators),
        limit_s=max(0, message.limit_seconds),
        token=RunToken(message.token) if message.token else None,
    )


def _window_to_message(window: Window) -> sites_pb2.Window:
    return sites_pb2.Window(
        name=window.name,
        start_time=to_timestamp(window.start),
        end_time=to_timestamp(window.end),
        nodes=window.nodes,
        maintenance=window.maintenance,
    )


def _window_from_message(message: sites_pb2.Window) -> Window:
    return Window(
        name=line(message.name, MOST_WORD),
        start=from_timestamp(message.start_time),
        end=from_timestamp(message.end_time),
        nodes=message.nodes,
        maintenance=message.maintenance,
    )


def _qos_to_message(qos: QosLimit) -> sites_pb2.QosLimit:
    return sites_pb2.QosLimit(
        name=qos.name, **{limit: getattr(qos, limit) for limit in _QOS_LIMITS}
    )


def _qos_from_message(message: sites_pb2.QosLimit) -> QosLimit:
    limits: dict[str, int | None] = {
        name: getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]
        for name in _QOS_LIMITS
    }
    return QosLimit(line(message.name, MOST_WORD), **limits)


def _check(message: sites_pb2.PartitionCapacity) -> None:
    where = f"capacity.partitions[{message.partition}]"
    counts = {
        "nodes": message.nodes,
        "available": message.available,
        "pending_jobs": message.pending_jobs,
        "others": message.others,
        "pending_core_s": message.pending_core_s,
        "pending_accelerator_s": message.pending_accelerator_s,
        "free": min((min(f.nodes, f.cores, f.accelerators) for f in message.free), default=0),
        "states": min(getattr(message.states, name) for name in _STATES),
        "windows": min((window.nodes for window in message.windows), default=0),
    }
    for name, value in counts.items():
        if not math.isfinite(value) or value < 0:
            raise InvalidArgument(f"{value} is not a count", field=f"{where}.{name}")


def report_to_message(report: CapacityReport) -> sites_pb2.CapacityReport:
    """Return a capacity report as a message."""
    return sites_pb2.CapacityReport(
        site=report.site,
        sequence=report.sequence,
        take_time=to_timestamp(report.taken_at),
        time_to_live=to_duration(report.time_to_live_s),
        partitions=[partition_capacity_to_message(part) for part in report.partitions],
        licenses=[
            sites_pb2.License(name=one.name, total=one.total, free=one.free)
            for one in report.licenses
        ],
        problem=report.problem,
        measure_time=None if report.measured_at is None else to_timestamp(report.measured_at),
        needs_account=report.needs_account,
        arranges=report.arranges,
    )


def report_from_message(message: sites_pb2.CapacityReport) -> CapacityReport:
    """Check and return a capacity report; raises InvalidArgument."""
    site = site_id(message.site, "capacity.site")
    if len(message.partitions) > MOST_PARTS:
        raise InvalidArgument(
            f"{len(message.partitions)} groups of nodes; the most is {MOST_PARTS}",
            field="capacity.partitions",
        )
    for part in message.partitions:
        if len(part.partition) > MOST_WORD or not _PARTITION.match(part.partition):
            raise InvalidArgument("is no partition of a site", field="capacity.partitions")
        if not part.partition.startswith(f"{site}/"):
            raise InvalidArgument(
                f"'{part.partition}' is not a partition of site '{site}'",
                field="capacity.partitions",
            )
    return CapacityReport(
        site=site,
        sequence=message.sequence,
        taken_at=from_timestamp(message.take_time),
        time_to_live_s=min(from_duration(message.time_to_live), MOST_TIME_TO_LIVE_S),
        partitions=tuple(partition_capacity_from_message(part) for part in message.partitions),
        licenses=tuple(
            License(line(one.name, MOST_WORD), one.total, one.free)
            for one in message.licenses[:MOST_WORDS]
        ),
        problem=line(message.problem),
        measured_at=(
            from_timestamp(message.measure_time) if message.HasField("measure_time") else None
        ),
        needs_account=message.needs_account,
        arranges=message.arranges,
    )


def error_to_message(error: ForecastError) -> sites_pb2.ForecastError:
    """Return how good forecasts were as a message."""
    return sites_pb2.ForecastError(
        **{name: getattr(error, name) for name in _COUNTS},
        **{f"{name}_s": getattr(error, name) for name in _LOSSES},
        waited_s=error.waited_s,
    )


def error_from_message(message: sites_pb2.ForecastError) -> ForecastError:
    """Return how good forecasts were."""
    return ForecastError(
        **{name: getattr(message, name) for name in _COUNTS},
        **{name: getattr(message, f"{name}_s") for name in _LOSSES},
        waited_s=message.waited_s,
    )


def partition_to_message(partition: Partition) -> sites_pb2.Partition:
    """Return a declared partition as a message."""
    return sites_pb2.Partition(
        name=partition.id,
        nodes=partition.nodes,
        shape=shape_to_message(partition.shape),
        cpu=partition.cpu,
        max_time_s=partition.max_time_s,
        confidence=str(partition.confidence),
        note=partition.note,
    )
