"""`resfed sites` and `resfed site …`: members as they stand, and what operators do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output, site_discover, site_enrol, site_probe, site_whois
from res_federation.cli.documents import instant, site_document
from res_federation.cli.options import Broker, Json, connected
from res_federation.client import SiteView
from res_federation.model.forecast import ForecastError

SiteArgument = Annotated[str, typer.Argument(metavar="ID", help="Identifier of a site.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed sites")(sites)
    group = typer.Typer(
        help="For administrators of a site.",
        epilog="Example: resfed site check sites/",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog="Example: resfed site check sites/csuc/site.toml")(check)
    group.command(epilog="Example: resfed site drain csuc --reason 'cooling'")(drain)
    group.command(epilog="Example: resfed site resume csuc")(resume)
    site_discover.register(group)
    site_probe.register(group)
    site_enrol.register(group)
    site_whois.register(group)
    app.add_typer(group, name="site")


def sites(broker: Broker = "", as_json: Json = False) -> None:
    """List the members, how each stands, and what is free there."""
    with connected(broker) as federation:
        found = federation.sites()
    if as_json:
        output.document([site_document(site) for site in found])
        return
    output.table(
        (
            "SITE",
            "MACHINE",
            "CITY",
            "STATE",
            ">NODES FREE",
            ">CORES",
            ">ACCEL",
            ">RUN",
            ">WAIT",
            ">IN P90",
        ),
        (_row(site) for site in found),
        empty="the federation has no members (is the broker's --sites directory right?)",
    )
    for site in found:
        if site.problem:
            output.say(f"{site.id}: figures of {instant(site.measured)}: {site.problem}")


def _row(site: SiteView) -> tuple[str, ...]:
    free = [group for part in site.capacity for group in part.free]
    nodes = sum(part.available for part in site.capacity)
    idle = sum(group.nodes for group in free)
    return (
        site.id,
        site.machine,
        site.city,
        str(site.state),
        f"{min(idle, nodes)}/{nodes}" if site.capacity else "",
        str(sum(group.nodes * group.cores for group in free)) if site.capacity else "",
        str(sum(group.nodes * group.accelerators for group in free)) if site.capacity else "",
        str(site.running_jobs),
        str(site.waiting_jobs),
        _within(site.forecasts),
    )


def _within(error: ForecastError) -> str:
    """Say how many of the jobs that started there did so no later than they were told."""
    return f"{error.within_p90 / error.scored:.0%}" if error.scored else ""


def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A site.toml or a directory.")],
    live: Annotated[
        bool, typer.Option("--live", help="Compare a site.toml with the cluster behind it.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Check site files; every error names file, line and field. Leaves with 2 if there are any.

    With --live it leaves with 1 if file and cluster differ, with 3 if the cluster does not answer.
    """
    from res_federation.config.sites import check as problems_of  # pydantic

    problems = problems_of(path)
    if live and not problems:
        found = site_discover.live_differences(path)
        return site_discover.tell_differences(path, found, as_json=as_json)
    if as_json:
        output.document(
            {
                "path": str(path),
                "valid": not problems,
                "problems": [
                    {
                        "file": str(problem.file),
                        "line": problem.line,
                        "field": problem.field,
                        "message": problem.message,
                    }
                    for problem in problems
                ],
            }
        )
    elif not problems:
        output.say(f"{path}: no errors")
    else:
        for problem in problems:
            output.note(str(problem))
    return 2 if problems else 0


def drain(
    site: SiteArgument,
    reason: Annotated[str, typer.Option(help="Why, for people.", metavar="TEXT")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Let a site take no new jobs; what is there goes on."""
    with connected(broker) as federation:
        _tell(federation.drain(site, reason), as_json=as_json)


def resume(site: SiteArgument, broker: Broker = "", as_json: Json = False) -> None:
    """Let a site take new jobs again."""
    with connected(broker) as federation:
        _tell(federation.resume(site), as_json=as_json)


def _tell(site: SiteView, *, as_json: bool) -> None:
    if as_json:
        output.document(site_document(site))
    else:
        why = f": {site.drain_reason}" if site.drain_reason else ""
        output.say(f"site {site.id} is {site.state}{why}")
