"""`resfed demo`: the main job, end to end, on a federation that lives as long as the demo."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.demo_check import Judged, Verdict, judge, why
from res_federation.cli.demo_federation import short_lived_federation
from res_federation.cli.demo_jobs import (
    Planned,
    Unread,
    distinct_scripts,
    foreign_jobs,
    own_jobs,
)
from res_federation.cli.options import Json
from res_federation.client import Federation
from res_federation.errors import FederationError
from res_federation.model.accelerators import family_in
from res_federation.model.job import Job
from res_federation.model.job_state import JobState

TIMEOUT_S = 600.0
_LOOK_EVERY_S = 0.5
_CANCELLED_WITHIN_S = 60.0


@dataclass
class Course:
    """What the demo has come to know.

    Attributes:
        planned: What was submitted, by job identifier.
        unread: Scripts that sbatch would refuse, or that the broker refused.
        jobs: Newest state of each job.
        families: Accelerator family of each partition.

    """

    planned: dict[str, Planned] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)

    def unfinished(self) -> list[str]:
        """Return the jobs that have not ended."""
        return [name for name in self.planned if not _final(self.jobs.get(name))]


def _final(job: Job | None) -> bool:
    return job is not None and job.state.final


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(epilog="Example: resfed demo --scripts ~/my-scripts --timeout 300")(demo)


def demo(
    scripts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Run these scripts in place of the demo's.", show_default=False
        ),
    ] = None,
    sites: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Catalogue of sites.", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="How many jobs, by repeating scripts.", show_default=False
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, help="Cancel what has not ended by then.")
    ] = TIMEOUT_S,
    as_json: Json = False,
) -> int:
    """Run real scripts through a federation of all members on this machine.

    Starts a broker, Ray and an agent for each member, submits, waits, reads every output back
    and checks it, and says where each job ran and why.  The last line is JSON; leaves with 0 only
    if all is as expected.  With --scripts, as expected means: each job ended in a state with a
    reason, or was refused with one, and none ran without the accelerator that it asks for.
    """
    began = time.monotonic()
    course = Course()
    if scripts is None:
        planned = own_jobs(jobs)
    else:
        planned, course.unread = foreign_jobs(scripts, jobs)
    say = _Teller(quiet=as_json)
    say(f"{len(planned)} jobs from {distinct_scripts(planned)} scripts; starting the federation")
    with short_lived_federation(sites, lambda address: _cancel_rest(address, course)) as address:
        say(f"ready at {address} after {time.monotonic() - began:.1f} s")
        with Federation(address) as federation:
            _submit(federation, planned, course)
            with output.board(quiet=as_json) as board:
                _follow(federation, course, board, timeout)
            judged = _judge(federation, course)
            if not as_json:
                _show(federation, judged, course.unread)
    result = _summary(judged, course.unread, time.monotonic() - began)
    output.line(result)
    return 1 if result["unexpected"] else 0


class _Teller:
    """Says lines to people, or nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet:
            output.say(text)


def _submit(federation: Federation, planned: Sequence[Planned], course: Course) -> None:
    """Submit everything; what the broker refuses one by one is told with the script's name."""
    try:
        names = federation.submit_many([one.spec for one in planned])
        course.planned = dict(zip(names, planned, strict=True))
    except FederationError:
        for one in planned:
            try:
                course.planned[federation.submit(one.spec).id] = one
            except FederationError as error:
                course.unread.append(Unread(one.script, str(error)))
    for site in federation.sites():
        for part in site.partitions:
            shape = part.shape
            course.families[part.id] = family_in(shape.accelerator) if shape.accelerators else ""


def _follow(federation: Federation, course: Course, board: output.Board, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    told_to_end = False
    while True:
        for job in federation.jobs():
            if job.id in course.planned:
                course.jobs[job.id] = job
        left = course.unfinished()
        board.show(_line(course), (_sites(federation), _states(course)))
        if not left:
            return
        if time.monotonic() > until:
            if told_to_end:
                return
            for name in left:
                federation.cancel(name)
            told_to_end, until = True, time.monotonic() + _CANCELLED_WITHIN_S
        time.sleep(_LOOK_EVERY_S)


def _line(course: Course) -> str:
    counts = Counter(str(job.state) for job in course.jobs.values())
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _sites(federation: Federation) -> output.Table:
    rows = [
        (site.id, site.machine, str(site.state), str(site.running_jobs), str(site.waiting_jobs))
        for site in federation.sites()
    ]
    return output.Table(("SITE", "MACHINE", "STATE", ">RUNNING", ">WAITING"), rows)


def _states(course: Course) -> output.Table:
    by_script: dict[str, Counter[str]] = {}
    for name, planned in course.planned.items():
        job = course.jobs.get(name)
        counts = by_script.setdefault(planned.script, Counter())
        counts[str(job.state) if job else "QUEUED"] += 1
    rows = [
        (script, ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
        for script, counts in by_script.items()
    ]
    return output.Table(("SCRIPT", "JOBS"), rows)


def _judge(federation: Federation, course: Course) -> list[Judged]:
    def read(job: str, task: int | None) -> bytes:
        return b"".join(federation.output(job, task))

    judged = []
    for name, planned in course.planned.items():
        # One that was never seen in a list is asked for: none may be lost unnoticed.
        job = course.jobs.get(name) or federation.job(name)
        judged.append(judge(planned, job, course.families, read))
    return judged


def _show(federation: Federation, judged: Sequence[Judged], unread: Sequence[Unread]) -> None:
    output.table(
        ("JOB", "SCRIPT", "STATE", "PARTITION", "WHY"),
        (
            (
                one.job.id,
                one.planned.script,
                str(one.job.state),
                one.job.partition or "-",
                why(federation.explain(one.job.id)),
            )
            for one in judged
        ),
        empty="no job was submitted",
    )
    for refused in unread:
        output.say(f"refused: {refused.script}: {refused.why}")
    for one in judged:
        if one.job.state not in (JobState.COMPLETED, JobState.INFEASIBLE) and not one.wrong:
            code = f"exit code {one.job.exit_code}, " if one.job.exit_code else ""
            output.say(f"{one.job.state}: {one.planned.script}: {code}{one.job.reason}")
        if one.wrong:
            output.say(f"UNEXPECTED: {one.planned.script} {one.job.id}: {one.wrong}")


def _summary(judged: Sequence[Judged], unread: Sequence[Unread], seconds: float) -> dict[str, Any]:
    counts = Counter(one.verdict for one in judged)
    sites = {run.site for one in judged for run in one.job.runs if run.started is not None}
    return {
        "jobs": len(judged) + len(unread),
        "completed": counts[Verdict.COMPLETED],
        "failed_as_expected": counts[Verdict.FAILED],
        "refused_as_expected": counts[Verdict.REFUSED] + len(unread),
        "cancelled": counts[Verdict.CANCELLED],
        "sites_used": len(sites),
        "seconds": round(seconds, 1),
        "scripts": distinct_scripts([one.planned for one in judged]) + len(unread),
        "sites": sorted(sites),
        "unexpected": [
            {"job": one.job.id, "script": one.planned.script, "why": one.wrong}
            for one in judged
            if one.wrong
        ],
    }


def _cancel_rest(address: str, course: Course) -> None:
    """Leave no process behind: end what still runs, and see it end."""
    left = course.unfinished()
    if not left:
        return
    try:
        with Federation(address, patience_s=5) as federation:
            for name in left:
                federation.cancel(name)
            federation.wait(left, timeout=15)
    except FederationError as error:
        output.note(f"{len(left)} jobs were not seen to end: {error}")
