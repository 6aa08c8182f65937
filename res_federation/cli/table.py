"""`resfed table`: policies against one another over the cases of a campaign."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json, RayAddress, Replays
from res_federation.errors import InvalidArgument

if TYPE_CHECKING:
    from res_federation.config.campaigns import Campaign
    from res_federation.simulator.table import Table


Campaigns = Annotated[
    list[Path], typer.Argument(metavar="CAMPAIGN...", help="Files of simulations/placement/.")
]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the results go: NAME/table.md, table.json.")
]
Traces = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where the traces are [default: as the file says].", show_default=False
    ),
]
Only = Annotated[str, typer.Option(metavar="TEXT", help="Only cases with this in their name.")]
Policies = Annotated[str, typer.Option(metavar="A,B", help="Only these, and the baseline.")]
Update = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Put the tables between their marks in a page.", show_default=False
    ),
]
Done = Annotated[
    bool, typer.Option("--done", help="A table of the replays that are there; replay nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog="Example: resfed table simulations/placement/owned.toml --out results --workers 2"
    )(table)


def table(  # noqa: PLR0913 - one argument for each option
    campaigns: Campaigns,
    out: Out = Path("results/placement"),
    traces: Traces = None,
    only: Only = "",
    policies: Policies = "",
    update: Update = None,
    done: Done = False,
    ray: RayAddress = None,
    workers: Replays = None,
    as_json: Json = False,
) -> int:
    """Replay every case of a campaign under its policies; print ratios to the baseline.

    What is done stays when it is interrupted; the same command goes on where it was, and campaigns
    that write to one DIR share the replays that they have in common.
    """
    from res_federation.config.campaigns import load_campaign
    from res_federation.simulator.campaign import cases, missing, run
    from res_federation.simulator.federation import COMPARED
    from res_federation.simulator.table import tabulate
    from res_federation.simulator.table_text import document, markdown, places
    from res_federation.simulator.table_text import update as put

    asked = [load_campaign(path, COMPARED, traces) for path in campaigns]
    _apart(asked)
    wanted = [name.strip() for name in policies.split(",") if name.strip()]
    for campaign in asked:
        _known(campaign, wanted)
    if update is not None:
        places(update, [campaign.name for campaign in asked])
    few = workers if workers or ray else len(os.sched_getaffinity(0))
    made: list[Table] = []
    for campaign in asked:
        for name in missing(campaign):
            output.note(f"{campaign.name}: '{name}' is not there and left out; --traces DIR")
        ran = run(
            campaign,
            out,
            only=only,
            policies=wanted,
            workers=few,
            address=ray,
            tell=_tell,
            replay=not done,
        )
        found = tabulate(campaign, cases(campaign, only), ran)
        _write(out / campaign.name, markdown(found), document(found))
        made.append(found)
    if update is not None:
        put(update, {each.campaign.name: markdown(each) for each in made})
    if as_json:
        output.document({"tables": [document(each) for each in made]})
    else:
        for each in made:
            _show(each, out, markdown(each))
    return 1 if any(each.ran.failed for each in made) else 0


def _tell(done: int, total: int, line: str) -> None:
    output.note(f"{done}/{total} {line}")


def _apart(asked: list[Campaign]) -> None:
    names = [campaign.name for campaign in asked]
    for number, campaign in enumerate(asked):
        if campaign.name in names[:number]:
            raise InvalidArgument(
                f"'{campaign.file}' has the name of another campaign: '{campaign.name}'",
                way_out="give one of the files another name",
            )


def _known(campaign: Campaign, wanted: list[str]) -> None:
    for name in wanted:
        if name not in campaign.policies:
            raise InvalidArgument(
                f"'{campaign.file}' has no policy '{name}'",
                field="--policies",
                way_out=f"it has: {', '.join(campaign.policies)}",
            )


def _write(place: Path, text: str, document: dict[str, object]) -> None:
    from res_federation.simulator.recorder import ready

    ready(place)
    try:
        (place / "table.md").write_text(text, "utf-8")
        (place / "table.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise InvalidArgument(
            f"'{place}' cannot be written: {error.strerror}", field="--out"
        ) from None


def _show(made: Table, out: Path, text: str) -> None:
    output.say(made.campaign.title)
    output.say()
    for line in text.splitlines():
        output.say(line)
    for name, why in made.ran.failed.items():
        output.note(f"{name} failed: {why}")
    output.say(f"Results are in {out / made.campaign.name}.")
