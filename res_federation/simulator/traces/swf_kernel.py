"""The byte scanner of the Standard Workload Format, compiled by numba."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from res_federation.placement.compiling import compiled
from res_federation.simulator.workload import Ints

Bytes = npt.NDArray[np.uint8]

FIELDS: Final = (1, 2, 4, 5, 8, 9, 12, 13, 15)
"""Fields that are kept: id, submit, run, allocated, requested, estimate, user, group, queue."""
LINE: Final = len(FIELDS)
"""Column of a row with the number of the line."""
COUNT: Final = LINE + 1
"""Column with the count of fields; below 0 where the scanner gives the line up: -1 - start."""
END: Final = LINE + 2
"""Column with the end of the line."""
WIDTH: Final = LINE + 3
_COLUMN: Final = tuple(FIELDS.index(field) if field in FIELDS else -1 for field in range(19))
_BLANK: Final = 32
"""Blanks are this byte and all below it, but for the two that end a line."""
_SAFE_DIGITS: Final = 18


@compiled
def number_at(data: Bytes, at: int) -> tuple[np.int64, bool, int]:
    """Read the number that begins at *at*, without its decimals.

    Returns:
        Its value, whether it is a plain number of at most 18 digits, and where the word ends.

    """
    size = data.shape[0]
    negative = data[at] == ord("-")
    if negative or data[at] == ord("+"):
        at += 1
    value = np.int64(0)
    begin = at
    while at < size and ord("0") <= data[at] <= ord("9"):
        value = value * 10 + np.int64(data[at] - ord("0"))
        at += 1
    digits = at - begin
    plain = digits <= _SAFE_DIGITS
    if at < size and data[at] == ord("."):
        at += 1
        begin = at
        while at < size and ord("0") <= data[at] <= ord("9"):
            at += 1
        digits += at - begin
    if digits == 0 or (at < size and data[at] > _BLANK):
        plain = False
    while at < size and data[at] > _BLANK:
        at += 1
    return -value if negative else value, plain, at


@compiled
def line_at(data: Bytes, at: int, row: Ints) -> tuple[int, bool, int]:
    """Read the line that begins at *at* into *row*.

    Returns:
        The count of its fields (0 for a comment or nothing), whether all its numbers are plain,
        and where it ends.

    """
    size = data.shape[0]
    fields = 0
    plain = True
    while at < size and data[at] != ord("\n") and data[at] != ord("\r"):
        if data[at] <= _BLANK:
            at += 1
            continue
        if fields == 0 and data[at] == ord(";"):
            while at < size and data[at] != ord("\n") and data[at] != ord("\r"):
                at += 1
            break
        fields += 1
        column = _COLUMN[fields] if fields < 19 else -1
        if column >= 0:
            row[column], good, at = number_at(data, at)
            plain = plain and good
        else:
            while at < size and data[at] > _BLANK:
                at += 1
    return fields, plain, at


@compiled
def scan(data: Bytes, line: int, most: int, rows: Ints) -> int:
    """Read the job lines of *data*, which holds whole lines; return how many there are.

    Args:
        data: (bytes,) the text.
        line: Number of its first line.
        most: Job lines to read; the rest is left alone.
        rows: (at least the lines of data, `WIDTH`) of -1, filled from the front with job lines.
            A line with a word in place of a number, or with one of more than 18 digits, is given
            up: see `COUNT`.

    """
    size = data.shape[0]
    found = at = 0
    while at < size and found < most:
        start = at
        fields, plain, at = line_at(data, at, rows[found])
        if fields > 0:
            rows[found, LINE] = line
            rows[found, COUNT] = fields if plain else -1 - start
            rows[found, END] = at
            found += 1
        if at + 1 < size and data[at] == ord("\r") and data[at + 1] == ord("\n"):
            at += 1
        at += 1
        line += 1
    return found
