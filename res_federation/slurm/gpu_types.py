"""From a site's word for its accelerators to the canonical model."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.accelerators import accelerator, family_in, memory_in
from res_federation.model.resources import NodeShape

GENERIC = "gpu"
"""Stands for accelerators of which nobody says what they are."""


@dataclass(frozen=True, slots=True)
class GpuModel:
    """Canonical name (or the site's own word, where it is not known) and memory of a device."""

    name: str
    memory_mib: int | None = None


def model(kind: str, declared: NodeShape | None = None) -> GpuModel:
    """Return what the type word *kind* of a site means.

    A word that names a family (``h100``, ``nvidia_h100_80gb_hbm3``, ``a100_3g.20gb``) is believed,
    and only made more precise by the site file's *declared* shape where that names the same family
    and the word itself tells no memory. Another word (``custom``, "") means what the site file
    declares; without that it is kept as given, and "" is `GENERIC`. Nothing is invented.
    """
    named = accelerator(kind)
    told = GpuModel(declared.accelerator, declared.accelerator_memory_mib) if declared else None
    if told is not None and not told.name:
        told = None
    if named is None:
        return told or GpuModel(kind.lower() or GENERIC)
    if told is not None and family_in(told.name) == named.family and not memory_in(kind):
        return told
    return GpuModel(named.name, named.memory_mib)
