"""Why a site would not take a script that is written for it already."""

from __future__ import annotations

from res_federation.model.accelerators import family_in
from res_federation.model.job import JobSpec
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import accelerator_fits, layout
from res_federation.model.site import Partition
from res_federation.slurm.dialect import Dialect, Use

_NOT_KNOWN = (Code.MEMORY_UNKNOWN, Code.SHAPE_UNKNOWN)


def own_faults(spec: JobSpec, dialect: Dialect, partition: Partition) -> tuple[str, ...]:
    """Return what *dialect* says against *spec* as it stands; empty where it says nothing."""
    faults: list[str] = []
    options = dict(spec.options)
    rule = dialect.rule(partition.name)
    for name, use in (("account", dialect.account.use), ("qos", dialect.qos.use)):
        if use is Use.MUST and not options.get(name):
            faults.append(f"--{name} is mandatory at {dialect.site}, and the script has none")
    asks = any(options.get(name) for name in ("mem", "mem-per-cpu", "mem-per-gpu"))
    if rule.memory is Use.MUST and not asks:
        faults.append(f"memory must be asked for at {dialect.site}, and the script asks for none")
    choice = dialect.choice(spec.qos) if spec.qos else None
    if spec.qos and dialect.qos.choices and choice is None:
        faults.append(f"--qos={spec.qos} is no QoS of {dialect.site}")
    lies = layout(spec.request, partition.shape)
    if isinstance(lies, Reason) and lies.code in _NOT_KNOWN:
        return tuple(faults)  # what is not published says nothing against it
    if isinstance(lies, Reason) or _wrong_accelerator(spec, partition):
        faults.append(f"the job does not fit on the nodes of {partition.name}")
        return tuple(faults)
    cards = lies.accelerators_per_node if spec.request.accelerator else 0
    floor = rule.cores_per_gpu * cards
    if rule.cpus is not Use.NEVER and lies.cores_per_node < floor:
        faults.append(
            f"{lies.cores_per_node} cores with {cards} GPUs: {dialect.site} wants at least {floor}"
        )
    if choice is not None and choice.max_nodes is not None and lies.nodes > choice.max_nodes:
        faults.append(f"{lies.nodes} nodes: the QoS {choice.name} allows {choice.max_nodes}")
    longest = choice.max_time_s if choice is not None else partition.max_time_s
    if longest is not None and spec.time_limit_s > longest:
        where = f"the QoS {choice.name}" if choice is not None else partition.name
        faults.append(f"{spec.time_limit_s} s: {where} allows {longest}")
    if partition.nodes is not None and lies.nodes > partition.nodes:
        faults.append(f"{lies.nodes} nodes: {partition.name} has {partition.nodes}")
    if spec.array and spec.array[-1] >= dialect.max_array_size:
        faults.append(f"the array index {spec.array[-1]} is not below {dialect.max_array_size}")
    return tuple(faults)


def _wrong_accelerator(spec: JobSpec, partition: Partition) -> bool:
    need = spec.request.accelerator
    family = family_in(partition.shape.accelerator)
    return accelerator_fits(need, partition.shape, family) is not None
