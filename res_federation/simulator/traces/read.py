"""Any trace into a `Workload`: the format is known by what the file says, not by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from res_federation.errors import InvalidArgument
from res_federation.simulator.traces import events, openb, rules, sacct, swf
from res_federation.simulator.traces.clean import fit_to
from res_federation.simulator.traces.recorded import read_recorded
from res_federation.simulator.traces.source import LIMIT_BYTES, STDIN, Block, blocks, name_of
from res_federation.simulator.workload import Workload
from res_federation.store.recording import is_recording

__all__ = ["FORMATS", "fit_to", "read_trace"]

Reader = Callable[[Iterable[Block], str, int | None], Workload]

FORMATS: Final[Mapping[str, Reader]] = {
    "swf": swf.read,
    "sacct": sacct.read,
    "events": events.read,
    "openb": openb.read,
}
"""Reader of each format; it is given blocks of lines, the trace's name, and how many jobs."""
RECORDING: Final = "resfed"
"""The format of `resfed trace export`."""
_NUMBERS: Final = re.compile(r"(?:[+-]?[0-9.][0-9.eE+-]*\s+){9,}")
_HEAD: Final = 1 << 16


def read_trace(
    path: Path | str,
    *,
    form: str = "",
    first: int | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> Workload:
    """Read a trace, clean it, and count what was put right or left out.

    Args:
        path: File, plain or packed with gzip; ``-`` for standard input.
        form: One of `FORMATS`, RECORDING, or "" to recognise it.
        first: Take only so many job lines, counted before any is left out; None for all.
        limit_bytes: Most bytes that the file may have when unpacked.

    Raises:
        InvalidArgument: The file cannot be read, is damaged, or is no trace.

    """
    shown = "standard input" if str(path) == STDIN else str(path)
    if form and form not in (*FORMATS, RECORDING):
        raise InvalidArgument(
            f"there is no format '{form}'",
            field="--format",
            way_out=f"one of: {', '.join((*FORMATS, RECORDING))}",
        )
    if first is not None and first < 1:
        raise InvalidArgument(f"{first} is no number of jobs", field="--first", way_out="1 or more")
    try:
        form, work = _read(path, form, first, limit_bytes, shown)
    except InvalidArgument as error:
        if shown in error.message:
            raise
        raise InvalidArgument(f"{shown}: {error.message}", way_out=error.way_out) from None
    if not work.read:
        raise InvalidArgument(f"{shown}: has no jobs", way_out="give a file with a line for each")
    if work.dropped.get(rules.BROKEN_LINE) == work.read:
        raise InvalidArgument(
            f"{shown}: none of its {work.read:,} lines is a job of the format {form}",
            way_out="--format names another one",
        )
    return replace(work, form=form)


def _read(
    path: Path | str, form: str, first: int | None, limit_bytes: int, shown: str
) -> tuple[str, Workload]:
    if form == RECORDING or (not form and str(path) != STDIN and is_recording(Path(path))):
        return RECORDING, read_recorded(Path(path), name_of(path), first)
    incoming = blocks(path, limit_bytes)
    head = next(incoming, Block(b"", 1))
    found = form or _recognised(head.data[:_HEAD], shown)
    return found, FORMATS[found](chain((head,), incoming), name_of(path), first)


def _recognised(head: bytes, shown: str) -> str:
    """Return the format that the first bytes of a file are of."""
    if b"\0" in head:
        raise InvalidArgument(f"{shown}: is not text", way_out="give a trace; gzip is unpacked")
    lines = (line.strip() for line in head.decode("utf-8", "replace").splitlines())
    first = next((line for line in lines if line), "")
    if first.startswith(";") or _NUMBERS.match(f"{first} "):
        return "swf"
    if sacct.is_heading(first) or sacct.is_row(first):
        return "sacct"
    if events.BEGIN.match(first):
        return "events"
    if openb.is_heading(first, openb.PODS):
        return "openb"
    if openb.is_heading(first, openb.NODES):
        raise InvalidArgument(
            f"{shown}: is a list of nodes, not of jobs", way_out="give the list of pods"
        )
    raise InvalidArgument(
        f"{shown}: is of no format that is known", way_out=f"--format: {', '.join(FORMATS)}"
    )
