"""`resfed replay`: a trace on one machine, or on a federation; `jobs.csv` and `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.errors import InvalidArgument
from res_federation.model.sentences import duration

if TYPE_CHECKING:
    from res_federation.simulator.measures import Setting
    from res_federation.simulator.outcome import Outcome
    from res_federation.simulator.workload import Workload

_NO_POLICY = "local"
"""What a summary says of one machine: the local scheduler decides alone."""


Trace = Annotated[
    str, typer.Argument(metavar="TRACE", help="A trace, plain or gzip; '-' for standard input.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")]
Machine = Annotated[
    int | None, typer.Option(metavar="N", help="One pool of N processors.", show_default=False)
]
Sites = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="A federation file, or a catalogue of sites.", show_default=False
    ),
]
Scheduler = Annotated[
    str, typer.Option(metavar="NAME", help="Local scheduler: fcfs, easy or conservative.")
]
PolicyName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="With --sites: how jobs are spread over them [default: federated].",
        show_default=False,
    ),
]
Load = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Stretch submissions until the load is X: processor-seconds of the jobs by those "
        "that there are between first and last submission.",
        show_default=False,
    ),
]
First = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Only the first N job lines, before any is left out.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option(metavar="S", help="Settles ties and draws.", min=0)]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Of the trace [default: recognised from the file].",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        "replay",
        epilog="Example: resfed replay KTH-SP2-1996.swf.gz --machine 100 --scheduler easy "
        "--out kth",
    )(replay_trace)


def replay_trace(  # noqa: PLR0913 - one argument for each option
    trace: Trace,
    out: Out,
    machine: Machine = None,
    sites: Sites = None,
    scheduler: Scheduler = "easy",
    policy: PolicyName = "",
    load: Load = None,
    first: First = None,
    seed: Seed = 1,
    form: Form = "",
    as_json: Json = False,
) -> int:
    """Replay a trace and write DIR/jobs.csv and DIR/summary.json.

    A broker's recording (`resfed trace export`) without --machine and --sites is what production
    did: every decision is made again and compared, and DIR/decisions.csv has them. Leaves with 1
    if one is another.
    """
    from res_federation.simulator.measures import Setting, summarise  # numba and numpy
    from res_federation.simulator.recorder import ready, record
    from res_federation.simulator.traces.read import read_trace
    from res_federation.store.recording import is_recording

    if machine is None and sites is None and is_recording(Path(trace)):
        return _again(Path(trace), out, as_json=as_json)
    if (machine is None) == (sites is None):
        raise InvalidArgument(
            "a replay runs on one machine or on a federation",
            field="--machine/--sites",
            way_out="give one of --machine N and --sites PATH (neither for a broker's recording)",
        )
    if machine is not None and machine <= 0:
        raise InvalidArgument(
            f"a machine of {machine} processors cannot be", field="--machine", way_out="1 or more"
        )
    _check(scheduler, load)
    ready(out)
    workload = read_trace(trace, form=form, first=first)
    setting = Setting(
        machine=machine or "", scheduler=scheduler, policy=policy, seed=seed, wall_s=0.0, load=load
    )
    if machine is not None:
        outcome, setting = _on_machine(workload, machine, setting)
    elif sites is not None:
        outcome, setting = _on_sites(workload, sites, setting)
    summary = summarise(outcome, setting)
    record(out, outcome, summary)
    if as_json:
        output.document(summary)
    else:
        _show(summary, out)
    return 0


def _again(recording: Path, out: Path, *, as_json: bool) -> int:
    """Make the decisions of a recording again."""
    from res_federation.simulator.production import repeat
    from res_federation.simulator.recorder import ready, record_decisions

    ready(out)
    found = repeat(recording)
    told = {
        "recording": str(recording), "jobs": len(found.jobs), "lives": found.lives,
        "rounds": found.rounds, "failed_rounds": found.failed_rounds,
        "decisions": len(found.decisions), "rounds_that_differ": found.different,
        "same": not found.different,
    }  # fmt: skip
    record_decisions(out, found.decisions, told)
    if as_json:
        output.document(told)
    else:
        made = f"{len(found.decisions):,} decisions of {len(found.jobs):,} jobs"
        output.say(f"{recording}: {made} in {found.rounds:,} rounds, made again")
        output.say(f"  {len(found.different):,} rounds decided otherwise, see {out}/summary.json"
                   if found.different else "  every one is the same, byte for byte")  # fmt: skip
    return 1 if found.different else 0


def _check(scheduler: str, load: float | None) -> None:
    from res_federation.simulator.pool_state import DISCIPLINES

    if scheduler not in DISCIPLINES:
        raise InvalidArgument(
            f"there is no scheduler '{scheduler}'",
            field="--scheduler",
            way_out=f"one of: {', '.join(DISCIPLINES)}",
        )
    if load is not None and not 0 < load < float("inf"):
        raise InvalidArgument(f"a load of {load:g} cannot be", field="--load", way_out="--load 0.7")


def _on_machine(workload: Workload, processors: int, setting: Setting) -> tuple[Outcome, Setting]:
    """Replay on one pool: the local scheduler alone."""
    from res_federation.simulator.load import at_load
    from res_federation.simulator.pool import replay_pool
    from res_federation.simulator.traces.read import fit_to

    fitting = fit_to(workload, processors)
    if not len(fitting):
        raise InvalidArgument(
            f"no job of '{workload.name}' can run on {processors:,} processors",
            way_out="resfed trace check TRACE says what was left out, and why",
        )
    if setting.load is not None:
        fitting = at_load(fitting, processors, setting.load)
    begun = perf_counter()
    outcome = replay_pool(fitting, processors, setting.scheduler)
    took = perf_counter() - begun
    return outcome, replace(setting, policy=setting.policy or _NO_POLICY, wall_s=took)


def _on_sites(workload: Workload, sites: Path, setting: Setting) -> tuple[Outcome, Setting]:
    """Replay on a federation: production's own placement between users and virtual sites."""
    from res_federation.simulator.federation import replay_federation
    from res_federation.simulator.node_list import federation_at  # pydantic

    setting = replace(setting, policy=setting.policy or "federated")
    model = federation_at(sites, workload)
    begun = perf_counter()
    outcome = replay_federation(
        workload,
        model,
        policy=setting.policy,
        scheduler=setting.scheduler,
        seed=setting.seed,
        load=setting.load,
    )
    return outcome, replace(setting, machine=model.name, wall_s=perf_counter() - begun)


def _show(summary: Mapping[str, Any], out: Path) -> None:
    left = sum(summary["dropped"].values())
    pace = summary["jobs_per_second"]
    output.say(
        f"{summary['trace']}: {summary['jobs']:,} jobs replayed in {summary['wall_seconds']:.3g} s"
        + (f" ({pace:,.0f} jobs/s)" if pace else "")
        + (f", {left:,} left out" if left else "")
    )
    for rule, count in summary["dropped"].items():
        output.say(f"  {count:,} left out: {rule}")
    rows = [_row("all", summary, sum(each["processors"] for each in summary["sites"].values()))]
    if len(summary["sites"]) > 1:
        rows += [_row(name, each, each["processors"]) for name, each in summary["sites"].items()]
    output.table(
        (
            "SITE",
            ">PROCESSORS",
            ">JOBS",
            ">MEAN WAIT",
            ">P50",
            ">P95",
            ">MAX",
            ">SLOWDOWN",
            ">USED",
        ),
        rows,
        empty="",
    )
    output.say(f"Results are in {out}; 'resfed report {out}' draws them.")


def _row(name: str, figures: Mapping[str, Any], processors: int) -> tuple[str, ...]:
    waits = (figures[key] for key in ("mean_wait", "p50_wait", "p95_wait", "max_wait"))
    slow, used = figures["mean_bounded_slowdown"], figures["utilisation"]
    return (
        name,
        f"{processors:,}",
        f"{figures['jobs']:,}",
        *("-" if wait is None else duration(wait) for wait in waits),
        "-" if slow is None else f"{slow:,.1f}",
        "-" if used is None else f"{used:.1%}",
    )
