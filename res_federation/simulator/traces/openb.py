"""The Alibaba GPU trace of 2023 (openb): pods that share GPUs, and the nodes they ran on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import FAMILIES, AcceleratorNeed, need
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.gather import Gathered, lines, whole
from res_federation.simulator.traces.source import LIMIT_BYTES, Block, blocks
from res_federation.simulator.workload import Workload
from res_federation.slurm.gpu_types import model

PODS: Final = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec",
               "creation_time", "deletion_time", "scheduled_time")  # fmt: skip
"""Columns that a list of pods needs."""
NODES: Final = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
"""Columns that a list of nodes needs."""
_DEVICES: Final[Mapping[str, int]] = {
    "openbg2": 4392, "t4": 842, "v100": 399, "openbg3": 312, "p100": 265, "a10": 2,
}  # fmt: skip
"""GPUs of each family in that cluster, as its list of nodes has them."""
_CODE_NAMES: Final[Mapping[str, str]] = {"G2": "openbg2", "G3": "openbg3"}
"""Models that Alibaba does not tell. `g2` alone is a word of too many others to name a family."""


def is_heading(line: str, columns: Iterable[str]) -> bool:
    """Tell whether a line names all of *columns*, in any order."""
    return set(columns) <= set(_cells(line))


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(",")]


def _rows(
    incoming: Iterable[Block], columns: Iterable[str]
) -> Iterable[tuple[int, dict[str, str]]]:
    """Return the lines under a heading; one with another number of cells is an empty row."""
    heading: list[str] = []
    for number, line in lines(incoming):
        cells = _cells(line)
        if not heading:
            heading = cells
            missing = [column for column in columns if column not in heading]
            if missing:
                raise InvalidArgument(
                    f"line {number}: the heading lacks {', '.join(missing)}",
                    way_out="give the file as Alibaba publishes it",
                )
        elif len(cells) != len(heading):
            yield number, {}
        elif cells != heading:
            yield number, dict(zip(heading, cells, strict=True))


def read(incoming: Iterable[Block], name: str, first: int | None) -> Workload:
    """Read a list of pods; *first* is how many count, None for all."""
    jobs = Gathered(first)
    for number, row in _rows(incoming, PODS):
        if not jobs.wanted():
            continue
        created, cpus = whole(row.get("creation_time", "")), whole(row.get("cpu_milli", ""))
        if created is None or cpus is None:
            jobs.broken(number)
        elif not row["scheduled_time"]:
            jobs.drop(rules.NEVER_STARTED, number)
        elif not row["deletion_time"]:
            jobs.drop(rules.NOT_ENDED, number)
        else:
            _take(jobs, number, row, created, -(-cpus // 1000))
    return jobs.workload(name)


def _take(jobs: Gathered, number: int, row: Mapping[str, str], created: int, cores: int) -> None:
    started, ended = whole(row["scheduled_time"]), whole(row["deletion_time"])
    devices, share = whole(row["num_gpu"] or "0"), whole(row["gpu_milli"] or "0")
    memory = whole(row["memory_mib"] or "0")
    if started is None or ended is None or devices is None or share is None or memory is None:
        jobs.broken(number)
        return
    wish = None
    if devices > 0:
        wish = _wish(jobs, number, row["gpu_spec"])
        if share < 1000:
            jobs.repair(rules.GPU_SHARE, number)
    request = ResourceRequest(
        nodes=1,
        tasks=1,
        cpus_per_task=max(cores, 1),
        memory_per_node_mib=memory if memory > 0 else None,
        accelerator=wish,
        accelerators_per_node=devices if devices > 0 else None,
    )
    times = (created, ended - started, -1)
    jobs.add(number, row["name"][:64], times, cores, ("", "", row.get("qos", "")), request)


def _wish(jobs: Gathered, number: int, spec: str) -> AcceleratorNeed:
    """Return what a list of models asks for.

    Models of one family leave the family, with the least of their memories. Of several families
    any will do; the first is the one of which the cluster has most GPUs. A code name of Alibaba's
    that is not known is a model that nobody knows elsewhere: alone, any GPU will do.
    """
    found: dict[str, list[int]] = {}
    for word in (part.strip() for part in spec.split("|")):
        if word:
            wish = need(_CODE_NAMES.get(word, word))
            found.setdefault(wish.family, []).append(wish.min_memory_mib)
    if not found:
        return AcceleratorNeed()
    known = sorted(FAMILIES.keys() & found, key=lambda each: (-_DEVICES.get(each, 0), each))
    if not known:
        jobs.repair(rules.GPU_CODE_NAME, number)
        return AcceleratorNeed(asked=spec[:64])
    first, *others = (AcceleratorNeed(each, min(found[each]), spec[:64]) for each in known)
    return replace(first, alternatives=tuple(others))


def read_nodes(
    path: Path | str, *, limit_bytes: int = LIMIT_BYTES
) -> tuple[tuple[NodeShape, int], ...]:
    """Read a list of nodes: each shape, and how many nodes have it; most numerous first.

    Raises:
        InvalidArgument: The file cannot be read, is no list of nodes, or a line of it is none.

    """
    counts: Counter[NodeShape] = Counter()
    try:
        for number, row in _rows(blocks(path, limit_bytes), NODES):
            counts[_node(number, row)] += 1
    except InvalidArgument as error:
        if str(path) in error.message:
            raise
        raise InvalidArgument(f"{path}: {error.message}", way_out=error.way_out) from None
    return tuple(counts.most_common())


def _node(number: int, row: Mapping[str, str]) -> NodeShape:
    cpus, memory = whole(row.get("cpu_milli", "")), whole(row.get("memory_mib", ""))
    devices = whole(row.get("gpu", "") or "0")
    if cpus is None or memory is None or devices is None or cpus < 1000 or devices < 0:
        raise InvalidArgument(
            f"line {number}: is no node", way_out=f"a line has {', '.join(NODES)}"
        )
    word = row["model"].strip()
    kind = model(_CODE_NAMES.get(word, word)) if devices else None
    return NodeShape(
        cores=cpus // 1000,
        memory_mib=memory,
        accelerator=kind.name if kind else "",
        accelerators=devices,
        accelerator_memory_mib=kind.memory_mib if kind else None,
    )
