"""A replay's files, read back: ``jobs.csv``, ``summary.json`` and, where it is, ``groups.csv``.

A directory holds one replay, or several in directories below it, as `compare` and `sweep` write
them.  What is not whole is refused: partial results are never taken for whole ones.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.simulator.workload import Ints

JOBS_FILE = "jobs.csv"
SUMMARY_FILE = "summary.json"
GROUPS_FILE = "groups.csv"
COLUMNS = ("job_id", "site", "partition", "submit", "start", "end", "procs")
NEEDED = ("trace", "policy", "seed", "jobs", "mean_wait", "makespan", "sites")
"""Keys without which a summary is none."""
_DEEPEST = 4
_LONGEST_CELL = 200


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

    Raises:
        InvalidArgument: If there is none, or one of them has no complete results.

    """
    if not directory.is_dir():
        raise InvalidArgument(
            f"'{directory}' is not a directory", way_out="name the one that --out made"
        )
    found = [
        Found(place, str(place.relative_to(directory)), read_summary(place))
        for place in sorted(_places(directory, 0))
    ]
    if not found:
        raise InvalidArgument(
            f"'{directory}' holds no results of a replay",
            way_out=f"resfed replay, compare and sweep write {JOBS_FILE} and {SUMMARY_FILE} there",
        )
    return found


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
    columns, ids = _columns(file)
    never = (columns["start"] < 0) | (columns["end"] < 0)
    rows = len(never)
    said = int(found.summary["jobs"])
    if said not in {rows, rows - int(never.sum())}:
        raise InvalidArgument(
            f"'{file}' has {rows:,} jobs, and {SUMMARY_FILE} beside it says {said:,}",
            way_out="the results are not whole: run the replay again",
        )
    kept = np.flatnonzero(~never)
    _check(file, columns, kept)
    site, sites = _numbered(columns["site"][kept])
    partition, partitions = _numbered(columns["partition"][kept])
    groups_file = found.directory / GROUPS_FILE
    if groups_file.is_file():
        group, groups = _groups(groups_file, ids, kept)
    else:
        group, groups = np.full(len(kept), -1, np.int64), ()
    return Jobs(
        site=site,
        partition=partition,
        submit=columns["submit"][kept],
        start=columns["start"][kept],
        end=columns["end"][kept],
        procs=columns["procs"][kept],
        group=group,
        sites=sites,
        partitions=partitions,
        groups=groups,
        never_ran=rows - len(kept),
    )


def _columns(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the columns as arrays, and the job ids; an empty time becomes -1."""
    lines = _lines(file, COLUMNS)
    cells: list[tuple[str, ...]] = list(zip(*lines, strict=True)) or [()] * len(COLUMNS)
    columns: dict[str, Any] = {}
    for name, values in zip(COLUMNS, cells, strict=True):
        if name in {"site", "partition"}:
            columns[name] = np.array(values, dtype=object)
        elif name != "job_id":
            columns[name] = _integers(file, name, values)
    return columns, list(cells[0])


def _lines(file: Path, header: tuple[str, ...]) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.reader(stream))
    except FileNotFoundError:
        raise InvalidArgument(
            f"'{file}' is missing", way_out="the results are not whole: run the replay again"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"'{file}' cannot be read: {error}") from None
    if not lines or tuple(lines[0]) != header:
        raise InvalidArgument(f"'{file}' does not begin with {','.join(header)}", field=f"{file}:1")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise InvalidArgument(
                f"{len(line)} columns, not {len(header)}",
                field=f"{file}:{number}",
                way_out="the results are not whole: run the replay again",
            )
    return lines[1:]


def _integers(file: Path, name: str, values: tuple[str, ...]) -> Ints:
    try:
        return np.array([int(value) if value else -1 for value in values], np.int64)
    except (ValueError, OverflowError):
        pass
    for number, value in enumerate(values, start=2):
        if value.lstrip("-").isdigit() and len(value) < 19:
            continue
        raise InvalidArgument(
            f"{name} '{value[:40]}' is no whole number of seconds or processors",
            field=f"{file}:{number}",
        )
    raise InvalidArgument(f"'{file}' has a number that is too large", field=name)


def _check(file: Path, columns: dict[str, Any], kept: Ints) -> None:
    submit, start, end = (columns[name][kept] for name in ("submit", "start", "end"))
    wrong = np.flatnonzero((start < submit) | (end < start) | (columns["procs"][kept] < 1))
    if len(wrong):
        raise InvalidArgument(
            "a job that starts before its submit, ends before its start, or has no processors",
            field=f"{file}:{kept[wrong[0]] + 2}",
        )


def _numbered(values: Any) -> tuple[Ints, tuple[str, ...]]:
    names = sorted(set(values.tolist()))
    numbers = {name: number for number, name in enumerate(names)}
    index = np.array([numbers[value] for value in values.tolist()], np.int64)
    return index, tuple(name[:_LONGEST_CELL] for name in names)


def _groups(file: Path, ids: list[str], kept: Ints) -> tuple[Ints, tuple[str, ...]]:
    group_of = dict(_lines(file, ("job_id", "group")))
    names = sorted(set(group_of.values()) - {""})
    numbers = {name: number for number, name in enumerate(names)}
    index = np.array(
        [numbers.get(group_of.get(ids[row], ""), -1) for row in kept.tolist()], np.int64
    )
    return index, tuple(name[:_LONGEST_CELL] for name in names)
