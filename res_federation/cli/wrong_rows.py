"""Rows of a file that cannot be imported: a line for each, and then nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from res_federation.cli import output
from res_federation.errors import InvalidArgument

Wrong = Sequence[tuple[int, str]]
"""Lines, and what is wrong with each."""
_MOST_TOLD = 100


def tell_wrong(file: Path, wrong: Wrong, *, as_json: bool) -> int:
    """Say of each line what is wrong with it; return the exit code."""
    lines = sorted(set(wrong))
    if as_json:
        output.document({"wrong": [{"line": line, "why": why} for line, why in lines]})
    for line, why in lines[:_MOST_TOLD]:
        output.note(f"{file}:{line}: {why}")
    more = f" ({len(lines) - _MOST_TOLD} are not shown)" if len(lines) > _MOST_TOLD else ""
    output.note(f"{file}: {len(lines)} lines are wrong{more}: nothing was imported")
    return InvalidArgument.exit_code


def read_text(file: Path) -> str:
    """Return the text of a file; raises InvalidArgument where it is none in UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument(
            "is not text in UTF-8", field=str(file), way_out="save it as CSV UTF-8"
        ) from None
