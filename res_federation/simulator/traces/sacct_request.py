"""What a job of a ``sacct`` dump held: processors, nodes, memory and accelerators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from res_federation.model.accelerators import AcceleratorNeed, need
from res_federation.model.resources import ResourceRequest
from res_federation.simulator.traces import rules
from res_federation.slurm import tres

_MEMORY: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([KMGTP]?)B?([nc]?)", re.ASCII)
_MIB: Final = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}
_FLAG: Final = 1 << 31
"""Slurm's bit for "per CPU", in MiB; it has leaked into dumps that say "per node"."""
_COLUMNS: Final = ("alloccpus", "ncpus", "reqcpus", "allocnodes", "nnodes", "reqnodes", "reqmem",
                   "alloctres", "reqtres")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """What a job held.

    Attributes:
        procs: CPUs that it was given, else those that it asked for; 0 where not told.
        nothing: Whether the dump says that it was given none.
        request: Nodes, memory and accelerators, or None where the dump tells none of them.
        repairs: Rules that were needed.

    """

    procs: int
    nothing: bool
    request: ResourceRequest | None
    repairs: tuple[str, ...]


def held(row: Mapping[str, str]) -> Held:
    """Return what the job of a row held."""
    return _held(tuple(row.get(column) for column in _COLUMNS))


@lru_cache(maxsize=65536)  # a site's jobs are of few kinds
def _held(cells: tuple[str | None, ...]) -> Held:
    alloc_cpus, n_cpus, req_cpus, alloc_nodes, n_nodes, req_nodes = cells[:6]
    req_mem, alloc_tres, req_tres = cells[6:]
    given, asked = tres.read(alloc_tres or ""), tres.read(req_tres or "")
    procs = (
        _count(alloc_cpus) or given.cpus or _count(n_cpus) or _count(req_cpus) or asked.cpus
    )  # fmt: skip
    known = given if given.cpus else asked
    nodes = _count(alloc_nodes) or given.nodes or _count(n_nodes) or _count(req_nodes)
    repairs: list[str] = []
    per_node, per_cpu = _memory(req_mem or "", nodes or 1, repairs)
    if per_node is None and per_cpu is None and known.memory_mib:
        per_node = -(-known.memory_mib // (nodes or 1))
    request = None
    if nodes or per_node or per_cpu or known.gpus:
        request = ResourceRequest(
            nodes=nodes or None,
            tasks=procs or None,
            memory_per_node_mib=per_node,
            memory_per_cpu_mib=per_cpu,
            accelerator=_wish(known, repairs) if known.gpus else None,
            accelerators_total=known.gpus or None,
        )
    nothing = alloc_tres == "" or (alloc_cpus is not None and not _count(alloc_cpus))
    return Held(procs, nothing, request, tuple(repairs))


def _count(text: str | None) -> int:
    plain = (text or "").strip()
    return int(plain) if re.fullmatch(r"[0-9]{1,12}", plain) else 0


def _memory(text: str, nodes: int, repairs: list[str]) -> tuple[int | None, int | None]:
    """Read what ``ReqMem`` says: MiB per node and per CPU, each None where it is not that.

    ``4000Mn`` is per node, ``4000Mc`` per CPU; newer Slurm prints no letter, for the whole job.
    """
    found = _MEMORY.fullmatch(text.strip())
    if found is None:
        if text.strip():
            repairs.append(rules.MEMORY_UNREAD)
        return None, None
    mib = int(float(found.group(1)) * _MIB[found.group(2)])
    if mib >= _FLAG:
        repairs.append(rules.MEMORY_FLAG)
        return None, (mib - _FLAG) or None
    if found.group(3) == "c":
        return None, mib or None
    if found.group(3) == "n":
        return mib or None, None
    return -(-mib // nodes) or None, None


def _wish(known: tres.Tres, repairs: list[str]) -> AcceleratorNeed:
    if len(known.gpus_by_type) > 1:
        repairs.append(rules.GPU_MIXTURE)
    if not known.gpus_by_type:
        return AcceleratorNeed()
    return need(max(known.gpus_by_type, key=lambda each: each[1])[0][:64])
