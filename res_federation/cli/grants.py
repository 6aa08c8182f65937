"""`resfed grant …`: hours for a project on a machine in a period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from res_federation.accounting.records import Grant
from res_federation.cli import grant_files, output
from res_federation.cli.documents import grant_document
from res_federation.cli.grant_table import show_grants
from res_federation.cli.options import Broker, Json, connected
from res_federation.errors import InvalidArgument
from res_federation.wire.accounting import GrantView

GrantArgument = Annotated[str, typer.Argument(metavar="GRANT", help="Its identifier.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="Grants: hours for a project on a named machine in a period.",
        epilog="Example: resfed grant list",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(
        "create",
        epilog="Example: resfed grant create aect-1 --project fusion --pool res --machine csuc"
        " --begins 2026-11-01 --ends 2027-03-01 --core-hours 500000",
    )(create)
    group.command("list", epilog="Example: resfed grant list --project fusion")(listed)
    group.command(epilog="Example: resfed grant show aect-1")(show)
    group.command(epilog="Example: resfed grant close aect-1")(close)
    grant_files.register(group)
    app.add_typer(group, name="grant")


def create(  # noqa: PLR0913 - one argument for each option
    grant: GrantArgument,
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Whose.")] = "",
    pool: Annotated[str, typer.Option(metavar="POOL", help="From which pool.")] = "",
    begins: Annotated[
        str, typer.Option(metavar="TIME", help="First second in which it pays; UTC.")
    ] = "",
    ends: Annotated[
        str, typer.Option(metavar="TIME", help="First second in which it pays no more; UTC.")
    ] = "",
    machine: Annotated[
        str, typer.Option(metavar="SITE[/CLUSTER[/PARTITION]]", help="Where; everywhere if none.")
    ] = "",
    core_hours: Annotated[
        str, typer.Option(metavar="HOURS", help="In all: 1000, 0.25, 12:30:00 or unlimited.")
    ] = "",
    accelerator_hours: Annotated[str, typer.Option(metavar="HOURS", help="In all, the same.")] = "",
    priority: Annotated[str, typer.Option(metavar="LETTER", help="Class A (first), B, C…")] = "",
    activity: Annotated[str, typer.Option(metavar="ID", help="Such as AECT-2026-3-0001.")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make a grant, or change one: what is not given stays as it is.

    A new grant needs --project, --pool, --begins, --ends and hours of either kind. Of one that is
    there the period, the hours in all, the class and the activity can be changed.
    """
    from res_federation.config import accounts  # pydantic

    given: dict[str, Any] = {}
    for field, text, option, read in (
        ("project", project, "--project", _as_is), ("pool", pool, "--pool", _as_is),
        ("begins", begins, "--begins", accounts.instant),
        ("ends", ends, "--ends", accounts.instant), ("machine", machine, "--machine", _as_is),
        ("core_s", core_hours, "--core-hours", accounts.seconds),
        ("accelerator_s", accelerator_hours, "--accelerator-hours", accounts.seconds),
        ("activity", activity, "--activity", _as_is),
    ):  # fmt: skip
        if text:
            given[field] = read(text, option)
    if priority:
        given["priority"] = accounts.priority(priority)
    with connected(broker) as federation:
        known = {view.grant.id: view.grant for view in federation.accounting.grants()}
        before = known.get(grant)
        if before is None:
            _check_whole(grant, given)
        wanted = replace(before or Grant(grant, project, pool), **given)
        _tell([federation.accounting.save_grant(wanted)], as_json=as_json, one=True)


def _as_is(text: str, option: str) -> str:
    del option
    return text


def _check_whole(grant: str, given: Mapping[str, Any]) -> None:
    """Check that a new grant has all that it needs; raises InvalidArgument."""
    for field in ("project", "pool", "begins", "ends"):
        if field not in given:
            raise InvalidArgument(f"grant '{grant}' is new and needs it", field=f"--{field}")
    if not given.get("core_s") and not given.get("accelerator_s"):
        raise InvalidArgument(
            f"grant '{grant}' is new and has no hours", field="--core-hours",
            way_out="--core-hours 1000, --accelerator-hours 50, or unlimited",
        )  # fmt: skip


def listed(
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Only of this one.")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """List grants, and what is left of each."""
    with connected(broker) as federation:
        _tell(federation.accounting.grants(project), as_json=as_json)


def show(grant: GrantArgument, broker: Broker = "", as_json: Json = False) -> None:
    """Show a grant, and what is left of it."""
    with connected(broker) as federation:
        _tell([federation.accounting.grant(grant)], as_json=as_json, one=True)


def close(grant: GrantArgument, broker: Broker = "", as_json: Json = False) -> None:
    """Close a grant: the rest goes back to its pool, and runs that it pays for are settled."""
    with connected(broker) as federation:
        _tell([federation.accounting.close_grant(grant)], as_json=as_json, one=True)


def _tell(found: list[GrantView], *, as_json: bool, one: bool = False) -> None:
    if as_json:
        documents = [grant_document(view) for view in found]
        output.document(documents[0] if one else documents)
    else:
        show_grants(found, empty="there are no grants that you may see")
