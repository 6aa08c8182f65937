"""`resfed queue`, `show`, `cancel`, `wait` and `output`: looking at jobs and ending them."""

from __future__ import annotations

from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant, job_document
from res_federation.cli.grant_table import hours_words
from res_federation.cli.options import (
    Broker,
    JobArgument,
    JobArguments,
    Json,
    connected,
    full_id,
    full_ids,
)
from res_federation.errors import InvalidArgument
from res_federation.model.forecast import Forecast
from res_federation.model.job import Job, Run
from res_federation.model.job_state import JobState
from res_federation.model.sentences import duration
from res_federation.model.share import ShareKind

WAIT_PATIENCE_S = 300.0
"""`wait` sits through longer outages than a command that a person waits for."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed queue --state RUNNING")(queue)
    app.command(epilog="Example: resfed show 01JD5Z9WQ7")(show)
    app.command(epilog="Example: resfed cancel 01JD5Z9WQ7 --task 3")(cancel)
    app.command(epilog="Example: resfed wait $(resfed submit --parsable train.sbatch)")(wait)
    app.command("output", epilog="Example: resfed output 01JD5Z9WQ7 --follow")(read_output)


def queue(
    everything: Annotated[bool, typer.Option("--all", help="Ended jobs as well.")] = False,
    state: Annotated[str, typer.Option(help="Only jobs in this state.", metavar="STATE")] = "",
    user: Annotated[str, typer.Option(help="Only this user's jobs.", metavar="NAME")] = "",
    site: Annotated[str, typer.Option(help="Only jobs at this site.", metavar="ID")] = "",
    project: Annotated[
        str, typer.Option(help="Only jobs that name this project.", metavar="PROJECT")
    ] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """List jobs that have not ended, newest first; --all and --state list others as well."""
    word = state.upper()
    if word and word not in JobState.__members__:
        known = ", ".join(JobState.__members__)
        raise InvalidArgument(
            f"'{state}' is not a state", field="--state", way_out=f"one of {known}"
        )
    with connected(broker) as federation:
        found = federation.jobs(
            state=word, user=user, site=site, project=project, active=not (everything or word)
        )
        jobs = list(found)
    if as_json:
        output.document([job_document(job) for job in jobs])
        return
    output.table(
        ("JOB", "NAME", "USER", "STATE", "PARTITION", "SUBMITTED", "REASON"),
        (
            (
                job.id,
                job.spec.name[:24],
                job.spec.user,
                str(job.state),
                job.partition,
                (instant(job.submitted) or "")[:19],
                job.reason[:60],
            )
            for job in jobs
        ),
        empty="no jobs" if everything or word else "no jobs that have not ended (--all shows all)",
    )


def show(job: JobArgument, broker: Broker = "", as_json: Json = False) -> None:
    """Show one job: its state and why, where it is, every attempt and every task."""
    with connected(broker) as federation:
        found = federation.job(full_id(federation, job))
    if as_json:
        output.document(job_document(found))
        return
    facts = {
        "job": found.id,
        "name": found.spec.name,
        "user": found.spec.user,
        "state": f"{found.state}: {found.reason}" if found.reason else str(found.state),
        "partition": found.partition,
        "submitted": instant(found.submitted) or "",
        "starts": _expected(found),
        "started": instant(found.started) or "",
        "ended": instant(found.ended) or "",
        "exit code": "" if found.exit_code is None else str(found.exit_code),
    }
    for key, value in facts.items():
        if value:
            output.say(f"{key:>10}  {value}")
    if found.shared_with:
        output.say(f"{'shared':>10}  with {shared_words(found)}")
    for text in found.spec.notes:
        output.say(f"{'note':>10}  {text}")
    for run in found.runs:
        output.say(f"{'run':>10}  {run.token}  {run.state}  {run.partition}  {run.reason}".rstrip())
        if run.barred:
            output.say(f"{'barred':>10}  its data may no longer be there: {run.barred}")
        if run.grant:
            output.say(f"{'paid by':>10}  {run.grant}: {_charged(run)}")
        for task in run.tasks:
            index = "" if task.index < 0 else f"[{task.index}] "
            code = "" if task.exit_code is None else f" exit code {task.exit_code}"
            output.say(f"{'':>10}    {index}{task.state}{code} {task.nodes} {task.reason}".rstrip())


def shared_words(job: Job) -> str:
    """Say with whom a job is shared."""
    words = {ShareKind.USER: "", ShareKind.PROJECT: "project "}
    return ", ".join(words[one.kind] + one.name for one in job.shared_with) or "nobody"


def _charged(run: Run) -> str:
    reserved = hours_words(run.reserved_core_s, run.reserved_accelerator_s)
    if not run.settled:
        return f"{reserved} set aside"
    return f"{hours_words(run.used_core_s, run.used_accelerator_s)} used of {reserved}"


def start_words(said: Forecast) -> str:
    """Say when a job starts, counted from when it was forecast."""
    if said.p50_s is None or said.p90_s is None:
        return "no estimate yet of when it starts"
    return f"starts in ~{duration(said.p50_s)} (P90 {duration(said.p90_s)})"


def _expected(job: Job) -> str:
    """Say when a job that waits should start, by the clock; "" for any other."""
    said = job.forecast
    if said is None or job.started is not None or job.state.final:
        return ""
    if said.p50_s is None or said.p90_s is None:
        return "no estimate yet of when"
    p50, p90 = (instant(said.at + after) or "" for after in (said.p50_s, said.p90_s))
    return f"~{p50[:19]}Z (P90 {p90[:19]}Z), as of {(instant(said.at) or '')[:19]}Z"


def cancel(
    jobs: JobArguments,
    task: Annotated[
        int | None, typer.Option(help="Only this task of an array.", metavar="N", min=0)
    ] = None,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Cancel jobs, or one task of an array; one that has ended is left as it is."""
    with connected(broker) as federation:
        for name in full_ids(federation, jobs):
            job = federation.cancel(name, task)
            if as_json:
                output.line(job_document(job))
            elif job.state.final and job.state is not JobState.CANCELLED:
                output.say(f"job {job.id} had ended before: {job.state}")
            else:
                what = "" if task is None else f" task {task}"
                output.say(f"job {job.id}{what}: {_cancelling(job)}")


def _cancelling(job: Job) -> str:
    return "cancelled" if job.state is JobState.CANCELLED else f"is being cancelled at {job.site}"


def wait(
    jobs: JobArguments,
    timeout: Annotated[
        float | None, typer.Option(help="Give up after so many seconds.", metavar="S", min=0)
    ] = None,
    broker: Broker = "",
    as_json: Json = False,
) -> int:
    """Wait until jobs have ended; leave with 0 if all COMPLETED, else with 1.

    With --json each job is a line, as it ends.
    """
    with connected(broker) as federation:
        names = full_ids(federation, jobs)
    with connected(broker, patience_s=WAIT_PATIENCE_S) as federation:
        waiting = dict.fromkeys(names)
        good, told = True, set[str]()
        for job in federation.watch(names, timeout=timeout):
            if job.state.final and job.id in waiting:
                del waiting[job.id]
                good = good and job.state is JobState.COMPLETED
                tell_end(job, as_json=as_json)
            elif not as_json and job.id not in told and _expected(job):
                told.add(job.id)
                output.note(f"job {job.id} starts: {_expected(job)}")
        for name in waiting:
            job = federation.job(name)
            good = False
            if as_json:
                output.line(job_document(job))
            else:
                why = f": {job.reason}" if job.reason else ""
                output.say(f"job {job.id} is still {job.state}{why}")
    return 0 if good else 1


def tell_end(job: Job, *, as_json: bool) -> None:
    """Print how a job ended."""
    if as_json:
        output.line(job_document(job))
        return
    where = f" on {job.partition}" if job.partition else ""
    why = f": {job.reason}" if job.reason else ""
    code = f" with exit code {job.exit_code}" if job.exit_code else ""
    output.say(f"job {job.id} {job.state}{code}{where}{why}")


def read_output(
    job: JobArgument,
    task: Annotated[
        int | None, typer.Option(help="Which task of an array.", metavar="N", min=0)
    ] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="Standard error instead.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Print what a job printed, byte for byte; with --json, a line for each piece."""
    with connected(broker) as federation:
        name = full_id(federation, job)
        for piece in federation.output(name, task, stderr=stderr, follow=follow):
            if as_json:
                output.line({"job": name, "task": task, "text": piece.decode("utf-8", "replace")})
            else:
                output.data(piece)
