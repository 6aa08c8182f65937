"""Rows of columns with a bar between them, in which people's own words stand unquoted.

Slurm escapes nothing: a bar, a newline, half a character may stand in any job's name and comment,
and a name may hold a whole line that looks like the row of another job. Columns of a fixed width
are therefore cut by count, not by what stands in them; the width counts bytes, as Slurm's does.
"""

from __future__ import annotations

from collections.abc import Sequence

Column = tuple[str, int]
"""Name and width in bytes; 0 for as long as it is, without a bar and without a newline inside."""
_LOST = "\N{REPLACEMENT CHARACTER}"


def read(text: str, columns: Sequence[Column]) -> tuple[list[dict[str, str]], int]:
    """Read the rows of *text*.

    A row ends where its last column does. What is no row is skipped up to the next newline.

    Args:
        text: As printed, what is no UTF-8 replaced.
        columns: Those of width 0 stand before all others.

    Returns:
        The rows by the names of the columns, values without blanks around them, and the number
        of lines that are no row.

    """
    names = [name for name, _ in columns]
    free = sum(1 for _, width in columns if not width)
    widths = [width for _, width in columns[free:]]
    rows: list[dict[str, str]] = []
    bad = at = 0
    if text and not text.endswith("\n"):
        text += "\n"
    while at < len(text):
        end = text.index("\n", at)
        cells = text[at:end].split("|", free)
        if len(cells) == free + 1 or not widths:
            start = end - len(cells[-1]) if widths else end
            found = _fixed(text, start, widths)
            if found is not None and len(cells) >= free:
                values, at = found
                rows.append(
                    {n: v.strip() for n, v in zip(names, cells[:free] + values, strict=True)}
                )
                continue
        if text[at:end].strip():
            bad += 1
        at = end + 1
    return rows, bad


def _fixed(text: str, at: int, widths: Sequence[int]) -> tuple[list[str], int] | None:
    """Cut columns of fixed width; return them and where the next row begins."""
    values: list[str] = []
    for number, width in enumerate(widths, 1):
        end = _after(text, at, width, "\n" if number == len(widths) else "|")
        if end is None:
            return None
        values.append(text[at:end])
        at = end + 1
    return values, at


def _after(text: str, at: int, width: int, mark: str) -> int | None:
    """Return where *width* bytes end that *mark* follows; what was not decoded counts as one."""
    part = text[at : at + width]
    if len(part) == width and part.isascii():
        end = at + width
        return end if text[end : end + 1] == mark else None
    taken, end, cut = 0, at, None
    for sign in part:
        if taken >= width:
            break
        taken += 1 if sign == _LOST else len(sign.encode(errors="replace"))
        end += 1
        if sign == _LOST and width - 2 <= taken < width and text[end : end + 1] == mark:
            cut = end  # Slurm cut the last letter, of which two or three bytes were left
    return end if taken == width and text[end : end + 1] == mark else cut
