"""From what the lines of a trace say to a `Workload`: one set of rules for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from res_federation.model.resources import ResourceRequest
from res_federation.simulator.traces import rules
from res_federation.simulator.workload import Ints, Workload

LARGEST: Final = 100_000_000_000
"""Seconds and processors beyond this (3,000 years) are no figures; sums stay within 64 bits."""


@dataclass(slots=True)
class Tally:
    """Counts by rule, with the line where each rule was first needed."""

    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    first_lines: dict[str, int] = field(default_factory=dict)

    def drop(self, rule: str, line: int, count: int = 1) -> None:
        """Count jobs that are left out."""
        self.dropped[rule] = self.dropped.get(rule, 0) + count
        self.first_lines.setdefault(rule, line)

    def repair(self, rule: str, line: int, count: int = 1) -> None:
        """Count values that are put right."""
        self.repaired[rule] = self.repaired.get(rule, 0) + count
        self.first_lines.setdefault(rule, line)

    def drop_all(self, rule: str, bad: npt.NDArray[np.bool_], line: Ints) -> None:
        """Count the jobs of a mask."""
        if bad.any():
            self.drop(rule, int(line[bad].min()), int(bad.sum()))

    def repair_all(self, rule: str, bad: npt.NDArray[np.bool_], line: Ints) -> None:
        """Count the values of a mask."""
        if bad.any():
            self.repair(rule, int(line[bad].min()), int(bad.sum()))


@dataclass(frozen=True, slots=True)
class Columns:
    """What the lines say, in their order: arrays of (jobs,); -1 where a line does not tell."""

    job_ids: npt.NDArray[Any]
    submit: Ints
    runtime: Ints
    estimate: Ints
    procs: Ints
    user: Ints
    group: Ints
    queue: Ints
    line: Ints
    shape: Ints | None = None

    def only(self, chosen: npt.NDArray[Any]) -> Columns:
        """Return the jobs that a mask or an order chooses."""
        return Columns(
            self.job_ids[chosen],
            self.submit[chosen],
            self.runtime[chosen],
            self.estimate[chosen],
            self.procs[chosen],
            self.user[chosen],
            self.group[chosen],
            self.queue[chosen],
            self.line[chosen],
            None if self.shape is None else self.shape[chosen],
        )


@dataclass(frozen=True, slots=True)
class Names:
    """What numbers stand for, and the machine, as far as the trace tells."""

    trace: str
    processors: int = 0
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    shapes: tuple[ResourceRequest, ...] = ()


def workload(columns: Columns, names: Names, tally: Tally, read: int) -> Workload:
    """Clean the columns of a trace.

    Args:
        columns: Of the jobs that are not left out yet.
        names: Of the trace.
        tally: What the reader has counted; the counts of the rules here are added.
        read: Job lines, with those that the reader has left out.

    """
    for rule, bad in (
        (rules.NEGATIVE_RUN_TIME, lambda jobs: jobs.runtime < 0),
        (rules.NO_PROCESSORS, lambda jobs: jobs.procs <= 0),
        (rules.OUT_OF_RANGE, _out_of_range),
    ):
        out = bad(columns)
        if out.any():
            tally.drop_all(rule, out, columns.line)
            columns = columns.only(~out)
    columns = _repaired(columns, tally)
    shape = columns.shape if columns.shape is not None else np.full(len(columns.line), -1)
    return Workload(
        name=names.trace,
        processors=names.processors,
        job_ids=columns.job_ids,
        submit=columns.submit,
        runtime=columns.runtime,
        estimate=columns.estimate,
        procs=columns.procs,
        user=columns.user,
        group=columns.group,
        queue=columns.queue,
        users=names.users,
        groups=names.groups,
        queues=names.queues,
        line=columns.line,
        shape=shape,
        shapes=names.shapes,
        read=read,
        dropped=tally.dropped,
        repaired=tally.repaired,
        first_lines=tally.first_lines,
    )


def _out_of_range(jobs: Columns) -> npt.NDArray[np.bool_]:
    far: npt.NDArray[np.bool_] = np.abs(jobs.submit) > LARGEST
    return far | (jobs.runtime > LARGEST) | (jobs.procs > LARGEST)


def _repaired(columns: Columns, tally: Tally) -> Columns:
    zero = columns.runtime == 0
    tally.repair_all(rules.ZERO_RUN_TIME, zero, columns.line)
    runtime = np.where(zero, 1, columns.runtime)
    high = columns.estimate > LARGEST
    tally.repair_all(rules.HIGH_ESTIMATE, high, columns.line)
    estimate = np.where(high, LARGEST, columns.estimate)
    none = estimate <= 0
    tally.repair_all(rules.NO_ESTIMATE, none, columns.line)
    estimate = np.where(none, runtime, estimate)
    low = estimate < runtime
    tally.repair_all(rules.LOW_ESTIMATE, low, columns.line)
    columns = replace(columns, runtime=runtime, estimate=np.where(low, runtime, estimate))
    early = np.diff(columns.submit, prepend=columns.submit[:1]) < 0
    if early.any():
        tally.repair_all(rules.DISORDER, early, columns.line)
        columns = columns.only(np.argsort(columns.submit, kind="stable"))
    return columns


def fit_to(work: Workload, processors: int) -> Workload:
    """Leave out the jobs that a machine of *processors* can never run, and count them."""
    large = work.procs > processors
    if not large.any():
        return work
    kept = ~large
    dropped: Mapping[str, int] = {**work.dropped, rules.TOO_LARGE: int(large.sum())}
    return replace(
        work,
        job_ids=work.job_ids[kept],
        submit=work.submit[kept],
        runtime=work.runtime[kept],
        estimate=work.estimate[kept],
        procs=work.procs[kept],
        user=work.user[kept],
        group=work.group[kept],
        queue=work.queue[kept],
        line=work.line[kept] if len(work.line) else work.line,
        shape=work.shape[kept] if len(work.shape) else work.shape,
        dropped=dropped,
    )
