"""Canonical accelerator names, the many spellings that mean them, and what a job asks for.

A canonical name is ``vendor-family[-form][-NNgb]``, as precise as the source is:
``nvidia-h100-sxm-80gb`` on Caléndula, ``nvidia-a100`` where the memory is not published.
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
        alternatives: Others that will do as well, without alternatives of their own.

    """

    family: str = ""
    min_memory_mib: int = 0
    asked: str = ""
    alternatives: tuple[AcceleratorNeed, ...] = ()


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
    # Models that Alibaba's GPU trace of 2023 calls G2 and G3 and does not tell.
    "openbg2": "alibaba", "openbg3": "alibaba",
}  # fmt: skip

_ALIASES = {
    "volta": "v100", "hopper": "h100", "ampere": "a100", "pvc": "max1550",
    "teslat4": "t4", "teslav100": "v100", "teslap100": "p100", "teslak80": "k80",
}  # fmt: skip
_SPLIT = re.compile(r"[^a-z0-9]+")
_MEMORY = re.compile(r"^(\d{1,4})(?:gb|g|gib)$")
_SLICE = re.compile(r"(?<![a-z0-9])\d+g\.(\d{1,3})gb(?![a-z0-9])")
_BARE = "16|20|24|32|40|48|64|80|94|96|128|141|144|180|192|288"
"""Memory sizes that devices have, in GB: the only digits without a unit that are read as one."""
_GLUED = re.compile(rf"m?(?P<bare>{_BARE})|m?(?P<size>\d{{1,3}})(?:gb|gib|g)|sxm\d?|pcie|nvl|x\d+")
"""What may stand directly behind a family: ``a10080``, ``v100m32``, ``h10080gb``, ``h100sxm5``."""
_SIZED = ("a100", "a800", "h100", "h800", "h200", "v100")
"""Families sold with several sizes: a number beside them (``a100-80``) is a size."""
_BESIDE = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(_SIZED)})m?[-_ ](?:{_BARE})(?![a-z0-9])")
_HOST_MEMORY = {"gh200": (120, 240, 480)}
"""Sizes in a product's name that are the processor's memory and not the device's."""
_FORMS = ("sxm5", "sxm4", "sxm2", "sxm", "nvl", "pcie")


def _families_by_length() -> tuple[str, ...]:
    return tuple(sorted(FAMILIES, key=lambda family: (-len(family), family)))


_BY_LENGTH = _families_by_length()


def family_in(text: str) -> str:
    """Return the accelerator family that a word such as ``acc_h100`` names, or "".

    The family must stand as a whole part between separators or be glued to a memory size or a
    form (``V100M32``, ``h100sxm5``): ``cal`` does not name an ``a1``, ``gpu2`` names nothing, and
    ``a4000`` is a product of its own and no ``a40``.
    """
    parts = [part for part in _SPLIT.split(text.lower()) if part]
    joined = {a + b for a, b in pairwise(parts)}
    for part in [*parts, *sorted(joined)]:
        if part in FAMILIES:
            return part
        if part in _ALIASES:
            return _ALIASES[part]
        family, _ = _glued(part)
        if family:
            return family
    return ""


def _glued(part: str) -> tuple[str, int]:
    """Return family and GB of a part such as ``a10080gb``; ("", 0) where it is none."""
    for family in _BY_LENGTH:
        rest = _GLUED.fullmatch(part[len(family) :]) if part.startswith(family) else None
        if rest:
            return family, int(rest["bare"] or rest["size"] or 0)
    return "", 0


def memory_in(text: str) -> int:
    """Return the device memory in MiB that a word such as ``a100-80gb`` names, or 0.

    Of a slice (``a100_1g.5gb``) it is the memory of the slice.
    """
    lower = text.lower()
    piece = _SLICE.search(lower)
    if piece:
        return int(piece[1]) * GIB
    parts = [part for part in _SPLIT.split(lower) if part]
    units = [a + b for a, b in pairwise(parts) if b in ("gb", "gib")]
    host = _HOST_MEMORY.get(family_in(lower), ())
    for part in [*parts, *units]:
        size = _MEMORY.match(part)
        if size and int(size[1]) not in host:
            return int(size[1]) * GIB
    beside = _BESIDE.search(lower)
    if beside:
        return int(_SPLIT.split(beside[0])[-1]) * GIB
    return max((_glued(part)[1] for part in parts), default=0) * GIB


def _form_in(lower: str, family: str) -> str:
    form = next((form for form in _FORMS if form in lower), "")
    if form.startswith("sxm"):
        return "sxm"
    if not form and family in ("h100", "h800") and "hbm3" in lower:
        return "sxm"  # of these two only the SXM one reports itself with HBM3
    return form


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
    size = f"{memory // GIB}gb" if memory else ""
    form = _form_in(text.lower(), family)
    name = "-".join(part for part in (FAMILIES[family], family, form, size) if part)
    return Accelerator(name=name, family=family, memory_mib=memory)


_ANY = re.compile(r"(?:any)?[-_]?(?:(\d{1,4})(?:gb|gib|g))?")


def is_any(text: str) -> bool:
    """Tell whether *text* is the federation's own word for any accelerator: ``any``, ``any-40gb``.

    A size alone (``40gb``) is one too: any that has at least so much.
    """
    return bool(text) and _ANY.fullmatch(text.lower()) is not None


def need(text: str) -> AcceleratorNeed:
    """Read what a job asks for; an unknown word stays the family, so that nothing is guessed."""
    if is_any(text):
        size = _ANY.fullmatch(text.lower())
        return AcceleratorNeed("", int((size and size[1]) or 0) * GIB, text)
    model = accelerator(text)
    if model is None:
        return AcceleratorNeed(family=text.lower(), asked=text)
    return AcceleratorNeed(family=model.family, min_memory_mib=memory_in(text), asked=text)
