"""Requests that ask for a little less: one property of a job at a time, each with its words.

How small a change is, is a number: an amount counts the part of it that is given up (a time limit
of 18 h in place of 24 h: 0.25); a word that is dropped counts as much as `DROPPED` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.job import JobSpec
from res_federation.model.resources import ResourceRequest
from res_federation.model.sentences import memory

Value = int | str
Fields = tuple[tuple[str, Value], ...]

DROPPED = {
    "partition": 0.5, "qos": 0.5, "clusters": 0.5, "accelerator_memory": 0.55, "accelerator": 0.6,
    "features": 0.7, "memory": 0.8, "architecture": 0.9,
}  # fmt: skip
"""How much it is to give up a word, beside amounts, of which at most all (1.0) is given up."""
PARTS = (0.75, 0.5, 0.25, 0.1, 0.01)
"""Parts of an amount that are tried before the exact one is searched between two of them."""
ARCHITECTURE = "x86_64"


@dataclass(frozen=True, slots=True)
class Change:
    """A request that asks for less of one property.

    Attributes:
        fields: What is different, by the names of the JSON key ``change``.
        words: The condition, as the end of a sentence: "the time limit were at most 24 h".
        size: How small the change is; see the module's words.
        spec: The request with the change.

    """

    fields: Fields
    words: str
    size: float
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Amount:
    """A property that can be had in every amount below the present one.

    Attributes:
        have: The present amount.
        step: Amounts are multiples of it.
        change: Makes the change to an amount.

    """

    have: int
    step: int
    change: Callable[[int], Change]

    def tried(self, thresholds: tuple[int, ...] = ()) -> list[int]:
        """Return smaller amounts, the largest first: powers of two, parts, given thresholds."""
        powers = (1 << bit for bit in range(self.have.bit_length()))
        parts = (int(self.have * part) // self.step * self.step for part in PARTS)
        found = {self.step, *powers, *parts, *thresholds, self.have - self.step}
        return sorted(
            (one for one in found if self.step <= one < self.have and one % self.step == 0),
            reverse=True,
        )


def exact(seconds: int) -> str:
    """Return a duration without rounding: ``24 h``, ``1 h 30 min``, ``90 s``."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if n]
    return " ".join(parts) or "0 s"


def dropped(spec: JobSpec) -> Iterator[Change]:
    """Yield the requests with one word less."""
    request = spec.request
    if spec.clusters and spec.partition:
        yield _change({"partition": ""}, "it named no partition", spec, partition="")
    if spec.clusters or spec.excluded:
        gone = {"clusters": "", "excluded": "", "partition": ""}
        words = "it were not pinned (-M) and excluded no site"
        yield _change(gone, words, spec, clusters=(), excluded=(), partition="")
    if spec.qos:
        yield _change({"qos": ""}, "it named no QoS", spec, qos="", purpose="")
    need = request.accelerator
    if need is not None and need.min_memory_mib:
        less = replace(request, accelerator=replace(need, min_memory_mib=0))
        words = "any memory per accelerator would do"
        yield _change({"accelerator_memory": 0}, words, spec, request=less)
    if need is not None and need.family:
        less = replace(request, accelerator=AcceleratorNeed())
        yield _change({"accelerator": ""}, "any accelerator would do", spec, request=less)
    if request.features or request.licenses:
        less = replace(request, features=(), licenses=())
        gone = {"features": "", "licenses": ""}
        words = "it did not insist on " + ", ".join((*request.features, *request.licenses))
        yield _change(gone, words, spec, request=less, constraint="")
    for field in _MEMORY:
        if getattr(request, field) is not None:
            less = _with(request, field, None)
            yield _change({field: ""}, "it asked for no memory", spec, "memory", request=less)
    if request.architecture != ARCHITECTURE:
        less = replace(request, architecture=ARCHITECTURE)
        words = f"its payload were for {ARCHITECTURE}"
        yield _change({"architecture": ARCHITECTURE}, words, spec, request=less)


def amounts(spec: JobSpec) -> Iterator[Amount]:
    """Yield every amount of which the job could ask for less."""
    if spec.time_limit_s > 60:
        yield Amount(spec.time_limit_s, 60, lambda value: _time(spec, value))
    request = spec.request
    for field, words in (*_COUNTS.items(), *_MEMORY.items()):
        have = getattr(request, field)
        if have is not None and have > 1:
            yield Amount(have, 1, _counted(spec, field, words, have))
    if request.nodes and request.nodes > 1 and request.tasks and request.tasks > request.nodes:
        yield Amount(request.nodes, 1, lambda value: _nodes_and_tasks(spec, value))
    if len(spec.array) > 1:
        yield Amount(len(spec.array), 1, lambda value: _array(spec, value))


_COUNTS = {
    "nodes": "nodes", "tasks": "tasks", "tasks_per_node": "tasks per node",
    "cpus_per_task": "cores per task", "cpus_per_accelerator": "cores per accelerator",
    "accelerators_per_node": "accelerators per node", "accelerators_total": "accelerators",
    "accelerators_per_task": "accelerators per task",
}  # fmt: skip
_MEMORY = {
    "memory_per_node_mib": "per node", "memory_per_cpu_mib": "per core",
    "memory_per_accelerator_mib": "per accelerator",
}  # fmt: skip


def _change(
    fields: Mapping[str, Value], words: str, spec: JobSpec, kind: str = "", **replaced: Any
) -> Change:
    size = DROPPED[kind or next(iter(fields))]
    return Change(tuple(fields.items()), words, size, replace(spec, **replaced))


def _time(spec: JobSpec, value: int) -> Change:
    return Change(
        (("time_limit_s", value),), f"the time limit were at most {exact(value)}",
        1 - value / spec.time_limit_s, replace(spec, time_limit_s=value),
    )  # fmt: skip


def _counted(spec: JobSpec, field: str, words: str, have: int) -> Callable[[int], Change]:
    def change(value: int) -> Change:
        amount = (
            f"{memory(value)} ({value} MiB) {words}" if field in _MEMORY else f"{value} {words}"
        )
        less = replace(spec, request=_with(spec.request, field, value))
        return Change(((field, value),), f"it asked for at most {amount}", 1 - value / have, less)

    return change


def _nodes_and_tasks(spec: JobSpec, nodes: int) -> Change:
    request = spec.request
    assert request.nodes, "there are nodes to divide"
    assert request.tasks, "there are tasks to divide"
    tasks = max(nodes, request.tasks * nodes // request.nodes)
    return Change(
        (("nodes", nodes), ("tasks", tasks)),
        f"it asked for at most {nodes} nodes with {tasks} tasks in all",
        1 - nodes / request.nodes,
        replace(spec, request=replace(request, nodes=nodes, tasks=tasks)),
    )


def _array(spec: JobSpec, tasks: int) -> Change:
    return Change(
        (("array_tasks", tasks),), f"its array had at most {tasks} tasks",
        1 - tasks / len(spec.array), replace(spec, array=spec.array[:tasks]),
    )  # fmt: skip


def _with(request: ResourceRequest, field: str, value: int | None) -> ResourceRequest:
    changed: dict[str, Any] = {field: value}
    return replace(request, **changed)
