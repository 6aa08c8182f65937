"""`resfed compare`: the same replay under several policies, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.errors import InvalidArgument

if TYPE_CHECKING:
    from res_federation.placement.policy import Policy
    from res_federation.simulator.compare import Comparison
    from res_federation.simulator.disturbances import Disturbance
    from res_federation.simulator.workload import Workload


Trace = Annotated[str, typer.Argument(metavar="TRACE", help="A trace, plain or gzip.")]
Sites = Annotated[
    Path,
    typer.Option(metavar="PATH", help="A federation file, a catalogue of sites, or a node list."),
]
Policies = Annotated[str, typer.Option(metavar="A,B", help="Policies by name or FILE.toml.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")]
Load = Annotated[
    float | None,
    typer.Option(metavar="X", help="Stretch submissions to this load of the federation."),
]
LocalShare = Annotated[
    float,
    typer.Option(
        metavar="S", help="Part of the load that is submitted at the sites.", min=0, max=1
    ),
]
First = Annotated[
    int | None, typer.Option(metavar="N", help="Take so many job lines of the trace.", min=1)
]
Skip = Annotated[int, typer.Option(metavar="N", help="Leave out so many job lines before.", min=0)]
Seeds = Annotated[str, typer.Option(metavar="1,2", help="Seeds.")]
Scheduler = Annotated[
    str, typer.Option(metavar="NAME", help="Of the sites: fcfs, easy, conservative.")
]
ReportInterval = Annotated[
    int, typer.Option(metavar="S", help="Sites report so often; 0 at every change.", min=0)
]
LateEnds = Annotated[bool, typer.Option("--late-ends", help="Ends wait for the next report too.")]
Silent = Annotated[
    str | None,
    typer.Option(
        metavar="SITE:FROM:UNTIL",
        help="A site that the broker does not hear, in seconds after the first submission.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog="Example: resfed compare year.swf.gz --sites simulations/federations/unequal.toml"
        " --policies federated,slurm-federation --load 0.8 --out results"
    )(compare)


def compare(  # noqa: PLR0913 - one argument for each option
    trace: Trace,
    sites: Sites,
    policies: Policies,
    out: Out,
    load: Load = None,
    local_share: LocalShare = 0.0,
    first: First = None,
    skip: Skip = 0,
    seeds: Seeds = "1",
    scheduler: Scheduler = "easy",
    report_interval: ReportInterval = 0,
    late_ends: LateEnds = False,
    silent: Silent = None,
    as_json: Json = False,
) -> None:
    """Replay a trace under several policies and seeds; print figures, ratios, their confidence.

    Ratios are to the first policy, or to slurm-federation where it is among them.
    """
    from res_federation.simulator.compare import compare as run
    from res_federation.simulator.compare import window
    from res_federation.simulator.compare_cells import Settings
    from res_federation.simulator.federation import COMPARED
    from res_federation.simulator.federation_rules import Rules
    from res_federation.simulator.node_list import federation_at

    names, weights = weighed_policies(policies, COMPARED)
    numbers = numbers_of(seeds)
    workload = window(trace, first, skip)
    model = federation_at(sites, workload)
    made = run(
        workload,
        model,
        out,
        policies=names,
        seeds=numbers,
        settings=Settings(
            "", 0, scheduler=scheduler, load=load, local_share=local_share,
            rules=Rules(report_interval_s=report_interval, ends_at_once=not late_ends),
        ),
        labels={},
        tell=_quiet if as_json else output.note,
        weights=weights,
        events=_silence(silent, workload),
    )  # fmt: skip
    if as_json:
        output.document(_document(made))
    else:
        _show(made, out)


def _quiet(_line: str) -> None:
    """Say nothing."""


def weighed_policies(text: str, known: tuple[str, ...]) -> tuple[list[str], dict[str, Policy]]:
    """Return the names of a list with commas, and the weights of those that are files.

    Raises:
        InvalidArgument: If one is neither known nor a policy file without a fault, or two files
            have one name.

    """
    from res_federation.config.policy import is_policy_file, load_policy

    weights: dict[str, Policy] = {}
    names: list[str] = []
    for word in dict.fromkeys(part.strip() for part in text.split(",") if part.strip()):
        if not is_policy_file(word):
            names.append(word)
            continue
        policy = load_policy(Path(word))
        if policy.name in weights or policy.name in known:
            raise InvalidArgument(
                f"'{word}' has the name '{policy.name}' of another policy",
                field="--policies",
                way_out="give it a name of its own: name = ...",
            )
        weights[policy.name] = policy
        names.append(policy.name)
    return policies_of(",".join(names), (*known, *weights)), weights


def policies_of(text: str, known: tuple[str, ...]) -> list[str]:
    """Return the policies of a list with commas.

    Raises:
        InvalidArgument: If one is not known, or none is given.

    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise InvalidArgument(
                f"there is no policy '{name}'",
                field="--policies",
                way_out=f"one of: {', '.join(known)}",
            )
    if not names:
        raise InvalidArgument("no policy is named", field="--policies", way_out=", ".join(known))
    return names


def numbers_of(text: str) -> list[int]:
    """Return the seeds of a list with commas.

    Raises:
        InvalidArgument: If one is no whole number from 0 on.

    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if not (word.isdecimal() and len(word) < 19)]
    if wrong or not words:
        raise InvalidArgument(
            f"'{(wrong or [text])[0]}' is no seed", field="--seeds", way_out="whole numbers: 1,2,3"
        )
    return list(dict.fromkeys(int(word) for word in words))


def _silence(text: str | None, workload: Workload) -> tuple[Disturbance, ...]:
    from res_federation.simulator.disturbances import Disturbance, Kind

    if text is None or not len(workload):
        return ()
    site, _, times = text.partition(":")
    begin, _, end = times.partition(":")
    if not (begin.isdecimal() and end.isdecimal() and int(begin) < int(end) < 10**12):
        raise InvalidArgument(
            f"'{text}' is no silence of a site", field="--silent", way_out="such as csuc:3600:90000"
        )
    first = int(workload.submit[0])
    return (Disturbance(Kind.SILENCE, site, first + int(begin), first + int(end)),)


def _document(made: Comparison) -> dict[str, Any]:
    from res_federation.simulator.report_tables import ratio_document

    return {
        "policies": [dict(each.summary) for each in made.found],
        "baseline": made.baseline,
        "ratios": {
            policy: {key: ratio_document(ratio) for key, ratio in figures.items()}
            for policy, figures in made.ratios.items()
        },
        "resumed": made.resumed,
    }


def _show(made: Comparison, out: Path) -> None:
    from res_federation.simulator import report_tables as tables

    show_figures(made)
    if made.ratios:
        output.say()
        output.say(f"Times {made.baseline} (below 1 is less):")
        rows = tables.ratio_rows(made.ratios, made.baseline)
        output.table(_right(tables.RATIO_COLUMNS), rows, empty="")
        output.say(tables.method(max(r.seeds for f in made.ratios.values() for r in f.values())))
    output.say(f"Results are in {out}; 'resfed report {out}' draws them.")


def show_figures(made: Comparison) -> None:
    """Print the figures of each policy, as means over its seeds."""
    from res_federation.simulator import report_tables as tables

    output.table(_right(tables.FIGURE_COLUMNS), tables.figure_rows(made.found), empty="")
    if tables.has_accelerators(made.found):
        output.say()
        rows = tables.accelerator_rows(made.found)
        output.table(_right(tables.ACCELERATOR_COLUMNS), rows, empty="")


def _right(columns: tuple[str, ...]) -> list[str]:
    return [columns[0], *(f">{column}" for column in columns[1:])]
