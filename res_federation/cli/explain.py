"""`resfed explain`: every partition of every member, and why it was or was not chosen."""

from __future__ import annotations

import typer

from res_federation.cli import output
from res_federation.cli.documents import explanation_document
from res_federation.cli.options import Broker, JobArgument, Json, connected, full_id
from res_federation.model.plan import Candidate, Explanation
from res_federation.model.sentences import duration, sentence


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(epilog="Example: resfed explain 01JD5Z9WQ7")(explain)


def explain(job: JobArgument, broker: Broker = "", as_json: Json = False) -> None:
    """Say why a job is where it is: every partition, with its reasons or its score in seconds."""
    with connected(broker) as federation:
        explanation = federation.explain(full_id(federation, job))
    if as_json:
        output.document(explanation_document(explanation))
    else:
        show_explanation(explanation)


def show_explanation(explanation: Explanation) -> None:
    """Print a table of all candidates and the smallest change that would flip the outcome."""
    if explanation.chosen:
        output.say(f"chosen: {explanation.chosen}")
    output.table(
        ("PARTITION", "FITS", ">EXPECTED", "WHY"),
        (
            (
                candidate.partition,
                "yes" if candidate.feasible else "no",
                "" if candidate.score_s is None else duration(candidate.score_s),
                _why(candidate),
            )
            for candidate in explanation.candidates
        ),
        empty="no round has looked at this job yet",
    )
    if explanation.counterfactual:
        output.say(explanation.counterfactual)


def show_refusal(explanation: Explanation) -> None:
    """Print why no partition will do: each reason once, with the partitions that gave it."""
    gave: dict[str, list[str]] = {}
    for candidate in explanation.candidates:
        gave.setdefault(_why(candidate), []).append(candidate.partition)
    output.table(
        (">PARTITIONS", "WHY NOT", "SUCH AS"),
        (
            (str(len(names)), reason, ", ".join(names[:3]))
            for reason, names in sorted(gave.items(), key=lambda item: -len(item[1]))
        ),
        empty="no round has looked at this job yet",
    )
    if explanation.counterfactual:
        output.say(explanation.counterfactual)


def _why(candidate: Candidate) -> str:
    reasons = "; ".join(sentence(reason) for reason in candidate.reasons)
    terms = " + ".join(
        f"{name.removesuffix('_s')} {duration(seconds)}"
        for name, seconds in candidate.terms
        if seconds
    )
    return f"{reasons} ({terms})" if terms else reasons
