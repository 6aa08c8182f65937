"""Long arrays in pieces that a cluster takes, the user's indices kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """One submission of a run.

    Attributes:
        number: From 1; stands in the comment with how many there are.
        array: What ``--array`` says, "" without an array.
        indices: The user's indices, in the order of Slurm's; (-1,) without an array.
        mapped: Whether Slurm's indices are positions in *indices* and not the user's own.

    """

    number: int
    array: str
    indices: tuple[int, ...]
    mapped: bool = False

    def index(self, place: int) -> int | None:
        """Return the user's index of Slurm's, or None where there is none."""
        if not self.mapped:
            return place
        return self.indices[place] if 0 <= place < len(self.indices) else None


def pieces(array: Sequence[int], max_array_size: int, throttle: int) -> tuple[Piece, ...]:
    """Cut an array so that every index is below *max_array_size* (Slurm's ``MaxArraySize``)."""
    if not array:
        return (Piece(1, "", (-1,)),)
    limit = f"%{throttle}" if throttle else ""
    if array[-1] < max_array_size:
        return (Piece(1, _ranges(array) + limit, tuple(array)),)
    found: list[Piece] = []
    for start in range(0, len(array), max_array_size):
        part = tuple(array[start : start + max_array_size])
        found.append(Piece(len(found) + 1, f"0-{len(part) - 1}{limit}", part, mapped=True))
    return tuple(found)


def _ranges(array: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for index in array:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)
