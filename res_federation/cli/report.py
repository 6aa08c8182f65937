"""`resfed report`: a page with the plots and tables that planners look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed report results --png")(report)


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="What replay, compare or sweep wrote.")
    ],
    png: Annotated[bool, typer.Option("--png", help="Write DIR/plots/*.png too.")] = False,
    as_json: Json = False,
) -> None:
    """Write DIR/report.html: one page that needs no network, with plots and tables."""
    from res_federation.simulator.report import (
        missing_line,
        summary_line,
        write_report,
    )  # matplotlib
    from res_federation.simulator.report_tables import ratio_document

    made = write_report(directory, pictures=png)
    if made.missing:
        output.note(missing_line(made.missing, len(made.found)))
    if not as_json:
        output.say(summary_line(made))
        for picture in made.pictures:
            output.say(str(picture))
        return
    output.document(
        {
            "page": str(made.page),
            "plots": [str(picture) for picture in made.pictures],
            "missing": list(made.missing),
            "replays": [{"name": each.name, **each.summary} for each in made.found],
            "ratios": {
                case or "all": {
                    policy: {key: ratio_document(ratio) for key, ratio in figures.items()}
                    for policy, figures in policies.items()
                }
                for case, policies in made.ratios.items()
            },
        }
    )
