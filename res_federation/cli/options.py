"""Options that many commands share, and the connection that they lead to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.client import Federation
from res_federation.errors import FederationError, InvalidArgument, NotFound
from res_federation.model.identifiers import JobId, job_id

Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")]
Broker = Annotated[
    str,
    typer.Option(
        "--broker",
        metavar="HOST:PORT",
        help="The broker [default: $RESFED_BROKER, else 127.0.0.1:7443].",
        show_default=False,
    ),
]

PATIENCE_S = 10.0
"""Seconds of outage that a command waits through: enough for a broker that is restarted."""
_SHORTEST_PREFIX = 4
_SEARCHED_JOBS = 20_000


@contextmanager
def connected(broker: str, *, patience_s: float | None = None) -> Iterator[Federation]:
    """Connect to the broker for one command."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    address_told: list[str] = []

    def tell() -> None:
        if sys.stderr.isatty():
            output.note(
                f"no broker answers at {address_told[0]} yet; trying for {patience_s:.0f} s"
            )

    with Federation(broker, patience_s=patience_s, on_outage=tell) as federation:
        address_told.append(federation.address)
        yield federation


def full_id(federation: Federation, text: str) -> JobId:
    """Return the identifier that *text* is, or is the beginning of.

    Raises:
        InvalidArgument: If it is neither, or the beginning of several.
        NotFound: If no job's identifier begins so.

    """
    word = text.strip().removeprefix("jobs/").upper()
    if len(word) >= 26 or len(word) < _SHORTEST_PREFIX or not word.isalnum():
        return job_id(word if len(word) == 26 else text)
    found = {job.id for job in islice(federation.jobs(), _SEARCHED_JOBS) if job.id.startswith(word)}
    if len(found) > 1:
        raise InvalidArgument(
            f"'{text}' is the beginning of {len(found)} job identifiers",
            way_out="give more characters",
        )
    if not found:
        raise NotFound(f"no job begins with '{text}'", way_out="resfed queue --all lists them")
    return found.pop()


def full_ids(federation: Federation, texts: Iterable[str]) -> list[JobId]:
    """Return the identifiers of several, each once, in order."""
    return list(dict.fromkeys(full_id(federation, text) for text in texts))


def complete_job(incomplete: str) -> list[str]:
    """Return identifiers for the shell's completion: newest first, quickly, or none."""
    try:
        with Federation(os.environ.get("RESFED_BROKER", ""), patience_s=0) as federation:
            recent = islice(federation.jobs(), 200)
            return [job.id for job in recent if job.id.startswith(incomplete.upper())]
    except FederationError:
        return []


JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="Identifier of a job, or its beginning.", autocompletion=complete_job
    ),
]
JobArguments = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB...", help="Identifiers of jobs, or beginnings.", autocompletion=complete_job
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster [default: this machine]."),
]
Replays = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=10_000,
        help="Replays at a time; 1 needs no Ray [default: one a processor].",
        show_default=False,
    ),
]
