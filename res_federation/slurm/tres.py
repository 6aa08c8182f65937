"""Trackable resources as Slurm writes them: ``cpu=20,mem=100G,node=1,gres/gpu:h100=2``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_NOTHING = frozenset({"", "N/A", "(null)", "None"})
_ASKED = re.compile(
    r"(?:gres[:/])?gpu(?:[:/](?!\d+(?:\(|$))([^:=(]{1,64}))?(?:[:=](\d{1,7}))?(?:\(.*\))?", re.ASCII
)
_GPU = re.compile(r"gres/gpu(?::(.+))?")


@dataclass(frozen=True, slots=True)
class Tres:
    """Amounts of resources.

    Attributes:
        cpus: Cores.
        nodes: Nodes.
        memory_mib: MiB, None where it is not counted.
        gpus: Accelerators in all.
        gpus_by_type: Type word of the site and count, as far as types are counted.
        licenses: Name and count.
        other: What else stands there, as written.

    """

    cpus: int = 0
    nodes: int = 0
    memory_mib: int | None = None
    gpus: int = 0
    gpus_by_type: tuple[tuple[str, int], ...] = ()
    licenses: tuple[tuple[str, int], ...] = ()
    other: tuple[str, ...] = ()


@lru_cache(maxsize=4096)  # a queue has few different ones
def read(text: str) -> Tres:
    """Read a list of amounts; what cannot be read is kept in ``other`` and counts for nothing."""
    if text.strip() in _NOTHING:
        return Tres()
    cpus = nodes = untyped = 0
    mib: int | None = None
    typed: dict[str, int] = {}
    held: dict[str, int] = {}
    other: list[str] = []
    for part in text.strip().split(","):
        name, equals, value = part.partition("=")
        gpu = _GPU.fullmatch(name)
        if name == "mem" and equals:
            mib = _memory(value)
            continue
        count = _count(value)
        if not equals or count is None:
            other.append(part)
        elif name == "cpu":
            cpus = count
        elif name == "node":
            nodes = count
        elif gpu and gpu.group(1):
            typed[gpu.group(1)] = count
        elif gpu:
            untyped = count
        elif name.startswith("license/"):
            held[name.removeprefix("license/")] = count
        else:
            other.append(part)
    return Tres(
        cpus=cpus,
        nodes=nodes,
        memory_mib=mib,
        gpus=max(untyped, sum(typed.values())),
        gpus_by_type=tuple(sorted(typed.items())),
        licenses=tuple(sorted(held.items())),
        other=tuple(other),
    )


def asked_gpus(text: str) -> tuple[tuple[str, int], ...]:
    """Read what ``--gres`` and ``--gpus`` ask for: type ("" for any) and count of each.

    ``gres:gpu:h100:4``, ``gres/gpu:2,gres/gpu=1``, ``gpu``; the rest of a list is left out.
    """
    found: list[tuple[str, int]] = []
    for part in text.strip().split(","):
        asked = _ASKED.fullmatch(part)
        if asked:
            found.append((asked.group(1) or "", int(asked.group(2) or 1)))
    return tuple(found)


def _count(text: str) -> int | None:
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([KMG])", text)
    if found is None:
        return None
    return int(float(found.group(1)) * {"K": 1e3, "M": 1e6, "G": 1e9}[found.group(2)])


_UNITS = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}


def _memory(text: str) -> int | None:
    """Read ``100G``, ``1.50T``, ``512M``, ``64000`` (MiB)."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGTP]?)[cn]?", text)
    if found is None:
        return None
    return int(float(found.group(1)) * _UNITS[found.group(2)])
