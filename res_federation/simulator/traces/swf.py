"""Standard Workload Format: eighteen numbers a line, comments behind semicolons."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np

from res_federation.simulator.traces import rules
from res_federation.simulator.traces.clean import LARGEST, Columns, Names, Tally, workload
from res_federation.simulator.traces.source import Block
from res_federation.simulator.traces.swf_kernel import COUNT, END, FIELDS, LINE, WIDTH, scan
from res_federation.simulator.workload import Ints, Workload

LEAST_FIELDS: Final = 9
"""A line needs as many to tell the processors that it asks for and its time limit."""
_NEEDED: Final = tuple(k for k, field in enumerate(FIELDS) if field <= LEAST_FIELDS)
_NUMBER: Final = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?")
_PROCESSORS: Final = re.compile(rb"(?im)^\s*;+\s*Max(Procs|Nodes)\s*:\s*([\d,]{1,15})")
_QUEUE: Final = re.compile(rb"(?im)^\s*;+\s*Queue\s*:\s*(\d{1,4})\s+(\S[^\r\n]*)")
_BLANKS: Final = re.compile(rb"[\x00-\x20]+")
_COMMENTS: Final = re.compile(rb"(?:[^\S\n]*(?:;[^\n]*)?(?:\n|\Z))+")
_LONGEST_NAME: Final = 100


def read(blocks: Iterable[Block], name: str, first: int | None) -> Workload:
    """Read a trace; *first* is how many job lines count, None for all."""
    tally = Tally()
    names: Names | None = None
    parts: list[Ints] = []
    count = 0
    for block in blocks:
        names = names or _header(block.data, name)
        most = block.data.count(b"\n") + block.data.count(b"\r") + 1
        if first is not None:
            most = min(most, first - count)
        rows = _rows(block, most, tally)
        count += len(rows)
        parts.append(rows)
    return workload(_columns(parts, tally), names or Names(name), tally, count)


def _rows(block: Block, most: int, tally: Tally) -> Ints:
    """Return at most *most* job lines of a block: (lines, `WIDTH`)."""
    rows: Ints = np.full((most, WIDTH), -1)
    found = scan(np.frombuffer(block.data, np.uint8), block.line, most, rows)
    rows = rows[:found].copy()
    for k in np.flatnonzero(rows[:, COUNT] < 0):
        start, end = -1 - int(rows[k, COUNT]), int(rows[k, END])
        rows[k, COUNT] = _reread(block.data[start:end], rows[k], tally)
    return rows


def _reread(text: bytes, row: Ints, tally: Tally) -> int:
    """Read a line that is not all plain numbers; return its fields, 0 where it is no job."""
    words = [word for word in _BLANKS.split(text, 20) if word]
    for k, field in enumerate(FIELDS):
        word = words[field - 1] if field <= len(words) else b"-1"
        found = _NUMBER.fullmatch(word[:64])
        if found is None and k in _NEEDED:
            return 0
        if found is None:
            tally.repair(rules.NO_NUMBER, int(row[LINE]))
        row[k] = _whole(found.group()) if found else -1
    return len(words)


def _whole(text: bytes) -> int:
    """Return the whole number that is left when the decimals are cut, within 64 bits."""
    far = LARGEST * 1_000_000
    digits = text.lstrip(b"+-").isdigit()
    value = int(text) if digits else int(max(min(float(text), far), -far))
    most = int(np.iinfo(np.int64).max)
    return max(min(value, most), -most)


def _header(data: bytes, name: str) -> Names:
    """Return what the comments before the first job say."""
    found = _COMMENTS.match(data)
    text = found.group() if found else b""
    sizes = {
        which.lower(): int(size.replace(b",", b"") or 0)
        for which, size in reversed(_PROCESSORS.findall(text))
    }
    queues = {int(number): _text(title) for number, title in _QUEUE.findall(text)}
    return Names(
        name,
        processors=sizes.get(b"procs", 0) or sizes.get(b"nodes", 0),
        queues=tuple(queues.get(k, "") for k in range(max(queues, default=-1) + 1)),
    )


def _text(data: bytes) -> str:
    return data.strip().decode(errors="replace")[:_LONGEST_NAME]


def _columns(parts: list[Ints], tally: Tally) -> Columns:
    columns = [
        np.concatenate([part[:, k] for part in parts]) if parts else np.zeros(0, np.int64)
        for k in range(END)
    ]
    parts.clear()
    broken = columns[COUNT] < LEAST_FIELDS
    if broken.any():
        tally.drop_all(rules.BROKEN_LINE, broken, columns[LINE])
        columns = [column[~broken] for column in columns]
    number, submit, run, allocated, asked, estimate, user, group, queue, line, fields = columns
    tally.repair_all(rules.SHORT_LINE, fields < 18, line)
    return Columns(
        job_ids=number,
        submit=submit,
        runtime=run,
        estimate=estimate,
        procs=np.where(asked > 0, asked, allocated),
        user=np.maximum(user, -1),
        group=np.maximum(group, -1),
        queue=np.maximum(queue, -1),
        line=line,
    )
