"""`resfed explain`: every partition of every member, and why it was or was not chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    """Print a table of all candidates, the margin, and the change that would flip the outcome."""
    if explanation.chosen:
        output.say(f"chosen: {explanation.chosen}{_margin(explanation)}")
    names = _term_names(explanation)
    output.table(
        ("PARTITION", "FITS", *(f">{_short(name)}" for name in names), ">SUM", "WHY"),
        (
            (
                candidate.partition,
                "yes" if candidate.feasible else "no",
                *_terms(candidate, names),
                "" if candidate.score_s is None else _seconds(candidate.score_s),
                "; ".join(_why(candidate)),
            )
            for candidate in explanation.candidates
        ),
        empty="no round has looked at this job yet",
    )
    _show_change(explanation)


def _why(candidate: Candidate) -> Iterator[str]:
    yield from (sentence(reason) for reason in candidate.reasons)
    if candidate.grant:
        grant = f"grant {candidate.grant}"
        yield f"{grant} pays" if candidate.feasible else f"it is {grant}"


def _margin(explanation: Explanation) -> str:
    if explanation.margin_s is None:
        return ""
    second = next(
        one.partition
        for one in explanation.candidates
        if one.score_s is not None and one.partition != explanation.chosen
    )
    return f", {_seconds(explanation.margin_s)} before {second}"


def _term_names(explanation: Explanation) -> list[str]:
    """Return the terms that say anything of any candidate, in the order in which they come."""
    names = dict.fromkeys(
        name for one in explanation.candidates for name, seconds in one.terms if seconds
    )
    return list(names)


def _terms(candidate: Candidate, names: Sequence[str]) -> Iterator[str]:
    if candidate.score_s is None:
        yield from ("" for _ in names)
        return
    told = dict(candidate.terms)
    for name in names:
        yield _seconds(told[name]) if name in told else "unknown"


def _short(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ").upper()


def _seconds(seconds: float) -> str:
    if seconds and abs(seconds) < 1:
        return f"{seconds:.2g} s"
    return f"-{duration(-seconds)}" if seconds < 0 else duration(seconds)


def _show_change(explanation: Explanation) -> None:
    told = explanation.counterfactual
    if told is not None and told.sentence:
        output.say(told.sentence)


def show_refusal(explanation: Explanation) -> None:
    """Print why no partition will do: each reason once, with the partitions that gave it."""
    gave: dict[str, list[str]] = {}
    for candidate in explanation.candidates:
        why = "; ".join(sentence(reason) for reason in candidate.reasons)
        gave.setdefault(why, []).append(candidate.partition)
    output.table(
        (">PARTITIONS", "WHY NOT", "SUCH AS"),
        (
            (str(len(names)), reason, ", ".join(names[:3]))
            for reason, names in sorted(gave.items(), key=lambda item: -len(item[1]))
        ),
        empty="no round has looked at this job yet",
    )
    _show_change(explanation)
