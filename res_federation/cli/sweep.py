"""`resfed sweep`: the grid of a scenario, here or on Ray, resumable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json, RayAddress, Replays

if TYPE_CHECKING:
    from res_federation.config.scenarios import Scenario
    from res_federation.simulator.sweep import Sweep

Tell = Callable[[int, int, str], None]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed sweep simulations/member-away --out results --workers 2")(
        sweep
    )


def sweep(
    scenario: Annotated[
        Path, typer.Argument(metavar="SCENARIO", help="A scenario.toml, or its directory.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the results go [default: results/SCENARIO].",
            show_default=False,
        ),
    ] = None,
    ray: RayAddress = None,
    workers: Replays = None,
    as_json: Json = False,
) -> int:
    """Replay every cell of a scenario: policies, seeds, loads, overlays.

    What is done stays when it is interrupted; the same command goes on where it was.
    """
    from res_federation.config.scenarios import load_scenario
    from res_federation.simulator.federation import POLICIES
    from res_federation.simulator.sweep import sweep as run

    asked = load_scenario(scenario, POLICIES)
    place = out or Path("results") / asked.name
    few = workers if workers or ray else len(os.sched_getaffinity(0))
    with _progress(asked, quiet=as_json) as tell:
        made = run(asked, place, workers=few, address=ray, tell=tell)
    if as_json:
        output.document(_document(asked, place, made))
    else:
        _show(asked, place, made)
    return 1 if made.failed else 0


@contextmanager
def _progress(scenario: Scenario, *, quiet: bool) -> Iterator[Tell]:
    """Give what is told after each cell: a bar on a terminal, lines elsewhere."""
    if quiet:
        yield lambda done, total, line: None  # noqa: ARG005 - nothing is what it shows
    elif sys.stderr.isatty():
        with _bar(scenario) as tell:
            yield tell
    else:
        yield lambda done, total, line: output.note(f"{done}/{total} {line}")


@contextmanager
def _bar(scenario: Scenario) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining(),
        console=Console(stderr=True),
    )  # fmt: skip
    with bar:
        task = bar.add_task(output.printable(scenario.name), total=None)

        def tell(done: int, total: int, line: str) -> None:
            bar.update(task, completed=done, total=total)
            bar.console.print(Text(output.printable(line)), highlight=False)

        yield tell


def _cases(made: Sweep) -> dict[str, list[Any]]:
    cases: dict[str, list[Any]] = {}
    for each in sorted(made.found, key=lambda found: found.name):
        overlay, load = each.case
        name = overlay if load is None else f"{overlay}, load {load:g}"
        cases.setdefault(name, []).append(each)
    return cases


def _document(scenario: Scenario, out: Path, made: Sweep) -> dict[str, Any]:
    from res_federation.simulator.report_tables import by_policy, ratio_document, ratios
    from res_federation.simulator.statistics_of_seeds import baseline_of

    compared = {}
    for case, found in _cases(made).items():
        baseline = baseline_of([name for name in scenario.policies if name in by_policy(found)])
        compared[case] = {
            policy: {key: ratio_document(ratio) for key, ratio in figures.items()}
            for policy, figures in ratios(found, baseline).items()
            if policy != baseline
        }
    return {
        "scenario": scenario.name,
        "out": str(out),
        "cells": [{"name": each.name, **each.summary} for each in made.found],
        "resumed": made.resumed,
        "failed": made.failed,
        "ratios": compared,
    }


def _show(scenario: Scenario, out: Path, made: Sweep) -> None:
    from res_federation.simulator import report_tables as tables

    output.say(f"{scenario.title}: {len(made.found)} of {made.total} replays")
    for case, found in _cases(made).items():
        output.say()
        output.say(case)
        columns = [tables.FIGURE_COLUMNS[0], *(f">{name}" for name in tables.FIGURE_COLUMNS[1:])]
        output.table(columns, tables.figure_rows(found), empty="")
    for name, why in made.failed.items():
        output.note(f"{name} failed: {why}")
    output.say()
    output.say(f"Results are in {out}; 'resfed report {out}' draws them.")
