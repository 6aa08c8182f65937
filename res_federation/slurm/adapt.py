"""Whether a need can be asked for at a partition in its site's dialect, and with which numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from res_federation.model import accelerators
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import (
    WHOLE_NODE_MEMORY,
    Layout,
    NodeShape,
    ResourceRequest,
    accelerator_fits,
    layout,
)
from res_federation.model.site import Partition
from res_federation.slurm.canonical import Need
from res_federation.slurm.dialect import Dialect, PartitionRule, QosChoice, Use

_ATTEMPTS = 4
"""How often cores are raised before giving up: each time more nodes may come of it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A need as it can be asked for at one partition.

    Attributes:
        request: With the cores and the memory that the site wants asked for.
        layout: How it lies on the nodes there.
        qos: The quality of service that it goes to, or None where none is written.
        rule: How scripts for the partition look.
        implied_memory_mib: Memory per core that is asked for because the site wants some, or 0.
        whole_nodes: True where whole nodes stand in for all the memory of a node.

    """

    request: ResourceRequest
    layout: Layout
    qos: QosChoice | None
    rule: PartitionRule
    implied_memory_mib: int = 0
    whole_nodes: bool = False


def fit(need: Need, target: Dialect, partition: Partition) -> Fit | str:
    """Return how *need* is asked for at *partition*, or one line that says why it cannot be."""
    shape = partition.shape
    request = need.request
    if request.architecture != shape.architecture:
        return f"needs {request.architecture}, the nodes are {shape.architecture}"
    lacking = accelerator_fits(request.accelerator, shape, _family(shape.accelerator))
    if lacking is not None:
        return _sentence(lacking, request, shape)
    refused = _unmapped(need, target, partition)
    if refused:
        return refused
    rule = target.rule(partition.name)
    found = _sized(need, rule, partition)
    if isinstance(found, str):
        return found
    nodes = found.layout.nodes
    if partition.nodes is not None and nodes > partition.nodes:
        return f"needs {nodes} nodes, there are {partition.nodes}"
    if partition.max_nodes is not None and nodes > partition.max_nodes:
        return f"needs {nodes} nodes, a job may have {partition.max_nodes}"
    qos = _qos(need, nodes, target, rule)
    if isinstance(qos, str):
        return qos
    longest = partition.max_time_s
    if longest is not None and need.time_limit_s > longest:
        return f"asks for {_hours(need.time_limit_s)}, {_hours(longest)} are allowed"
    return replace(found, qos=qos) if qos is not None else found


@lru_cache(maxsize=1024)
def _family(accelerator: str) -> str:
    return accelerators.family_in(accelerator)


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"


def _unmapped(need: Need, target: Dialect, partition: Partition) -> str:
    """Name what the target has no word for: never dropped."""
    for name in need.request.licenses:
        if name not in target.licenses:
            return f"--licenses: the licence '{name}' is not declared at {target.site}"
    for name in need.request.features:
        if name.removeprefix("gres/") not in target.gres and name not in partition.features:
            return f"--gres: the generic resource '{name}' is not declared at {target.site}"
    if need.temporary_disk:
        return f"--tmp: no disk in the nodes is declared at {target.site}"
    if need.array and need.array[-1] >= target.max_array_size:
        return (
            f"--array: the index {need.array[-1]} is not below MaxArraySize {target.max_array_size}"
        )
    if partition.max_array is not None and len(need.array) > partition.max_array:
        return f"--array: {len(need.array)} tasks, an array may have {partition.max_array}"
    return ""


def _sized(need: Need, rule: PartitionRule, partition: Partition) -> Fit | str:
    """Raise cores and fill memory in as the site wants it, until the request lies on the nodes."""
    shape = partition.shape
    request, implied = _with_memory(need, rule, shape)
    whole = rule.memory is Use.NEVER and request.memory_per_node_mib == WHOLE_NODE_MEMORY
    plain = replace(request, exclusive=False) if request.exclusive else request
    for _ in range(_ATTEMPTS):
        lies = layout(plain, shape)
        if isinstance(lies, Reason):
            return _sentence(lies, plain, shape)
        wanted = _cores(lies, rule, shape, whole=whole or request.exclusive)
        if isinstance(wanted, str):
            return wanted
        if wanted <= lies.cores_per_node or rule.cpus is Use.NEVER:
            given = replace(plain, exclusive=request.exclusive) if request.exclusive else plain
            return Fit(given, lies, None, rule, implied, whole)
        if shape.cores is not None and wanted > shape.cores:
            return f"needs {wanted} cores on a node for its GPUs or memory, there are {shape.cores}"
        plain = _raised(plain, lies, wanted, follows=rule.memory is Use.NEVER)
    return "cores for its GPUs and memory cannot be asked for in equal parts for each task"


def _with_memory(need: Need, rule: PartitionRule, shape: NodeShape) -> tuple[ResourceRequest, int]:
    """Ask for memory where the site wants some and the user named none; what it adds per core."""
    request = need.request
    asked = (
        request.memory_per_node_mib is not None
        or request.memory_per_cpu_mib is not None
        or request.memory_per_accelerator_mib is not None
    )
    if asked or rule.memory is not Use.MUST:
        return request, 0
    share = 0
    if shape.memory_mib and shape.cores:
        share = shape.memory_mib // shape.cores
    wish = max(need.memory_per_core_mib, rule.memory_per_core_mib) or share
    amount = min(wish, share) if share else wish
    return (replace(request, memory_per_cpu_mib=amount), amount) if amount else (request, 0)


def _cores(lies: Layout, rule: PartitionRule, shape: NodeShape, *, whole: bool) -> int | str:
    """Return the least cores of a node that the site's rules make of the request."""
    cores = lies.cores_per_node
    floor = rule.cores_per_gpu * lies.accelerators_per_node
    memory = lies.memory_per_node_mib
    if rule.memory is Use.NEVER and memory and not whole:
        share = rule.memory_per_core_mib
        if not share and shape.memory_mib and shape.cores:
            share = shape.memory_mib // shape.cores
        if not share:
            return "memory cannot be asked for there, and what a core gets is not known"
        cores = max(cores, -(-memory // share))
    if rule.cpus is Use.NEVER:
        if not floor:
            return "the site gives cores with GPUs only, and none are asked for"
        if cores > floor:
            return (
                f"needs {cores} cores on a node (with the memory they bring), the site gives "
                f"{floor} with {lies.accelerators_per_node} GPUs and takes no other number"
            )
        return cores
    return max(cores, floor)


def _raised(
    request: ResourceRequest, lies: Layout, wanted: int, *, follows: bool
) -> ResourceRequest:
    """Ask for at least *wanted* cores a node.

    Args:
        request: What is asked for now.
        lies: How that lies on the nodes.
        wanted: Cores of a node.
        follows: True where memory follows the cores: what was named per core is then the amount
            that it was before, and no more for more cores.

    """
    if follows and request.memory_per_cpu_mib:
        request = replace(
            request, memory_per_cpu_mib=None, memory_per_node_mib=lies.memory_per_node_mib
        )
    if request.cpus_per_accelerator and lies.accelerators_per_node:
        return replace(request, cpus_per_accelerator=-(-wanted // lies.accelerators_per_node))
    tasks = max(1, lies.cores_per_node // request.cpus_per_task)
    return replace(request, cpus_per_task=-(-wanted // tasks))


def _qos(need: Need, nodes: int, target: Dialect, rule: PartitionRule) -> QosChoice | str | None:
    if rule.qos:
        choice = target.choice(rule.qos) or QosChoice(rule.qos, "", (rule.name,))
        return _beyond(need, nodes, choice) or choice
    if target.qos.use is not Use.MUST:
        return None
    open_here = [each for each in target.qos.choices if rule.name in each.partitions]
    refused = ""
    for purpose in dict.fromkeys((need.purpose, target.qos.purpose)):
        for choice in open_here:
            if purpose and choice.purpose == purpose:
                refused = _beyond(need, nodes, choice)
                if not refused:
                    return choice
    return refused or f"no QoS for '{target.qos.purpose}' is known that opens {rule.name}"


def _beyond(need: Need, nodes: int, choice: QosChoice) -> str:
    if choice.max_nodes is not None and nodes > choice.max_nodes:
        return f"needs {nodes} nodes, the QoS {choice.name} allows {choice.max_nodes}"
    if choice.max_time_s is not None and need.time_limit_s > choice.max_time_s:
        return (
            f"asks for {_hours(need.time_limit_s)}, the QoS {choice.name} allows "
            f"{_hours(choice.max_time_s)}"
        )
    return ""


_SENTENCES: dict[Code, Callable[[Reason], str]] = {
    Code.SHAPE_UNKNOWN: lambda _: "the cores of its nodes are not published",
    Code.NO_ACCELERATOR: lambda _: "needs accelerators, the nodes have none",
    Code.ACCELERATOR_MEMORY_UNKNOWN: lambda each: (
        f"needs {each.needed} MiB on each accelerator, what there is is not published"
    ),
    Code.ACCELERATOR_MEMORY: lambda each: (
        f"needs {each.needed} MiB on each accelerator, there are {each.have}"
    ),
    Code.TOO_FEW_ACCELERATORS_PER_NODE: lambda each: (
        f"needs {each.needed} accelerators on a node, there are {each.have}"
    ),
    Code.TOO_FEW_CORES_PER_NODE: lambda each: (
        f"needs {each.needed} cores on a node, there are {each.have}"
    ),
    Code.MEMORY_UNKNOWN: lambda each: (
        f"needs {each.needed} MiB on a node, the memory of its nodes is not published"
    ),
    Code.TOO_LITTLE_MEMORY_PER_NODE: lambda each: (
        f"needs {each.needed} MiB on a node, there are {each.have}"
    ),
}


def _sentence(reason: Reason, request: ResourceRequest, shape: NodeShape) -> str:
    if reason.code is Code.WRONG_ACCELERATOR:
        asked = request.accelerator.family if request.accelerator else ""
        return f"needs {asked}, the accelerators are {shape.accelerator}"
    return _SENTENCES[reason.code](reason)
