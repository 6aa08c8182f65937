"""Event files of the Slurm simulator: when, how long, and what was said to sbatch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from res_federation.errors import InvalidArgument
from res_federation.model.resources import ResourceRequest
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.gather import Gathered, lines, whole
from res_federation.simulator.traces.source import Block
from res_federation.simulator.workload import Workload
from res_federation.slurm.job_spec import read_job

BEGIN: Final = re.compile(r"\s*-dt\s+(\S+)\s+-e\s+(\w+)")
_SUBMIT: Final = "submit_batch_job"
_SCRIPT: Final = "#!/bin/sh\n"
_IDENTITY: Final = {"-J": "name", "--job-name": "name", "--uid": "user", "-sim-walltime": "run",
                    "--jobid": "id"}  # fmt: skip
_MOST_KEPT: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options of a line ask for; `estimate` is -1 without a limit."""

    request: ResourceRequest
    procs: int
    estimate: int
    group: str
    queue: str


def read(blocks: Iterable[Block], name: str, first: int | None) -> Workload:
    """Read a trace; *first* is how many job lines count, None for all."""
    jobs = Gathered(first)
    known: dict[tuple[str, ...], _Asked | None] = {}
    for number, line in lines(blocks):
        if line.lstrip().startswith("#"):
            continue
        begin = BEGIN.match(line)
        if begin and begin.group(2) != _SUBMIT:
            continue  # other events of the simulator are no jobs
        if not jobs.wanted():
            continue
        _, bar, rest = line.partition("|")
        submit = whole(begin.group(1)) if begin else None
        own, words = _told_apart(rest.split())
        runtime = whole(own.get("run", ""))
        if not bar or submit is None or runtime is None:
            jobs.broken(number)
            continue
        if words not in known:
            if len(known) >= _MOST_KEPT:
                known.clear()
            known[words] = _asked(words)
        asked = known[words]
        if asked is None:
            jobs.drop(rules.OPTIONS_REFUSED, number)
            continue
        job_id = own.get("id") or own.get("name") or str(number)
        who = (own.get("user", ""), asked.group, asked.queue)
        times = (submit, runtime, asked.estimate)
        jobs.add(number, job_id[:64], times, asked.procs, who, asked.request)
    return jobs.workload(name)


def _told_apart(words: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what is of this job alone, and the other words, which many jobs share."""
    own: dict[str, str] = {}
    others: list[str] = []
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        if option not in _IDENTITY:
            others.append(words[at])
        elif equals:
            own[_IDENTITY[option]] = value
        else:
            at += 1
            own[_IDENTITY[option]] = words[at] if at < len(words) else ""
        at += 1
    return own, tuple(others)


def _asked(words: tuple[str, ...]) -> _Asked | None:
    """Read the options as sbatch does; None for what it, or the federation, refuses."""
    try:
        return _read(words)
    except InvalidArgument:
        pass
    try:  # the last word is the script, unless it is the value of an option
        return _read(words[:-1]) if words and not words[-1].startswith("-") else None
    except InvalidArgument:
        return None


def _read(words: tuple[str, ...]) -> _Asked:
    spec = read_job(_SCRIPT, user="", arguments=words)
    request = spec.request
    nodes = request.nodes or 1
    tasks = request.tasks or (request.tasks_per_node or 1) * nodes
    limited = any(option == "time" for option, _ in spec.options)
    return _Asked(
        request=request,
        procs=tasks * request.cpus_per_task,
        estimate=spec.time_limit_s if limited else -1,
        group=spec.account,
        queue=spec.partition,
    )
