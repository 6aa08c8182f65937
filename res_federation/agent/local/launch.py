"""What a task is started with: its environment, its launch file, names for its output."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from res_federation.agent.disk import closed, read_plain, saying, there, write_whole
from res_federation.agent.local import srun
from res_federation.agent.local.machine import Place
from res_federation.agent.patterns import PatternValues, expand, inside, link_inside
from res_federation.agent.rundir import task_word
from res_federation.model.identifiers import RunToken, job_of
from res_federation.model.job import JobSpec
from res_federation.model.resources import Layout, ResourceRequest
from res_federation.model.site import Partition, Site

_KEPT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_RESERVED = re.compile(r"^(SLURM_|RESFED_|CUDA_VISIBLE_DEVICES$|ROCR_VISIBLE_DEVICES$)")
_LARGEST = 64 * 1024 * 1024
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Launch:
    """A task that is about to begin."""

    site: Site
    partition: Partition
    token: RunToken
    spec: JobSpec
    index: int
    number: int
    """The task's own job number."""
    array_number: int
    """The number of its array."""
    layout: Layout
    places: tuple[Place, ...]
    directory: Path
    tools: Path
    """Directory with ``srun``, first on the path."""
    grace_s: float


def node_names(partition: Partition, places: Sequence[Place]) -> list[str]:
    """Return how the nodes of *places* are called: partition and number, from 1."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", partition.name).strip("-") or "node"
    width = max(4, len(str(partition.nodes or 0)))
    return [f"{stem}-{place.node + 1:0{width}d}" for place in sorted(places)]


def hostlist(names: Sequence[str]) -> str:
    """Fold sorted names of one stem as Slurm writes them: ``gpu-[0001-0003,0007]``."""
    if len(names) < 2:
        return "".join(names)
    stem = names[0].rpartition("-")[0]
    runs: list[list[str]] = []
    for name in names:
        digits = name.rpartition("-")[2]
        if runs and int(digits) == int(runs[-1][-1]) + 1:
            runs[-1][1:] = [digits]
        else:
            runs.append([digits])
    return f"{stem}-[{','.join('-'.join(run) for run in runs)}]"


def task_count(request: ResourceRequest, layout: Layout) -> int:
    """Return how many tasks ``srun`` starts when it is not told."""
    if request.tasks:
        return request.tasks
    if request.tasks_per_node:
        return layout.nodes * request.tasks_per_node
    if request.accelerators_per_task and request.accelerators_total and not request.nodes:
        return max(1, request.accelerators_total // request.accelerators_per_task)
    return request.nodes or 1


def _spread(total: int, nodes: int) -> str:
    """Write tasks per node as Slurm does: ``4(x2),3``."""
    each, more = divmod(total, nodes)
    counts = [(each + 1, more), (each, nodes - more)]
    return ",".join(f"{n}(x{k})" if k > 1 else str(n) for n, k in counts if k)


def _devices(places: Sequence[Place]) -> str:
    mask = min(places).devices
    return ",".join(str(bit) for bit in range(mask.bit_length()) if mask >> bit & 1)


def environment(launch: Launch, agent: Mapping[str, str]) -> dict[str, str]:
    """Return a task's whole environment: little of the agent's, the user's, then Slurm's."""
    spec, layout, request = launch.spec, launch.layout, launch.spec.request
    variables = {key: agent[key] for key in _KEPT if key in agent}
    variables |= {
        key: value
        for key, value in spec.environment
        if _VARIABLE.match(key) and not _RESERVED.match(key) and "\0" not in value
    }
    names = node_names(launch.partition, launch.places)
    tasks = task_count(request, layout)
    per_node = _spread(tasks, layout.nodes)
    nodes, cores = str(layout.nodes), str(layout.cores_per_node)
    work = str(launch.directory / "work")
    variables |= {
        "PATH": f"{launch.tools}:{variables.get('PATH', os.defpath)}",
        "RESFED_JOB": job_of(launch.token),
        "RESFED_RUN": launch.token,
        "RESFED_SITE": launch.site.id,
        "RESFED_PARTITION": launch.partition.id,
        "SLURM_JOB_ID": str(launch.number),
        "SLURM_JOBID": str(launch.number),
        "SLURM_JOB_NAME": spec.name.replace("\0", ""),
        "SLURM_JOB_USER": spec.user.replace("\0", ""),
        "SLURM_JOB_PARTITION": launch.partition.name,
        "SLURM_JOB_NUM_NODES": nodes,
        "SLURM_NNODES": nodes,
        "SLURM_JOB_NODELIST": hostlist(names),
        "SLURM_NODELIST": hostlist(names),
        "SLURMD_NODENAME": names[0],
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NTASKS": str(tasks),
        "SLURM_NPROCS": str(tasks),
        "SLURM_TASKS_PER_NODE": per_node,
        "SLURM_CPUS_PER_TASK": str(request.cpus_per_task),
        "SLURM_CPUS_ON_NODE": cores,
        "SLURM_JOB_CPUS_PER_NODE": f"{cores}(x{nodes})" if layout.nodes > 1 else cores,
        "SLURM_CLUSTER_NAME": launch.partition.id.split("/")[1],
        "SLURM_SUBMIT_DIR": work,
        "SLURM_SUBMIT_HOST": names[0],
        "PWD": work,
    }
    if request.tasks_per_node:
        variables["SLURM_NTASKS_PER_NODE"] = str(request.tasks_per_node)
    if spec.account:
        variables["SLURM_JOB_ACCOUNT"] = spec.account.replace("\0", "")
    if layout.memory_per_node_mib > 0:
        if request.memory_per_cpu_mib and request.memory_per_node_mib is None:
            variables["SLURM_MEM_PER_CPU"] = str(request.memory_per_cpu_mib)
        else:
            variables["SLURM_MEM_PER_NODE"] = str(layout.memory_per_node_mib)
    return variables | _array_variables(launch) | _accelerator_variables(launch)


def _array_variables(launch: Launch) -> dict[str, str]:
    array = launch.spec.array
    if not array:
        return {}
    return {
        "SLURM_ARRAY_JOB_ID": str(launch.array_number),
        "SLURM_ARRAY_TASK_ID": str(launch.index),
        "SLURM_ARRAY_TASK_COUNT": str(len(array)),
        "SLURM_ARRAY_TASK_MIN": str(array[0]),
        "SLURM_ARRAY_TASK_MAX": str(array[-1]),
        "SLURM_ARRAY_TASK_STEP": str(array[1] - array[0] if len(array) > 1 else 1),
    }


def _accelerator_variables(launch: Launch) -> dict[str, str]:
    count = launch.layout.accelerators_per_node
    if not count:
        return {}
    devices = _devices(launch.places)
    variables = {
        "CUDA_VISIBLE_DEVICES": devices,
        "SLURM_JOB_GPUS": devices,
        "SLURM_GPUS_ON_NODE": str(count),
        "SLURM_GPUS_PER_NODE": str(count),
        "SLURM_GPUS": str(count * launch.layout.nodes),
    }
    if launch.partition.shape.accelerator.startswith("amd"):
        variables["ROCR_VISIBLE_DEVICES"] = devices
    return variables


def write_launch(launch: Launch, agent: Mapping[str, str]) -> None:
    """Write what the wrapper reads, and name the output as the user's script expects it.

    Raises:
        OSError: If the run's directory cannot be written.

    """
    word = task_word(launch.index)
    pairs = [("limit", f"{launch.spec.time_limit_s}"), ("grace", f"{launch.grace_s}")]
    pairs += [("place", f"{node}:{devices}") for node, devices in launch.places]
    pairs += [("argument", argument.replace("\0", "")) for argument in launch.spec.arguments]
    pairs += [("env", f"{key}={value}") for key, value in environment(launch, agent).items()]
    data = "".join(f"{key}\0{value}\0" for key, value in pairs)
    packed = data.encode(errors="surrogateescape")
    write_whole(launch.directory / f"launch.{word}", packed, mode=0o644)  # the directory is 0700
    default = "slurm-%A_%a.out" if launch.spec.array else "slurm-%j.out"
    _name_output(launch, launch.spec.output or default, f"out.{word}")
    if launch.spec.error:
        _name_output(launch, launch.spec.error, f"err.{word}")


def _name_output(launch: Launch, pattern: str, file: str) -> None:
    values = PatternValues(
        job=launch.number,
        array_job=launch.array_number,
        array_task=launch.index,
        name=launch.spec.name,
        user=launch.spec.user,
        node=node_names(launch.partition, launch.places)[0],
    )
    parts = inside(expand(pattern, values))
    if parts:
        link_inside(launch.directory / "work", parts, Path(*[".."] * len(parts), file))


def read_places(directory: Path, index: int) -> tuple[Place, ...]:
    """Return where a task was started, as its launch file says; () if that is gone."""
    try:
        parts = read_plain(directory / f"launch.{task_word(index)}", _LARGEST, agents=True).split(
            b"\0"
        )
        return tuple(
            Place(*(int(number) for number in value.split(b":")))
            for key, value in zip(parts[0::2], parts[1::2], strict=False)
            if key == b"place"
        )
    except (OSError, ValueError, TypeError):
        return ()


def launched(directory: Path, indices: Iterable[int]) -> bool:
    """Tell whether a wrapper of one of these tasks was, or may have been, started."""
    return any(there(directory / f"launch.{task_word(index)}") for index in indices)


def open_to_others(state: Path) -> None:
    """Let other accounts pass to their own runs below *state*, and run the tools.

    Raises:
        FailedPrecondition: If others could put anything in the place of runs.

    """
    with saying(state):
        (state / "runs").mkdir(mode=0o711, exist_ok=True)
        for path in (state, state / "runs"):
            path.chmod(0o711)
        for path in (state / "bin", state / "bin" / "srun"):
            path.chmod(0o755)
    closed(state / "runs")


def write_tools(directory: Path) -> Path:
    """Write the programs that stand first on a payload's path; return their directory."""
    argv = shlex.join([sys.executable, "-I", "-S", srun.__file__])
    with saying(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(directory / "srun", f'#!/bin/sh\nexec {argv} "$@"\n'.encode(), mode=0o700)
    return directory
