"""`resfed pool`, `resfed project` and `resfed exchange`: records of the accounting."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from res_federation.accounting.records import AccessMode, Membership, Pool, PoolKind, Project
from res_federation.cli import output, project_balance
from res_federation.cli.options import Broker, Json, connected
from res_federation.errors import InvalidArgument
from res_federation.model.principal import Role
from res_federation.model.sentences import hours

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Its identifier.")]
Title = Annotated[str, typer.Option(metavar="TEXT", help="For people.")]


def _group(text: str, example: str) -> typer.Typer:
    return typer.Typer(
        help=text, epilog=f"Example: {example}", no_args_is_help=True, rich_markup_mode=None
    )


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    pools = _group("Pools of hours: who gives them.", "resfed pool list")
    pools.command("create", epilog="Example: resfed pool create res --kind res")(pool_create)
    pools.command("list", epilog="Example: resfed pool list")(pool_list)
    app.add_typer(pools, name="pool")
    projects = _group("Projects and their members.", "resfed project list")
    projects.command("create", epilog="Example: resfed project create fusion --home csuc")(
        project_create
    )
    projects.command("show", epilog="Example: resfed project show fusion --since 2026-11-01")(
        project_balance.show
    )
    projects.command("list", epilog="Example: resfed project list --json")(project_list)
    projects.command("member", epilog="Example: resfed project member fusion ana --issuer rediris")(
        project_member
    )
    projects.command("members", epilog="Example: resfed project members fusion")(project_members)
    app.add_typer(projects, name="project")
    exchange = _group("What members gave one another.", "resfed exchange show")
    exchange.command("show", epilog="Example: resfed exchange show")(exchange_show)
    exchange.command(
        "record", epilog="Example: resfed exchange record csuc iac 1000 --note 'course'"
    )(exchange_record)
    app.add_typer(exchange, name="exchange")


def pool_create(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Its identifier.")],
    kind: Annotated[
        PoolKind, typer.Option(metavar="KIND", help=f"Who gives them: {', '.join(PoolKind)}.")
    ] = PoolKind.RES,
    mode: Annotated[
        str, typer.Option(metavar="MODE", help="Of an AI Factory: playground, fast-lane…")
    ] = "",
    title: Title = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make a pool of hours, or change one."""
    try:
        how = AccessMode(mode)
    except ValueError:
        raise InvalidArgument(
            f"'{mode}' is no access mode", field="--mode",
            way_out="playground, fast-lane or large-scale",
        ) from None  # fmt: skip
    with connected(broker) as federation:
        found = federation.accounting.save_pool(Pool(pool, kind, how, title))
    if as_json:
        output.document(_pool(found))
    else:
        output.say(f"pool {found.id}: {found.kind} {found.mode}".rstrip())


def _pool(pool: Pool) -> dict[str, Any]:
    return {"pool": pool.id, "kind": pool.kind, "mode": pool.mode, "title": pool.title}


def pool_list(broker: Broker = "", as_json: Json = False) -> None:
    """List the pools."""
    with connected(broker) as federation:
        found = federation.accounting.pools()
    if as_json:
        output.document([_pool(one) for one in found])
        return
    rows = ((one.id, str(one.kind), str(one.mode), one.title) for one in found)
    output.table(("POOL", "KIND", "MODE", "TITLE"), rows, empty="there are no pools")


def project_create(
    project: ProjectArgument,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
    home: Annotated[
        str | None, typer.Option(metavar="SITE", help="Member whose people they are.")
    ] = None,
    closed: Annotated[
        bool | None, typer.Option("--closed/--open", help="It submits nothing any more.")
    ] = None,
    data_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Of its data; binds all its jobs ('' for none)."),
    ] = None,
    jurisdiction: Annotated[
        str | None,
        typer.Option(metavar="ES,EU", help="Only there may its data go ('' for anywhere)."),
    ] = None,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Make a project, or change one: what is not given stays as it is."""
    lands = None if jurisdiction is None else jurisdiction.upper().replace(",", " ").split()
    said = {
        "title": title, "home": home, "closed": closed, "data_class": data_class,
        "jurisdictions": None if lands is None else tuple(lands),
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    with connected(broker) as federation:
        known = {one.id: one for one in federation.accounting.projects()}
        before = known.get(project, Project(project))
        found = federation.accounting.save_project(replace(before, **given))
    if as_json:
        output.document(_project(found))
    else:
        output.say(f"project {found.id}{' is closed' if found.closed else ''}")


def _project(project: Project) -> dict[str, Any]:
    return {
        "project": project.id, "title": project.title, "home": project.home,
        "closed": project.closed, "data_class": project.data_class,
        "jurisdictions": list(project.jurisdictions),
    }  # fmt: skip


def project_list(broker: Broker = "", as_json: Json = False) -> None:
    """List the projects that you may see."""
    with connected(broker) as federation:
        found = federation.accounting.projects()
    if as_json:
        output.document([_project(one) for one in found])
        return
    rows = (
        (one.id, one.home, "closed" if one.closed else "", one.data_class,
         ",".join(one.jurisdictions), one.title)
        for one in found
    )  # fmt: skip
    heads = ("PROJECT", "HOME", "STATE", "DATA CLASS", "ONLY IN", "TITLE")
    output.table(heads, rows, empty="there are no projects")


def project_member(
    project: ProjectArgument,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Whom the issuer means.")],
    issuer: Annotated[str, typer.Option(metavar="ISSUER", help="Who vouches for them.")] = "local",
    lead: Annotated[bool, typer.Option("--lead", help="They lead the project.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="They belong to it no more.")] = False,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Let somebody belong to a project, as a user or its lead, or not any more."""
    if lead and remove:
        raise InvalidArgument("is not for somebody who leaves", field="--lead")
    role = None if remove else Role.LEAD if lead else Role.USER
    with connected(broker) as federation:
        found = federation.accounting.set_member(Membership(project, issuer, subject, role))
    if as_json:
        output.document(_member(found))
    else:
        output.say(f"{found.subject}@{found.issuer} {found.role or 'left'} in {found.project}")


def _member(one: Membership) -> dict[str, Any]:
    return {
        "project": one.project, "issuer": one.issuer, "subject": one.subject, "role": one.role,
    }  # fmt: skip


def project_members(project: ProjectArgument, broker: Broker = "", as_json: Json = False) -> None:
    """List the members of a project."""
    with connected(broker) as federation:
        found = federation.accounting.members(project)
    if as_json:
        output.document([_member(one) for one in found])
        return
    rows = ((one.subject, one.issuer, str(one.role)) for one in found)
    output.table(("SUBJECT", "ISSUER", "ROLE"), rows, empty=f"project {project} has no members")


def exchange_show(broker: Broker = "", as_json: Json = False) -> None:
    """Show what each member gave beyond what it took, in core-hours of the reference core."""
    with connected(broker) as federation:
        _tell_exchange(federation.accounting.exchange(), as_json=as_json)


def exchange_record(
    giver: Annotated[str, typer.Argument(metavar="SITE", help="Who gave.")],
    taker: Annotated[str, typer.Argument(metavar="SITE", help="Who took.")],
    amount: Annotated[
        str, typer.Argument(metavar="HOURS", help="Core-hours of the reference core: 10 or 0.5.")
    ],
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for people.")] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Note what a member gave another outside of any job."""
    from res_federation.config.accounts import seconds  # pydantic

    units = seconds(amount, "HOURS") * 1000
    with connected(broker) as federation:
        found = federation.accounting.record_exchange(giver, taker, units, note)
    _tell_exchange(found, as_json=as_json)


def _tell_exchange(found: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        output.document([
            {"site": site, "units_thousandths": amount, "core_hours": amount / 3_600_000}
            for site, amount in found.items()
        ])  # fmt: skip
        return
    moved = {site: amount for site, amount in found.items() if amount}
    rows = (
        (site, hours(amount // 1000), "gave more" if amount > 0 else "took more")
        for site, amount in moved.items()
    )
    if not moved:
        output.say(f"none of {len(found)} members has given or taken anything")
        return
    output.table(("SITE", ">CORE-HOURS", ""), rows, empty="")
    if len(moved) < len(found):
        output.say(f"{len(found) - len(moved)} others have given as much as they took, or nothing")
