"""What was done with accelerators: hours of models that a job did not need.

A job *needs* the least model that will do for it: of the partitions whose accelerators its request
accepts, on whose nodes it fits, and whose time limit it keeps, the one with the lowest grade.
Grades (`placement.accelerator_grades`) order models by speed, then by the memory of a device, then
by scarcity: of two that are alike, the one of which the federation has fewer is the dearer.  Hours
on any higher grade are *above* what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.model.accelerators import family_in
from res_federation.model.resources import (
    Layout,
    NodeShape,
    ResourceRequest,
    accelerator_fits,
    layout,
)
from res_federation.model.site import Partition
from res_federation.placement.accelerator_grades import accelerator_grades
from res_federation.placement.policy import Policy
from res_federation.simulator.demand import Demand
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.workload import Ints

KEYS = (
    "accelerator_hours", "accelerator_hours_above", "accelerator_above_share",
    "accelerator_idle_hours", "accelerators",
)  # fmt: skip
"""Keys of a summary; all None where nothing has accelerators."""
_HOUR = 3600.0
_NO_GRADE = np.iinfo(np.int64).max
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Distinct requests against partitions: arrays of (kinds, partitions).

    Attributes:
        fits: Whether a request can ever run there.
        wanted: Accelerators that it holds there.
        idle: Accelerators that it leaves unused behind the cores and the memory that it takes.

    """

    fits: npt.NDArray[np.bool_]
    wanted: Floats
    idle: Floats


def accelerator_figures(outcome: Outcome) -> dict[str, Any]:
    """Return the figures of `KEYS`.

    ``accelerator_hours`` are those that jobs held; ``accelerator_hours_above`` those of them on a
    model above the least that would have done, ``accelerator_above_share`` their part;
    ``accelerator_idle_hours`` those behind the part of a node (the larger of cores and memory) that
    jobs without accelerators took; ``accelerators`` tells devices, grade and hours of each model.
    """
    partitions = [place.declared for place in outcome.places]
    parts = [part for part in partitions if part is not None]
    if len(parts) < len(partitions) or not any(_devices(part) for part in parts):
        return dict.fromkeys(KEYS)
    demand = Demand(outcome.workload, shaped=True)
    kinds = _lay_out(demand.requests, parts)
    grade = grades(parts)
    ran = np.flatnonzero(outcome.start >= 0)
    kind, place = np.array(demand.kind, np.int64)[ran], outcome.place[ran]
    hours = (outcome.end[ran] - outcome.start[ran]) / _HOUR
    held = kinds.wanted[kind, place] * hours
    least = _least(kinds, grade, parts, kind, outcome.workload.estimate[ran])
    above = np.where(grade[place] > least, held, 0.0)
    idle = kinds.idle[kind, place] * hours
    total = float(held.sum())
    return {
        "accelerator_hours": round(total, 3),
        "accelerator_hours_above": round(float(above.sum()), 3),
        "accelerator_above_share": float(above.sum()) / total if total else None,
        "accelerator_idle_hours": round(float(idle.sum()), 3),
        "accelerators": _by_model(parts, grade, place, held, above),
    }


def grades(partitions: Sequence[Partition]) -> Ints:
    """Return (partitions,) the grade of each one's accelerator, as the placement has them."""
    return accelerator_grades(
        [(part.shape, part.nodes or 0, family_in(part.shape.accelerator)) for part in partitions],
        Policy().accelerator_speed,
    )


def _devices(part: Partition) -> int:
    return (part.nodes or 0) * part.shape.accelerators


def _lay_out(requests: Sequence[ResourceRequest], parts: Sequence[Partition]) -> _Kinds:
    size = (len(requests), len(parts))
    kinds = _Kinds(np.zeros(size, np.bool_), np.zeros(size), np.zeros(size))
    for p, part in enumerate(parts):
        family = family_in(part.shape.accelerator)
        for k, request in enumerate(requests):
            found = layout(request, part.shape)
            if not isinstance(found, Layout) or found.nodes > (part.nodes or 0):
                continue
            kinds.fits[k, p] = accelerator_fits(request.accelerator, part.shape, family) is None
            if _wants(request):
                kinds.wanted[k, p] = found.nodes * found.accelerators_per_node
            else:
                kinds.idle[k, p] = found.nodes * part.shape.accelerators * _share(found, part.shape)
    return kinds


def _wants(request: ResourceRequest) -> bool:
    asked = (
        request.accelerators_per_node, request.accelerators_total, request.accelerators_per_task,
    )  # fmt: skip
    return any(number and number > 0 for number in asked)


def _share(it: Layout, shape: NodeShape) -> float:
    """Return the part of a node that a job takes: the larger of cores and memory."""
    cores = it.cores_per_node / shape.cores if shape.cores else 0.0
    memory = it.memory_per_node_mib / shape.memory_mib if shape.memory_mib else 0.0
    return max(cores, memory)


def _least(kinds: _Kinds, grade: Ints, parts: Sequence[Partition], kind: Ints, limit: Ints) -> Ints:
    """Return (jobs,) the lowest grade with accelerators that would have done for each."""
    least = np.full(len(kind), _NO_GRADE, np.int64)
    for p, part in enumerate(parts):
        does = kinds.fits[kind, p] & (grade[p] > 0)
        if part.max_time_s is not None:
            does &= limit <= part.max_time_s
        least = np.where(does, np.minimum(least, grade[p]), least)
    return least


def _by_model(
    parts: Sequence[Partition], grade: Ints, place: Ints, held: Floats, above: Floats
) -> dict[str, dict[str, Any]]:
    """Return the figures of each model, the least first."""
    hours = np.bincount(place, held, len(parts))
    higher = np.bincount(place, above, len(parts))
    found: dict[str, dict[str, Any]] = {}
    for p in np.argsort(grade, kind="stable").tolist():
        name = parts[p].shape.accelerator
        if not _devices(parts[p]):
            continue
        one = found.setdefault(
            name, {"devices": 0, "grade": int(grade[p]), "hours": 0.0, "hours_above": 0.0}
        )
        one["devices"] += _devices(parts[p])
        one["hours"] = round(one["hours"] + float(hours[p]), 3)
        one["hours_above"] = round(one["hours_above"] + float(higher[p]), 3)
    return found
