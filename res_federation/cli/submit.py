"""`resfed submit`: a script with sbatch's options goes in, a job identifier comes out."""

from __future__ import annotations

from dataclasses import replace

import typer

from res_federation.cli import output
from res_federation.cli.documents import explanation_document, job_document
from res_federation.cli.explain import show_explanation, show_refusal
from res_federation.cli.jobs import WAIT_PATIENCE_S, start_words, tell_end
from res_federation.cli.options import connected
from res_federation.cli.script_file import read_script, wrapped
from res_federation.cli.submit_words import Words, read
from res_federation.client import Federation
from res_federation.client.scripts import job_from_script
from res_federation.errors import Infeasible, InvalidArgument
from res_federation.model.identifiers import site_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.sentences import duration
from res_federation.slurm.memory import mebibytes

DECISION_S = 3.0
"""How long to wait for the first decision before the job is left to itself."""
SUBMIT_PATIENCE_S = 20.0

_HELP = """Submit SCRIPT, as sbatch would, to the site that fits it best.

Every option of sbatch is understood, before SCRIPT; what follows SCRIPT are its arguments.
With no SCRIPT, or '-', the script is read from standard input.

\b
Options of our own:
  --wrap CMD             run CMD in place of a script
  --origin SITE          the site that the script was written for; input data lies there
                         unless --input-site says otherwise
  --idempotency-key KEY  the same key returns the same job, however often it is sent
  --parsable             print the job's identifier alone, at once
  --wait, -W             wait for the end; leave with 1 if it ended badly
  --dry-run              say where it would go and why, and submit nothing
  --input-size SIZE      input data to be moved to the site first (500M, 20G, 2T)
  --input-site SITE      where that data lies
  --exclude-sites A,B    never at these sites (-M, --clusters pins to sites)
  --data-class CLASS     class of the data that it works on (sites/data-classes.toml): it goes
                         only where data of that class may go [default: its project's]
  --jurisdiction ES,EU   only there may the data go
  --project PROJECT      whose hours it uses
  --json                 print JSON (keys job, state, notes and those of a job)
  --broker HOST:PORT     the broker [default: $RESFED_BROKER, else 127.0.0.1:7443]
"""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(
        help=_HELP,
        short_help="Submit a script with sbatch's options.",
        epilog="Example: resfed submit -t 30 --gres=gpu:h100:1 train.sbatch --epochs 3",
        options_metavar="[SBATCH OPTIONS] [OPTIONS] [SCRIPT [ARGS]...]",
        # sbatch's options are not typer's business: every word comes to us as it is.
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "allow_interspersed_args": False,
        },
        add_help_option=False,
    )(submit)


def submit(context: typer.Context) -> int:
    """Submit a job; see `_HELP`."""
    told = read(context.args)
    if told.has("help") or told.has("usage"):
        output.help_text(context.get_help())
        return 0
    spec = specification(told)
    broker = told.own.get("broker", "")
    with connected(broker, patience_s=SUBMIT_PATIENCE_S) as federation:
        if told.has("dry-run") or told.has("test-only"):
            return _dry_run(federation, spec, as_json=told.has("json"))
        job = federation.submit(spec, request_id=told.own.get("idempotency-key", ""))
        if told.has("parsable"):
            output.say(job.id)
        elif not told.has("wait") or not told.has("json"):
            job = _first_decision(federation, job)
            _tell(federation, job, as_json=told.has("json"))
    if told.has("wait"):
        return _wait(broker, job, told)
    if job.state is JobState.INFEASIBLE and not told.has("parsable"):
        return Infeasible.exit_code
    return 0


def specification(told: Words) -> JobSpec:
    """Return what the words ask to submit; raises InvalidArgument."""
    command = told.own.get("wrap")
    if command is None:
        script, name = read_script(told.script)
    elif told.script is not None:
        raise InvalidArgument("a script and --wrap exclude one another", field="--wrap")
    else:
        script, name = wrapped(command), "wrap"
    spec = job_from_script(script, name=name, options=told.sbatch, arguments=told.arguments)
    origin = told.own.get("origin", "")
    if origin:
        site_id(origin, "--origin")
    excluded = [word.strip() for word in told.own.get("exclude-sites", "").split(",")]
    size, lies_at = told.own.get("input-size", ""), told.own.get("input-site", "") or origin
    if size and not lies_at:
        raise InvalidArgument(
            "it is not said where the data lies", field="--input-size", way_out="--input-site ID"
        )
    return replace(
        spec,
        excluded=(*spec.excluded, *(site_id(word, "--exclude-sites") for word in excluded if word)),
        input_mib=_mebibytes(size) if size else spec.input_mib,
        input_site=site_id(lies_at, "--input-site") if size else spec.input_site,
        origin=origin,
        project=told.own.get("project", "").strip(),
        data_class=told.own.get("data-class", "").strip(),
        jurisdictions=_jurisdictions(told.own.get("jurisdiction", "")),
    )


def _jurisdictions(words: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip().upper() for word in words.split(",") if word.strip()))
    if words and not found:
        raise InvalidArgument("names none", field="--jurisdiction", way_out="such as ES or ES,EU")
    return found


def _mebibytes(size: str) -> int:
    found = mebibytes(size)
    if found is None or found < 0:
        raise InvalidArgument(
            f"'{size}' is not a size", field="--input-size", way_out="such as 500M, 20G or 2T"
        )
    return found


def _dry_run(federation: Federation, spec: JobSpec, *, as_json: bool) -> int:
    explanation = federation.dry_run(spec)
    possible = any(candidate.feasible for candidate in explanation.candidates) or any(
        reason.code.temporary
        for candidate in explanation.candidates
        for reason in candidate.reasons[:1]
    )
    if as_json:
        output.document({**explanation_document(explanation), "notes": list(spec.notes)})
    else:
        show_explanation(explanation)
        for text in spec.notes:
            output.say(f"note: {text}")
    return 0 if possible else Infeasible.exit_code


def _first_decision(federation: Federation, job: Job) -> Job:
    seen = job
    for seen in federation.watch([job.id], timeout=DECISION_S):
        if seen.reason != job.reason or seen.state is not JobState.QUEUED:
            break
    return seen


def _tell(federation: Federation, job: Job, *, as_json: bool) -> None:
    if as_json:
        output.document(job_document(job))
        return
    output.say(f"job {job.id} {_standing(job)}")
    for text in job.spec.notes:
        output.say(f"note: {text}")
    if job.state is JobState.INFEASIBLE:
        show_refusal(federation.explain(job.id))


def _standing(job: Job) -> str:
    run = job.run
    if job.state is JobState.QUEUED:
        said = "" if job.forecast is None else f"; {start_words(job.forecast)}"
        return f"is queued: {job.reason or 'no round has looked at it yet'}{said}"
    if job.state is JobState.INFEASIBLE:
        return f"cannot run anywhere: {job.reason}"
    if run is None:
        return f"is {job.state}: {job.reason}"
    if job.state in (JobState.PLACED, JobState.SUBMITTED):
        start = run.expected_start_s
        when = "starts now" if start < 1 else f"starts in ~{duration(start)}"
        when = when if job.forecast is None else start_words(job.forecast)
        return f"placed on {run.partition}: {when}"
    return f"placed on {run.partition}: {str(job.state).lower()}"


def _wait(broker: str, job: Job, told: Words) -> int:
    with connected(broker, patience_s=WAIT_PATIENCE_S) as federation:
        (job,) = federation.wait([job.id])
        if told.has("json"):
            output.document(job_document(job))
        elif not told.has("parsable"):
            tell_end(job, as_json=False)
        if job.state is JobState.INFEASIBLE:
            return Infeasible.exit_code
    return 0 if job.state is JobState.COMPLETED else 1
