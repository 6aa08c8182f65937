"""Jobs of a trace of text, one line after the other, into columns."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from res_federation.model.resources import ResourceRequest
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.clean import LARGEST, Columns, Names, Tally, workload
from res_federation.simulator.traces.source import Block
from res_federation.simulator.workload import Ints, Workload

_LONGEST_NAME: Final = 200
_MANY: Final = LARGEST * 10
"""Stands for any number that is larger: the cleaning leaves such jobs out."""
_WIDTH: Final = 9
_DECIMAL: Final = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d*)?|\.\d+)", re.ASCII)


def lines(blocks: Iterable[Block]) -> Iterator[tuple[int, str]]:
    """Return the lines that are not blank, each with its number; odd bytes are replaced."""
    for block in blocks:
        text = block.data.decode("utf-8", "replace")
        for number, line in enumerate(text.split("\n"), block.line):
            if line and not line.isspace():
                yield number, line.removesuffix("\r")


def whole(text: str) -> int | None:
    """Return the number that *text* is, its decimals cut; None where it is none."""
    found = _DECIMAL.fullmatch(text.strip())
    return int(found.group().partition(".")[0] or "0") if found and found.group() else None


class Numbering:
    """Numbers for names, in the order in which they come."""

    def __init__(self) -> None:
        """Begin without a name."""
        self._numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Return the number of a name; -1 for ""."""
        if not name:
            return -1
        return self._numbers.setdefault(name[:_LONGEST_NAME], len(self._numbers))

    def names(self) -> tuple[str, ...]:
        """Return the names by number."""
        return tuple(self._numbers)


class Gathered:
    """Jobs as they are read, with what is counted on the way.

    Attributes:
        tally: For what the reader itself leaves out or puts right.
        read: Lines so far, with those that were left out.

    """

    def __init__(self, first: int | None) -> None:
        """Take *first* job lines; None for all."""
        self.tally = Tally()
        self.read = 0
        self._first = first
        self._lines = 0
        self._ids: list[str] = []
        self._rows = array("q")
        self._users, self._groups, self._queues = Numbering(), Numbering(), Numbering()
        self._shapes: dict[ResourceRequest, int] = {}

    def more(self) -> bool:
        """Tell whether there are fewer job lines yet than were asked for."""
        return self._first is None or self._lines < self._first

    def wanted(self) -> bool:
        """Count one more job line; False once there are as many as were asked for."""
        if not self.more():
            return False
        self._lines += 1
        self.read += 1
        return True

    def drop_line(self, rule: str, line: int) -> None:
        """Leave a line out that is about a job but is none, such as one of its steps."""
        self.read += 1
        self.tally.drop(rule, line)

    def drop(self, rule: str, line: int) -> None:
        """Leave a job out."""
        self.tally.drop(rule, line)

    def repair(self, rule: str, line: int) -> None:
        """Count a value that is put right."""
        self.tally.repair(rule, line)

    def add(
        self,
        line: int,
        job_id: str,
        times: tuple[int, int, int],
        procs: int,
        who: tuple[str, str, str],
        request: ResourceRequest | None,
    ) -> None:
        """Take a job.

        Args:
            line: Number of its line.
            job_id: Its name.
            times: Submit, run time and estimate in seconds; -1 for no estimate.
            procs: Processors.
            who: User, group and queue by name; "" where not known.
            request: What it asks for beyond processors, or None.

        """
        self._ids.append(job_id)
        shape = -1 if request is None else self._shapes.setdefault(request, len(self._shapes))
        user, group, queue = who
        numbers: tuple[int, ...] = (*times, procs)
        if max(numbers) > _MANY or min(numbers) < -_MANY:
            numbers = tuple(max(min(number, _MANY), -_MANY) for number in numbers)
        names = (self._users.of(user), self._groups.of(group), self._queues.of(queue))
        self._rows.extend((*numbers, *names, line, shape))

    def workload(self, name: str, processors: int = 0) -> Workload:
        """Clean what was gathered."""
        rows = np.frombuffer(self._rows, np.int64).reshape(-1, _WIDTH)
        submit, runtime, estimate, procs, user, group, queue, line, shape = _columns(rows)
        columns = Columns(
            _identifiers(self._ids), submit, runtime, estimate, procs, user, group, queue, line,
            shape,
        )  # fmt: skip
        names = Names(
            name,
            processors,
            self._users.names(),
            self._groups.names(),
            self._queues.names(),
            tuple(self._shapes),
        )
        return workload(columns, names, self.tally, self.read)

    def broken(self, line: int) -> None:
        """Leave a line out that is no job."""
        self.drop(rules.BROKEN_LINE, line)


def _columns(rows: Ints) -> list[Ints]:
    return [np.ascontiguousarray(rows[:, k]) for k in range(_WIDTH)]


def _identifiers(ids: list[str]) -> npt.NDArray[Any]:
    if all(text.isascii() and text.isdigit() and len(text) <= 18 for text in ids):
        return np.array([int(text) for text in ids], np.int64)
    return np.array(ids, dtype=object)
