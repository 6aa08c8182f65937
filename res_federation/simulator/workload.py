"""A workload as arrays: what every reader returns and every replay takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.model.resources import ResourceRequest

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Jobs in the order (submit, line of the file): the order in which they queue.

    Attributes:
        name: Of the trace, for people (file name without its endings).
        processors: Of the machine that the trace is from, as its header says; 0 where unknown.
        job_ids: (jobs,) int64, or strings where the trace has such.
        submit: (jobs,) seconds, ascending.
        runtime: (jobs,) seconds, at least 1.
        estimate: (jobs,) the user's time limit in seconds, at least the run time.
        procs: (jobs,) processors asked for, at least 1.
        user: (jobs,) number of the user, -1 where unknown.
        group: (jobs,) number of the group or account, -1 where unknown.
        queue: (jobs,) number of the queue or partition, -1 where unknown.
        users: Names by number, for people; may be empty.
        groups: Names by number; may be empty.
        queues: Names by number; may be empty.
        line: (jobs,) line of the file: tells the file's order from the order of the queue.
        shape: (jobs,) index into *shapes*, or -1: the job asks for *procs* processors only.
        shapes: Requests with nodes, memory or accelerators, where the trace tells them.
        form: Format that it was read from, or "".
        read: Job lines that the file has.
        dropped: Jobs that were left out, by rule.
        repaired: Values that were put right, by rule.
        first_lines: Line of the file where each of those rules was first needed, from 1.

    """

    name: str
    processors: int
    job_ids: npt.NDArray[Any]
    submit: Ints
    runtime: Ints
    estimate: Ints
    procs: Ints
    user: Ints
    group: Ints
    queue: Ints
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    line: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shape: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shapes: tuple[ResourceRequest, ...] = ()
    form: str = ""
    read: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    first_lines: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of jobs."""
        return len(self.submit)
