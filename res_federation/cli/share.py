"""`resfed share`: letting somebody else see a job whole, and taking that back."""

from __future__ import annotations

from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.documents import job_document
from res_federation.cli.jobs import shared_words
from res_federation.cli.options import Broker, JobArguments, Json, connected, full_ids
from res_federation.errors import InvalidArgument


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(epilog="Example: resfed share 01JD5Z9WQ7 --with 4711@res --project climate")(share)


def share(
    jobs: JobArguments,
    users: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="USER", help="A user, as their resfed whoami says it."),
    ] = None,
    projects: Annotated[
        list[str] | None,
        typer.Option("--project", metavar="PROJECT", help="Members and leads of a project."),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Take it back, at once.")] = False,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Let somebody see jobs with script and output, and change nothing; --end takes it back.

    For the owner of a job and the lead of its project. With --json each job is a line.
    """
    whom = [{"user": name} for name in users or ()]
    whom += [{"project": name} for name in projects or ()]
    if not whom:
        raise InvalidArgument("names nobody", field="share", way_out="--with USER, --project P")
    with connected(broker) as federation:
        change = federation.unshare if end else federation.share
        for name in full_ids(federation, jobs):
            for one in whom:
                job = change(name, **one)
            if as_json:
                output.line(job_document(job))
            else:
                output.say(f"job {job.id} is shared with {shared_words(job)}")
