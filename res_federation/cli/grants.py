"""`resfed grant …`: hours for a project on a machine in a period."""

from __future__ import annotations

from typing import Annotated

import typer

from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant
from res_federation.cli import grant_files, output
from res_federation.cli.documents import grant_document, instant
from res_federation.cli.options import Broker, Json, connected
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
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Whose.")],
    pool: Annotated[str, typer.Option(metavar="POOL", help="From which pool.")],
    begins: Annotated[str, typer.Option(metavar="TIME", help="First second; UTC.")],
    ends: Annotated[str, typer.Option(metavar="TIME", help="First second after it; UTC.")],
    machine: Annotated[
        str, typer.Option(metavar="SITE[/CLUSTER[/PARTITION]]", help="Where; everywhere if none.")
    ] = "",
    core_hours: Annotated[str, typer.Option(metavar="HOURS", help="Or unlimited.")] = "",
    accelerator_hours: Annotated[str, typer.Option(metavar="HOURS", help="Or unlimited.")] = "",
    priority: Annotated[str, typer.Option(metavar="LETTER", help="Class A, B, C…")] = "A",
    activity: Annotated[str, typer.Option(metavar="ID", help="Such as AECT-2026-3-0001.")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make a grant, or change the amounts and the period of one."""
    from res_federation.config import accounts  # pydantic

    wanted = Grant(
        grant, project, pool, machine, accounts.instant(begins, "--begins"),
        accounts.instant(ends, "--ends"), accounts.seconds(core_hours, "--core-hours"),
        accounts.seconds(accelerator_hours, "--accelerator-hours"), accounts.priority(priority),
        activity,
    )  # fmt: skip
    with connected(broker) as federation:
        _tell([federation.accounting.save_grant(wanted)], as_json=as_json, one=True)


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
        return
    output.table(
        ("GRANT", "PROJECT", "POOL", "MACHINE", "CLASS", "ENDS", ">CORE-H LEFT", ">RESERVED",
         ">USED", ">ACCEL-H LEFT", ">RESERVED", ">USED"),
        (_row(view) for view in found),
        empty="there are no grants that you may see",
    )  # fmt: skip


def _row(view: GrantView) -> tuple[str, ...]:
    grant = view.grant
    state = "closed" if grant.closed else (instant(grant.ends) or "")[:10]
    return (
        grant.id, grant.project, grant.pool, grant.machine or "everywhere", grant.letter, state,
        _left(grant.core_s, view.available[0]), hours(view.reserved[0]), hours(view.used[0]),
        _left(grant.accelerator_s, view.available[1]), hours(view.reserved[1]),
        hours(view.used[1]),
    )  # fmt: skip


def _left(granted: int, left: int) -> str:
    return "unlimited" if granted == UNLIMITED else hours(left)


def hours(seconds: int) -> str:
    """Return seconds as hours for people."""
    return f"{seconds / 3600:.2f}"
