"""Job arrays: ``--array=1-10:2%4``, ``0,3,7-9``. Bounded before anything is built."""

from __future__ import annotations

import re
from dataclasses import dataclass

from res_federation.errors import InvalidArgument
from res_federation.model.job import MAX_ARRAY_TASKS

MAX_INDEX = 4_000_000
"""The largest array index that Slurm can be configured for."""
_MAX_TEXT = 64 * 1024
_MOST_DOUBLES = 8
"""How often over all the tasks may be named: sbatch takes ranges that overlap."""
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)
_WAY_OUT = "write it like 1-10, 0-99:2, 1,4,7-9 or 1-100%5"


@dataclass(frozen=True, slots=True)
class Array:
    """Indices, ascending and without doubles, and how many may run at once (0: no bound)."""

    indices: tuple[int, ...]
    throttle: int = 0


def read(text: str) -> Array:
    """Read the value of ``--array``.

    Raises:
        InvalidArgument: It is no array, or one of more than `MAX_ARRAY_TASKS` tasks.

    """
    if len(text) > _MAX_TEXT:
        raise InvalidArgument("the array is too long to read", field="--array", way_out=_WAY_OUT)
    body, percent, bound = text.partition("%")
    body = body.strip()
    if body.startswith("[") and body.endswith("]"):
        body = body[1:-1]
    if percent and not re.fullmatch(r"\d{1,9}", bound.strip(), re.ASCII):
        raise InvalidArgument(
            f"'%{bound}' is not how many tasks may run at once", field="--array", way_out=_WAY_OUT
        )
    indices: set[int] = set()
    read_so_far = 0
    for part in body.split(","):
        found = _indices(part.strip())
        indices.update(found)
        read_so_far += len(found)
        if len(indices) > MAX_ARRAY_TASKS or read_so_far > _MOST_DOUBLES * MAX_ARRAY_TASKS:
            raise _too_many()  # 0-99999,0-99999,… is a short text too, and minutes of work
    return Array(tuple(sorted(indices)), int(bound) if percent else 0)


def _too_many() -> InvalidArgument:
    return InvalidArgument(
        f"the array has more than {MAX_ARRAY_TASKS:,} tasks",
        field="--array",
        way_out="split it into several jobs",
    )


def _indices(part: str) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise InvalidArgument(
            f"'{part[:60]}' is not an array index or range", field="--array", way_out=_WAY_OUT
        )
    first = int(found.group(1))
    last = int(found.group(2) or first)
    step = int(found.group(3) or 1)
    if last < first or step < 1:
        raise InvalidArgument(
            f"the range '{part}' is empty or runs backwards", field="--array", way_out=_WAY_OUT
        )
    if last > MAX_INDEX:
        raise InvalidArgument(
            f"the index {last} is larger than Slurm's largest, {MAX_INDEX:,}", field="--array"
        )
    if (last - first) // step >= MAX_ARRAY_TASKS:
        raise _too_many()
    return range(first, last + 1, step)


def normal(array: Array) -> str:
    """Write an array shortly; `read` gives the same one back."""
    parts: list[str] = []
    start = 0
    indices = array.indices
    for at in range(1, len(indices) + 1):
        if at == len(indices) or indices[at] != indices[at - 1] + 1:
            first, last = indices[start], indices[at - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = at
    return ",".join(parts) + (f"%{array.throttle}" if array.throttle else "")
