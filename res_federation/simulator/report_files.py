"""A replay's files, read back: ``jobs.csv``, ``summary.json`` and, where it is, ``groups.csv``.

A directory holds one replay, or several in directories below it, as `compare` and `sweep` write
them.  What is not whole is refused: partial results are never taken for whole ones.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.simulator.workload import Ints

JOBS_FILE = "jobs.csv"
SUMMARY_FILE = "summary.json"
GROUPS_FILE = "groups.csv"
CELLS_FILE = "cells.json"
"""Names of the replays that a comparison or a sweep is made of; written before the first."""
COLUMNS = ("job_id", "site", "partition", "submit", "start", "end", "procs")
NEEDED = ("trace", "policy", "seed", "jobs", "mean_wait", "makespan", "sites")
"""Keys without which a summary is none."""
_DEEPEST = 4
_LONGEST_NAME = 200
_PIECE = 20_000
_AGAIN = "the results are not whole: run the replay again"


@dataclass(frozen=True, slots=True, eq=False)
class Jobs:
    """The jobs of one replay that ran, as arrays.

    Attributes:
        site: (jobs,) index into *sites*.
        partition: (jobs,) index into *partitions*.
        submit: (jobs,) seconds.
        start: (jobs,) seconds.
        end: (jobs,) seconds.
        procs: (jobs,) processors.
        group: (jobs,) index into *groups*, -1 where it is not known.
        sites: Names, in order of the alphabet.
        partitions: Names, in order of the alphabet.
        groups: Names, in order of the alphabet.
        never_ran: Jobs of the file that never ran; they are not in the arrays.

    """

    site: Ints
    partition: Ints
    submit: Ints
    start: Ints
    end: Ints
    procs: Ints
    group: Ints
    sites: tuple[str, ...]
    partitions: tuple[str, ...]
    groups: tuple[str, ...]
    never_ran: int

    def __len__(self) -> int:
        """Return the number of jobs that ran."""
        return len(self.submit)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A replay in the directory that was asked for.

    Attributes:
        directory: Where its files are.
        name: Its path below the directory that was asked for; "." for that one itself.
        summary: As ``summary.json`` has it.

    """

    directory: Path
    name: str
    summary: Mapping[str, Any]

    @property
    def policy(self) -> str:
        """The policy's name."""
        return str(self.summary["policy"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.summary["seed"])

    @property
    def case(self) -> tuple[str, float | None]:
        """What is the same for all that are compared with one another: overlay and load."""
        load = self.summary.get("load")
        return str(self.summary.get("overlay", "")), None if load is None else float(load)


def find_replays(directory: Path) -> list[Found]:
    """Return the replays that *directory* holds, itself or in directories below, by name.

    Of a comparison or a sweep these are its own replays: what another one left there is none.

    Raises:
        InvalidArgument: If there is none, or one of them has no complete results.

    """
    if not directory.is_dir():
        raise InvalidArgument(
            f"'{directory}' is not a directory", way_out="name the one that --out made"
        )
    wanted = planned(directory)
    places = {str(place.relative_to(directory)): place for place in sorted(_places(directory, 0))}
    found = [
        Found(place, name, read_summary(place))
        for name, place in places.items()
        if not wanted or name in wanted
    ]
    if not found:
        raise InvalidArgument(
            f"'{directory}' holds no results of a replay",
            way_out=f"resfed replay, compare and sweep write {JOBS_FILE} and {SUMMARY_FILE} there",
        )
    return found


def planned(directory: Path) -> tuple[str, ...]:
    """Return the names of the replays that *directory* is to hold, () where nothing tells.

    Raises:
        InvalidArgument: If the list cannot be read.

    """
    file = directory / CELLS_FILE
    try:
        found = json.loads(file.read_text("utf-8"))["cells"]
        return tuple(str(name) for name in found)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidArgument(
            f"'{file}' is no list of replays", way_out="run compare or sweep again"
        ) from None


def plan(directory: Path, names: Sequence[str]) -> None:
    """Write down which replays *directory* is to hold."""
    half = directory / f".{CELLS_FILE}.part"
    half.write_text(json.dumps({"cells": list(names)}, indent=1) + "\n", "utf-8")
    half.replace(directory / CELLS_FILE)


def _places(directory: Path, depth: int) -> Iterator[Path]:
    entries = list(os.scandir(directory))
    if {JOBS_FILE, SUMMARY_FILE} & {entry.name for entry in entries}:
        yield directory
        return
    for entry in entries:
        if depth < _DEEPEST and entry.is_dir(follow_symlinks=False):
            yield from _places(Path(entry.path), depth + 1)


def read_summary(place: Path) -> dict[str, Any]:
    """Return the summary of the replay in *place*.

    Raises:
        InvalidArgument: If it is not there, or not whole.

    """
    file = place / SUMMARY_FILE
    again = "let the replay end, or run it again"
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise InvalidArgument(
            f"'{place}' has no {SUMMARY_FILE}: the replay has not ended", way_out=again
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"'{file}' cannot be read: {error}") from None
    try:
        summary = json.loads(text)
    except ValueError:
        raise InvalidArgument(f"'{file}' is not whole JSON", way_out=again) from None
    lacking = [key for key in NEEDED if not isinstance(summary, dict) or key not in summary]
    if lacking:
        raise InvalidArgument(f"'{file}' has no key '{lacking[0]}'", way_out=again)
    return dict(summary)


def read_jobs(found: Found) -> Jobs:
    """Return the jobs of one replay, with their groups where ``groups.csv`` tells them.

    Raises:
        InvalidArgument: With file and line, if a line is no job, or lines are missing.

    """
    file = found.directory / JOBS_FILE
    groups_file = found.directory / GROUPS_FILE
    table = _Table(file, keep_ids=groups_file.is_file())
    numbers = {name: np.concatenate(parts) for name, parts in table.numbers.items()}
    never = (numbers["start"] < 0) | (numbers["end"] < 0)
    rows = len(never)
    said = int(found.summary["jobs"])
    if said not in {rows, rows - int(never.sum())}:
        raise InvalidArgument(
            f"'{file}' has {rows:,} jobs, and {SUMMARY_FILE} beside it says {said:,}",
            way_out=_AGAIN,
        )
    kept = np.flatnonzero(~never)
    _check(file, numbers, kept)
    site, sites = table.names["site"].sorted(kept)
    partition, partitions = table.names["partition"].sorted(kept)
    group = np.full(len(kept), -1, np.int64)
    groups: tuple[str, ...] = ()
    if groups_file.is_file():
        group, groups = _groups(groups_file, table.ids, kept)
    return Jobs(
        site=site,
        partition=partition,
        submit=numbers["submit"][kept],
        start=numbers["start"][kept],
        end=numbers["end"][kept],
        procs=numbers["procs"][kept],
        group=group,
        sites=sites,
        partitions=partitions,
        groups=groups,
        never_ran=rows - len(kept),
    )


class _Names:
    """Names that come again and again, as numbers."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.parts: list[Ints] = [np.zeros(0, np.int64)]

    def add(self, names: Sequence[str]) -> None:
        numbers = self.numbers
        for name in set(names) - numbers.keys():
            numbers[name] = len(numbers)
        self.parts.append(np.array([numbers[name] for name in names], np.int64))

    def sorted(self, kept: Ints) -> tuple[Ints, tuple[str, ...]]:
        """Return the index of each kept row into the names that occur there, which are sorted."""
        index = np.concatenate(self.parts)[kept]
        names = list(self.numbers)
        used = sorted(np.unique(index).tolist(), key=lambda number: names[number])
        place = np.full(len(names) + 1, -1, np.int64)
        place[used] = np.arange(len(used))
        return place[index], tuple(names[number][:_LONGEST_NAME] for number in used)


class _Table:
    """``jobs.csv`` as columns: read in pieces, so that half a million lines are no lists at once.

    Attributes:
        numbers: Pieces of the columns of whole numbers; an empty time is -1.
        names: Columns of names.
        ids: Job ids, where they are asked for.

    """

    def __init__(self, file: Path, *, keep_ids: bool) -> None:
        self.numbers: dict[str, list[Ints]] = {
            name: [np.zeros(0, np.int64)] for name in ("submit", "start", "end", "procs")
        }
        self.names = {"site": _Names(), "partition": _Names()}
        self.ids: list[str] = []
        for first, columns in _pieces(file, COLUMNS):
            for name, values in zip(COLUMNS, columns, strict=True):
                if name in self.names:
                    self.names[name].add(values)
                elif name in self.numbers:
                    self.numbers[name].append(_integers(file, first, name, values))
                elif keep_ids:
                    self.ids += values


def _pieces(file: Path, header: tuple[str, ...]) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """Yield pieces of a file: the number of their first line, and their columns."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            if tuple(next(reader, ())) != header:
                raise InvalidArgument(
                    f"'{file}' does not begin with {','.join(header)}", field=f"{file}:1"
                )
            first = 2
            while lines := list(islice(reader, _PIECE)):
                _check_lengths(file, first, lines, len(header))
                yield first, list(zip(*lines, strict=True))
                first += len(lines)
    except FileNotFoundError:
        raise InvalidArgument(f"'{file}' is missing", way_out=_AGAIN) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"'{file}' cannot be read: {error}") from None


def _check_lengths(file: Path, first: int, lines: list[list[str]], wanted: int) -> None:
    if set(map(len, lines)) == {wanted}:
        return
    number = next(number for number, line in enumerate(lines, first) if len(line) != wanted)
    raise InvalidArgument(
        f"{len(lines[number - first])} columns, not {wanted}",
        field=f"{file}:{number}",
        way_out=_AGAIN,
    )


def _integers(file: Path, first: int, name: str, values: tuple[str, ...]) -> Ints:
    try:
        return np.array([int(value) if value else -1 for value in values], np.int64)
    except (ValueError, OverflowError):
        pass
    for number, value in enumerate(values, start=first):
        if value and not (value.removeprefix("-").isdecimal() and len(value) < 19):
            raise InvalidArgument(
                f"{name} '{value[:40]}' is no whole number", field=f"{file}:{number}"
            )
    raise InvalidArgument(f"'{file}' has {name} that are no whole numbers", field=name)


def _check(file: Path, columns: dict[str, Ints], kept: Ints) -> None:
    submit, start, end = (columns[name][kept] for name in ("submit", "start", "end"))
    wrong = np.flatnonzero((start < submit) | (end < start) | (columns["procs"][kept] < 1))
    if len(wrong):
        raise InvalidArgument(
            "a job that starts before its submit, ends before its start, or has no processors",
            field=f"{file}:{kept[wrong[0]] + 2}",
        )


def _groups(file: Path, ids: list[str], kept: Ints) -> tuple[Ints, tuple[str, ...]]:
    """Return the groups of kept rows; the file's lines may be in any order, and lack jobs."""
    names = _Names()
    lines: list[str] = []
    for _, (job_ids, groups) in _pieces(file, ("job_id", "group")):
        lines += job_ids
        names.add(groups)
    if lines != ids:
        row_of = dict(zip(lines, range(len(lines)), strict=True))
        names.add([""])
        rows = np.array([row_of.get(each, len(lines)) for each in ids], np.int64)
        names.parts = [np.concatenate(names.parts)[rows]]
    index, known = names.sorted(kept)
    if "" in known:  # it is the first in order
        return index - 1, known[1:]
    return index, known
