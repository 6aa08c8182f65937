"""Canonical accelerator names, the many spellings that mean them, and what a job asks for.

A canonical name is ``vendor-family[-form][-NNgb]``, as precise as the source is:
``nvidia-h100-sxm-64gb`` on MareNostrum 5, ``nvidia-a100`` where the memory is not published.
A request names a family (``a100``), sometimes a memory size, seldom a form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

GIB = 1024
"""MiB in a GiB."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A model of accelerator.

    Attributes:
        name: Canonical name.
        family: The word users ask for (``h100``).
        memory_mib: Memory of one device, or None where it is not known.

    """

    name: str
    family: str
    memory_mib: int | None


@dataclass(frozen=True, slots=True)
class AcceleratorNeed:
    """Which accelerators will do.

    Attributes:
        family: The family asked for, or "" for any.
        min_memory_mib: Least memory of a device; 0 for no wish.
        asked: The user's own spelling, for messages.

    """

    family: str = ""
    min_memory_mib: int = 0
    asked: str = ""


FAMILIES: dict[str, str] = {
    # family -> vendor; longest spelling first matters only to `read`, which sorts by length.
    "gb300": "nvidia", "gb200": "nvidia", "b300": "nvidia", "b200": "nvidia", "b100": "nvidia",
    "blackwell": "nvidia", "gh200": "nvidia", "h200": "nvidia", "h100": "nvidia", "h800": "nvidia",
    "a100": "nvidia", "a800": "nvidia", "a40": "nvidia", "a30": "nvidia", "a10g": "nvidia",
    "a10": "nvidia", "a16": "nvidia", "a2": "nvidia", "a5000": "nvidia", "a6000": "nvidia",
    "l40s": "nvidia", "l40": "nvidia", "l4": "nvidia", "v100": "nvidia", "v100s": "nvidia",
    "p100": "nvidia", "p40": "nvidia", "p4": "nvidia", "k80": "nvidia", "k40": "nvidia",
    "t4": "nvidia", "rtx2080": "nvidia", "rtx3080": "nvidia", "rtx3090": "nvidia",
    "rtx4090": "nvidia", "rtx5000": "nvidia", "rtx6000": "nvidia", "rtx8000": "nvidia",
    "titan": "nvidia", "gtx1080": "nvidia", "mi50": "amd", "mi100": "amd", "mi200": "amd",
    "mi210": "amd", "mi250": "amd", "mi250x": "amd", "mi300": "amd", "mi300a": "amd",
    "mi300x": "amd", "gaudi2": "intel", "gaudi3": "intel", "max1550": "intel",
}  # fmt: skip

_ALIASES = {
    "volta": "v100", "hopper": "h100", "ampere": "a100", "tesla_v100": "v100",
    "pvc": "max1550", "teslat4": "t4",
}  # fmt: skip
_SPLIT = re.compile(r"[^a-z0-9]+")
_MEMORY = re.compile(r"^(\d{1,4})(?:gb|g|gib)$")
_FORMS = ("sxm5", "sxm4", "sxm2", "sxm", "nvl", "pcie", "hbm3", "hbm2e", "hbm2")


def _families_by_length() -> tuple[str, ...]:
    return tuple(sorted(FAMILIES, key=lambda family: (-len(family), family)))


_BY_LENGTH = _families_by_length()


def family_in(text: str) -> str:
    """Return the accelerator family that a word such as ``acc_h100`` names, or "".

    The family must stand as a whole part between separators or be glued to digits of a memory
    size (``V100M32``, ``a100-40``): ``cal`` does not name an ``a1`` and ``gpu2`` names nothing.
    """
    parts = [part for part in _SPLIT.split(text.lower()) if part]
    joined = {a + b for a, b in pairwise(parts)}
    for part in [*parts, *sorted(joined)]:
        if part in FAMILIES:
            return part
        if part in _ALIASES:
            return _ALIASES[part]
        for family in _BY_LENGTH:
            if part.startswith(family) and re.fullmatch(
                r"(m?\d{2,3}(g|gb|gib)?|sxm\d?|pcie|nvl|x\d+)", part[len(family) :]
            ):
                return family
    return ""


def memory_in(text: str) -> int:
    """Return the device memory in MiB that a word such as ``a100-80gb`` names, or 0."""
    for part in _SPLIT.split(text.lower()):
        size = _MEMORY.match(part)
        if size:
            return int(size.group(1)) * GIB
    bare = re.search(r"(?:a100|h100|v100|v100m|a800|h800)[-_m](\d{2})(?!\d)", text.lower())
    return int(bare.group(1)) * GIB if bare else 0


def accelerator(text: str, memory_mib: int | None = None) -> Accelerator | None:
    """Return the model that *text* names, in any spelling, or None when it names none.

    Args:
        text: ``h100``, ``NVIDIA-H100-64GB``, ``nvidia_h100_80gb_hbm3``, ``NVIDIA A100``…
        memory_mib: Memory of a device where it is known apart from the text.

    """
    family = family_in(text)
    if not family:
        return None
    memory = memory_mib if memory_mib is not None else (memory_in(text) or None)
    form = next((f for f in _FORMS if f in text.lower()), "")
    form = "sxm" if form in ("sxm5", "sxm4", "sxm2", "hbm3") else form
    form = "" if form in ("hbm2e", "hbm2") else form
    size = f"{memory // GIB}gb" if memory else ""
    name = "-".join(part for part in (FAMILIES[family], family, form, size) if part)
    return Accelerator(name=name, family=family, memory_mib=memory)


def need(text: str) -> AcceleratorNeed:
    """Read what a job asks for; an unknown word stays the family, so that nothing is guessed."""
    model = accelerator(text)
    if model is None:
        return AcceleratorNeed(family=text.lower(), asked=text)
    return AcceleratorNeed(family=model.family, min_memory_mib=memory_in(text), asked=text)
