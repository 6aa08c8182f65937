"""Dumps of Slurm's accounting: what ``sacct -P`` prints, with a heading or without."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from res_federation.errors import InvalidArgument
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.gather import Gathered, lines
from res_federation.simulator.traces.sacct_request import Held, held
from res_federation.simulator.traces.source import Block
from res_federation.simulator.workload import Workload
from res_federation.slurm import durations, slurm_states, slurm_times

XDMOD: Final = tuple(
    "jobid jobidraw cluster partition qos account group gid user uid submit eligible start end "
    "elapsed exitcode state nnodes ncpus reqcpus reqmem reqtres alloctres timelimit nodelist "
    "jobname".split()
)
"""Columns of a dump without a heading: those that Open XDMoD asks sacct for."""
_FREE: Final = ("jobname", "comment", "workdir", "submitline")
"""Columns in which people may write bars."""
_NEEDED: Final = (
    ("JobID", ("jobid", "jobidraw")),
    ("Submit", ("submit",)),
    ("Elapsed (or Start and End)", ("elapsed", "elapsedraw", "end")),
    ("AllocCPUS, ReqCPUS, AllocTRES or ReqTRES",
     ("alloccpus", "ncpus", "reqcpus", "alloctres", "reqtres")),
)  # fmt: skip
_JOB: Final = re.compile(r"\d{1,18}(?:_(?:\d{1,9}|\[[^\]]{0,200}\]))?(?:\+\d{1,6})?", re.ASCII)
_STEP: Final = re.compile(r"\d[\d_+]{0,40}\.\w{1,40}(?:\+\d{1,6})?", re.ASCII)
_NOWHERE: Final = frozenset({"None assigned", "None"})
_seconds: Final = lru_cache(maxsize=65536)(durations.seconds)
_time: Final = lru_cache(maxsize=1024)(slurm_times.read)  # a job's times are often one another's


def is_heading(line: str) -> bool:
    """Tell whether a line is the heading of a dump."""
    return "|" in line and bool({"jobid", "jobidraw"} & set(_words(line)))


def is_row(line: str) -> bool:
    """Tell whether a line is a job of a dump without a heading."""
    cells = line.split("|")
    return len(cells) >= len(XDMOD) and bool(_JOB.fullmatch(cells[0]) or _STEP.fullmatch(cells[0]))


def _words(line: str) -> list[str]:
    words = [word.strip().lower().partition("%")[0] for word in line.split("|")]
    return words[:-1] if words and not words[-1] else words


def read(blocks: Iterable[Block], name: str, first: int | None) -> Workload:
    """Read a trace; *first* is how many lines of jobs (not of steps) count, None for all.

    Raises:
        InvalidArgument: The heading lacks what a replay needs, or there is none and the columns
            are not `XDMOD`.

    """
    jobs = Gathered(first)
    table: _Table | None = None
    for number, line in lines(blocks):
        if table is None:
            table = _table(line, number)
        if not line[0].isdigit() and _words(line) == list(table.columns):
            continue  # also where dumps were put one behind the other
        row = table.row(line)
        if _is_step(row.get("jobid", "")) or _is_step(row.get("jobidraw", "")):
            if jobs.more():
                jobs.drop_line(rules.JOB_STEP, number)
        elif jobs.wanted():
            _take(jobs, number, row)
    return jobs.workload(name)


def _is_step(job_id: str) -> bool:
    return "." in job_id and bool(_STEP.fullmatch(job_id))


class _Table:
    """The columns of a dump, and how a line is cut into them."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        free = [self.columns.index(column) for column in _FREE if column in self.columns]
        self._before = free[0] if free else len(self.columns) - 1
        self._after = len(self.columns) - 1 - self._before

    def row(self, line: str) -> dict[str, str]:
        """Return the cells of a line by column; {} where it has too few or too many."""
        cells = line.split("|")
        many = len(self.columns)
        if len(cells) == many + 1 and not cells[-1]:
            cells.pop()  # sacct -p ends each line with a bar
        if len(cells) > many:
            cells = line.split("|", self._before)
            cells[self._before :] = cells[self._before].rsplit("|", self._after)
        return dict(zip(self.columns, cells, strict=True)) if len(cells) == many else {}


def _table(line: str, number: int) -> _Table:
    if is_heading(line):
        columns = _words(line)
        lacking = [name for name, any_of in _NEEDED if not set(any_of) & set(columns)]
        if lacking:
            raise InvalidArgument(
                f"line {number}: the heading lacks {'; '.join(lacking)}",
                way_out="sacct -aPX -o JobID,User,Account,Partition,Submit,Start,End,Elapsed,"
                "State,NNodes,AllocCPUS,ReqMem,AllocTRES,Timelimit,NodeList",
            )
        return _Table(columns)
    if is_row(line):
        return _Table(XDMOD)
    raise InvalidArgument(
        f"line {number}: has no heading, and {line.count('|') + 1} columns where Open XDMoD's "
        f"dump has {len(XDMOD)}",
        way_out="leave -n out, so that sacct prints the heading",
    )


def _take(jobs: Gathered, number: int, row: Mapping[str, str]) -> None:
    job_id = row.get("jobid") or row.get("jobidraw", "")
    submit = _time(row.get("submit", ""))
    if submit is None or not _JOB.fullmatch(job_id):
        jobs.broken(number)
        return
    start, end = (_time(row.get(column, "")) for column in ("start", "end"))
    state = slurm_states.read(row.get("state", ""))
    if ("start" in row and start is None) or row.get("nodelist", "") in _NOWHERE:
        jobs.drop(rules.NEVER_STARTED, number)
        return
    if ("end" in row and end is None) or state.phase is slurm_states.Phase.RUNNING:
        jobs.drop(rules.NOT_ENDED, number)
        return
    runtime = _elapsed(row)
    if runtime is None and start is not None and end is not None:
        runtime = end - start
    if runtime is None:
        jobs.broken(number)
        return
    found = held(row)
    if runtime == 0 and found.nothing:
        jobs.drop(rules.NEVER_STARTED, number)
        return
    _count(jobs, number, found)
    times = (submit, runtime, _estimate(jobs, number, row))
    who = (
        row.get("user") or row.get("uid", ""),
        row.get("account") or row.get("group", ""),
        row.get("partition", "").partition(",")[0],
    )
    jobs.add(number, job_id, times, found.procs, who, found.request)


def _count(jobs: Gathered, number: int, found: Held) -> None:
    for rule in found.repairs:
        jobs.repair(rule, number)


def _elapsed(row: Mapping[str, str]) -> int | None:
    raw = row.get("elapsedraw", "").strip()
    if raw.isascii() and raw.isdigit():
        return int(raw[:18])
    text = row.get("elapsed", "").strip().partition(".")[0]
    return _seconds(text) if ":" in text else None


def _estimate(jobs: Gathered, number: int, row: Mapping[str, str]) -> int:
    """Return the time limit in seconds, -1 without one of the job's own."""
    raw = row.get("timelimitraw", "").strip()
    if raw.isascii() and raw.isdigit():
        return int(raw[:15]) * 60
    text = (row.get("timelimit", "") or raw).strip()
    if text.lower() == "partition_limit":
        jobs.repair(rules.PARTITION_LIMIT, number)
        return -1
    seconds = _seconds(text) if text else None
    if seconds == durations.UNLIMITED:
        jobs.repair(rules.UNLIMITED, number)
    return seconds if seconds is not None and seconds > 0 else -1
