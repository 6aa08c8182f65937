"""What a job asks for, what a node has, and `layout`: the one fit test in the system.

The planner, the commit of a plan, `explain` and the simulator all decide "does it fit" by
`layout_numbers`.  It works on plain integers so that numba compiles the very same function for
the planner's loops (`placement/kernels.py`); there is no second copy of the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.reason import Code, Reason

UNKNOWN = -1
"""Stands for a figure that is not published, and for "not asked" in a request."""
WHOLE_NODE_MEMORY = -2
"""``--mem=0``: all the memory of each node."""


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What one node has. None where the figure is not known.

    Attributes:
        cores: Cores that jobs can use.
        memory_mib: Memory that jobs can use.
        accelerator: Canonical name, or "" for none.
        accelerators: Devices in the node.
        accelerator_memory_mib: Memory of one device.
        architecture: ``x86_64``, ``aarch64``, ``ppc64le``.

    """

    cores: int | None
    memory_mib: int | None
    accelerator: str = ""
    accelerators: int = 0
    accelerator_memory_mib: int | None = None
    architecture: str = "x86_64"


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What a job asks for, in sbatch's terms; None means not given.

    Attributes:
        nodes: ``--nodes`` (the lower bound of a range).
        tasks: ``--ntasks``.
        tasks_per_node: ``--ntasks-per-node``.
        cpus_per_task: ``--cpus-per-task``.
        memory_per_node_mib: ``--mem``; WHOLE_NODE_MEMORY for ``--mem=0``.
        memory_per_cpu_mib: ``--mem-per-cpu``.
        memory_per_accelerator_mib: ``--mem-per-gpu``.
        accelerator: Which accelerators will do, or None for a job without.
        accelerators_per_node: ``--gres=gpu:N`` or ``--gpus-per-node``.
        accelerators_total: ``--gpus``.
        accelerators_per_task: ``--gpus-per-task``.
        cpus_per_accelerator: ``--cpus-per-gpu``.
        exclusive: ``--exclusive``: whole nodes.
        architecture: Instruction set of the payload.
        licenses: ``--licenses``, names only.
        features: Constraints that the federation must honour (empty: none).

    """

    nodes: int | None = None
    tasks: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int = 1
    memory_per_node_mib: int | None = None
    memory_per_cpu_mib: int | None = None
    memory_per_accelerator_mib: int | None = None
    accelerator: AcceleratorNeed | None = None
    accelerators_per_node: int | None = None
    accelerators_total: int | None = None
    accelerators_per_task: int | None = None
    cpus_per_accelerator: int | None = None
    exclusive: bool = False
    architecture: str = "x86_64"
    licenses: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a request lies on nodes of one shape: so many nodes, so much of each."""

    nodes: int
    cores_per_node: int
    memory_per_node_mib: int
    accelerators_per_node: int


def layout_numbers(  # noqa: PLR0913, PLR0912, PLR0915, C901 - one flat rule, compiled as it stands
    nodes: int,
    tasks: int,
    tasks_per_node: int,
    cpus_per_task: int,
    memory_per_node: int,
    memory_per_cpu: int,
    memory_per_accelerator: int,
    accelerators_per_node: int,
    accelerators_total: int,
    accelerators_per_task: int,
    cpus_per_accelerator: int,
    exclusive: int,
    shape_cores: int,
    shape_memory: int,
    shape_accelerators: int,
) -> tuple[int, int, int, int, int, int, int]:
    """Lay a request out on nodes of one shape. Integers only; -1 is "not given" or "not known".

    Follows what sbatch does (sbatch(1), "--ntasks", "--gpus", "--mem"): tasks are spread evenly
    over a given number of nodes and packed as tightly as the shape allows otherwise.  The number
    of nodes that the partition has is not looked at here.

    Returns:
        ``(code, needed, have, nodes, cores, memory_mib, accelerators)``: a `Code` with the two
        numbers of its reason, then the layout per node (zeros unless the code is FITS).

    """
    wants_accelerators = (
        accelerators_per_node > 0 or accelerators_total > 0 or accelerators_per_task > 0
    )
    if shape_cores <= 0:
        return 10, -1, -1, 0, 0, 0, 0
    if wants_accelerators and shape_accelerators <= 0:
        return 13, -1, 0, 0, 0, 0, 0
    memory = shape_memory

    # --- how many accelerators of one node can be fed with the cores and the memory they ask for
    devices = shape_accelerators
    if cpus_per_accelerator > 0:
        devices = min(devices, shape_cores // cpus_per_accelerator)
    if memory > 0 and memory_per_node <= 0:
        if memory_per_cpu > 0 and cpus_per_accelerator > 0:
            devices = min(devices, memory // (memory_per_cpu * cpus_per_accelerator))
        elif memory_per_cpu <= 0 and memory_per_accelerator > 0:
            devices = min(devices, memory // memory_per_accelerator)
    devices = max(devices, 1)  # the checks below name what is short

    # --- how many tasks stand on one node, and how many nodes that makes
    per_node = tasks_per_node
    count = max(0, nodes)
    if nodes <= 0 and accelerators_total > 0 and accelerators_per_node > 0:
        count = nodes = max(1, accelerators_total // accelerators_per_node)  # Slurm takes no other
    if per_node > 0:
        if tasks > 0:
            spread = (tasks + per_node - 1) // per_node
            count = max(count, spread)
            per_node = min(per_node, (tasks + count - 1) // count)
        elif accelerators_total > 0 and nodes <= 0:
            count = (accelerators_total + devices - 1) // devices
        count = max(count, 1)
    elif count > 0:
        total = tasks if tasks > 0 else count
        per_node = max((total + count - 1) // count, 1)
    else:
        total = tasks if tasks > 0 else 1
        if tasks <= 0 and accelerators_per_task > 0 and accelerators_total > 0:
            total = max(1, accelerators_total // accelerators_per_task)
        fit = shape_cores // cpus_per_task
        if memory_per_cpu > 0 and memory > 0:
            fit = min(fit, memory // (memory_per_cpu * cpus_per_task))
        if accelerators_per_task > 0:
            fit = min(fit, devices // accelerators_per_task)
        per_node = min(max(fit, 1), total)  # the checks below name what is short
        count = (total + per_node - 1) // per_node
        if accelerators_total > 0:
            count = max(count, (accelerators_total + devices - 1) // devices)
            per_node = max(1, (total + count - 1) // count)

    if nodes <= 0 and 0 < tasks < count:  # a node without a task gives nothing
        return 17, (accelerators_total + tasks - 1) // tasks, shape_accelerators, 0, 0, 0, 0

    # --- accelerators of one node
    accelerators = 0
    if accelerators_per_node > 0:
        accelerators = accelerators_per_node
    if accelerators_total > 0:
        accelerators = max(accelerators, (accelerators_total + count - 1) // count)
    if accelerators_per_task > 0:
        accelerators = max(accelerators, accelerators_per_task * per_node)
    if accelerators > shape_accelerators:
        return 17, accelerators, shape_accelerators, 0, 0, 0, 0

    # --- cores of one node
    cores = per_node * cpus_per_task
    if cpus_per_accelerator > 0 and accelerators > 0:
        # as many with each, and enough for the tasks
        each = (cores + accelerators - 1) // accelerators
        cores = max(cpus_per_accelerator, each) * accelerators
    if cores > shape_cores:
        return 18, cores, shape_cores, 0, 0, 0, 0

    # --- memory of one node
    asked = 0
    if memory_per_node > 0:
        asked = memory_per_node
    elif memory_per_cpu > 0:
        asked = memory_per_cpu * cores
    elif memory_per_accelerator > 0:
        asked = memory_per_accelerator * accelerators
    if asked > 0 and memory < 0:
        return 19, asked, -1, 0, 0, 0, 0
    if asked > memory >= 0:
        return 20, asked, memory, 0, 0, 0, 0
    if memory_per_node == WHOLE_NODE_MEMORY or exclusive:
        asked = max(memory, 0)
    if exclusive:  # after the checks: what a whole node has more is no wish
        cores, accelerators = shape_cores, max(shape_accelerators, 0)
    return 0, -1, -1, count, cores, asked, accelerators


REQUEST_NUMBERS = 12
"""How many of `layout_numbers`' arguments come from the request."""


def request_numbers(request: ResourceRequest) -> tuple[int, ...]:
    """Return the request as the first `REQUEST_NUMBERS` arguments of `layout_numbers`."""
    return (
        -1 if request.nodes is None else request.nodes,
        -1 if request.tasks is None else request.tasks,
        -1 if request.tasks_per_node is None else request.tasks_per_node,
        request.cpus_per_task,
        -1 if request.memory_per_node_mib is None else request.memory_per_node_mib,
        -1 if request.memory_per_cpu_mib is None else request.memory_per_cpu_mib,
        -1 if request.memory_per_accelerator_mib is None else request.memory_per_accelerator_mib,
        -1 if request.accelerators_per_node is None else request.accelerators_per_node,
        -1 if request.accelerators_total is None else request.accelerators_total,
        -1 if request.accelerators_per_task is None else request.accelerators_per_task,
        -1 if request.cpus_per_accelerator is None else request.cpus_per_accelerator,
        1 if request.exclusive else 0,
    )


def shape_numbers(shape: NodeShape) -> tuple[int, int, int]:
    """Return a node shape as the last three arguments of `layout_numbers`."""
    return (
        -1 if shape.cores is None else shape.cores,
        -1 if shape.memory_mib is None else shape.memory_mib,
        shape.accelerators,
    )


def accelerator_fits(need: AcceleratorNeed | None, shape: NodeShape, family: str) -> Reason | None:
    """Tell why the devices of *shape* (of *family*) will not do for *need*, or None if they will.

    A family that was asked for is never replaced by another one; memory that is not known does
    not satisfy a wish for memory.  Of several that would do, the reason is that of the first.
    """
    if need is None:
        return None
    if any(accelerator_fits(other, shape, family) is None for other in need.alternatives):
        return None
    if shape.accelerators <= 0:
        return Reason(Code.NO_ACCELERATOR, have=0)
    if need.family and need.family != family:
        return Reason(Code.WRONG_ACCELERATOR)
    if need.min_memory_mib:
        if shape.accelerator_memory_mib is None:
            return Reason(Code.ACCELERATOR_MEMORY_UNKNOWN, needed=need.min_memory_mib)
        if shape.accelerator_memory_mib < need.min_memory_mib:
            return Reason(
                Code.ACCELERATOR_MEMORY,
                needed=need.min_memory_mib,
                have=shape.accelerator_memory_mib,
            )
    return None


def layout(request: ResourceRequest, shape: NodeShape) -> Layout | Reason:
    """Lay *request* out on nodes of *shape*, or say what is short. Counts are per node."""
    numbers = (*request_numbers(request), *shape_numbers(shape))
    code, needed, have, nodes, cores, memory, accelerators = layout_numbers(*numbers)
    if code != Code.FITS:
        return Reason(Code(code), needed, have)
    return Layout(nodes, cores, memory, accelerators)
