"""`resfed grant …`: hours for a project on a machine in a period."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant
from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json, connected
from res_federation.client import Federation
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
    group.command("import", epilog="Example: resfed grant import period-2026-3.csv")(imported)
    group.command(epilog="Example: resfed grant export > grants.csv")(export)
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


def imported(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, as docs/accounting.md says.")],
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make the pools, projects and grants of a file; those that are there are changed."""
    from res_federation.config import accounts  # pydantic

    granted = accounts.read_grants(file.read_text(encoding="utf-8"), str(file))
    with connected(broker) as federation:
        for pool in dict.fromkeys(one.pool for one in granted):
            federation.accounting.save_pool(pool)
        known = {one.id: one for one in federation.accounting.projects()}
        for project in dict.fromkeys(one.project for one in granted):
            before = known.get(project.id, project)  # what the file does not say stays
            federation.accounting.save_project(
                replace(before, title=project.title, home=project.home)
            )
        made = [federation.accounting.save_grant(one.grant) for one in granted]
    _tell(made, as_json=as_json)


def export(broker: Broker = "", as_json: Json = False) -> None:
    """Print all grants that are not closed as CSV, as `resfed grant import` reads it."""
    from res_federation.config import accounts  # pydantic

    with connected(broker) as federation:
        found = _granted(federation)
    if as_json:
        output.document([_grant(view) for view in found])
        return
    with connected(broker) as federation:
        pools = {one.id: one for one in federation.accounting.pools()}
        projects = {one.id: one for one in federation.accounting.projects()}
    lines = [
        accounts.Granted(one.grant, pools[one.grant.pool], projects[one.grant.project])
        for one in found
    ]
    output.data(accounts.write_grants(lines).encode())


def _granted(federation: Federation) -> list[GrantView]:
    return [one for one in federation.accounting.grants() if not one.grant.closed]


def _grant(view: GrantView) -> dict[str, Any]:
    grant = view.grant
    return {
        "grant": grant.id,
        "project": grant.project,
        "pool": grant.pool,
        "machine": grant.machine,
        "begins": instant(grant.begins),
        "ends": instant(grant.ends),
        "core_s": grant.core_s,
        "accelerator_s": grant.accelerator_s,
        "priority": grant.letter,
        "activity": grant.activity,
        "closed": grant.closed,
        **{
            name: {"core_s": amount[0], "accelerator_s": amount[1]}
            for name, amount in (
                ("available", view.available), ("reserved", view.reserved), ("used", view.used),
            )
        },
    }  # fmt: skip


def _tell(found: list[GrantView], *, as_json: bool, one: bool = False) -> None:
    if as_json:
        documents = [_grant(view) for view in found]
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
