"""`resfed grant import` and `export`: projects and grants as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from res_federation.accounting.records import Grant, Pool, Project
from res_federation.cli import output
from res_federation.cli.documents import grant_document
from res_federation.cli.options import Broker, Json, connected
from res_federation.cli.wrong_rows import read_text, tell_wrong
from res_federation.client import Federation
from res_federation.client.site_view import SiteView

if TYPE_CHECKING:
    from res_federation.config.accounts import Granted

NEW, CHANGED, SAME = "new", "changed", "as it is"


def register(group: typer.Typer) -> None:
    """Add the commands of this file to ``resfed grant``."""
    group.command("import", epilog="Example: resfed grant import period-2026-3.csv --dry-run")(
        imported
    )
    group.command(epilog="Example: resfed grant export > grants.csv")(export)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the broker has already, by identifier."""

    pools: dict[str, Pool]
    projects: dict[str, Project]
    grants: dict[str, Grant]
    sites: dict[str, SiteView]


def _known(federation: Federation) -> _Known:
    books = federation.accounting
    return _Known(
        {one.id: one for one in books.pools()},
        {one.id: one for one in books.projects()},
        {view.grant.id: view.grant for view in books.grants()},
        {str(one.id): one for one in federation.sites()},
    )


def imported(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, as docs/accounting.md says.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what.")] = False,
    broker: Broker = "",
    as_json: Json = False,
) -> int:
    """Make the pools, projects and grants of a file; those that are there are changed.

    If a line is wrong nothing is imported. What is as the file says already stays untouched, so
    a file may be imported again, also after an import that was cut short.
    """
    from res_federation.config import accounts  # pydantic

    read = accounts.read_grants(read_text(file), str(file))
    with connected(broker) as federation:
        known = _known(federation)
        wrong = [*read.wrong]
        for line, one in read.rows:
            wrong += [(line, why) for why in _against(one, known)]
        if wrong:
            return tell_wrong(file, wrong, as_json=as_json)
        granted = [one for _, one in read.rows]
        acts = [_act(known.grants.get(one.grant.id), one.grant) for one in granted]
        if not dry_run:
            _save(federation, granted, known)
    _tell(granted, acts, dry_run=dry_run, as_json=as_json)
    return 0


def _against(one: Granted, known: _Known) -> list[str]:
    """Return what keeps the broker from taking a line."""
    found, grant, home = [], one.grant, one.project.home
    if home and home not in known.sites:
        found.append(f"home: no member is called '{home}'")
    old = known.grants.get(grant.id)
    if old is None:
        return [*found, *_nowhere(grant, known)]
    if old.closed:
        found.append(f"grant: '{grant.id}' is closed; make a new one")
    for name in ("project", "pool", "machine"):
        before, after = getattr(old, name), getattr(grant, name)
        if before != after:
            found.append(f"{name}: grant '{grant.id}' has '{before}', which stays: make a new one")
    return found


def _nowhere(grant: Grant, known: _Known) -> list[str]:
    """Return why the machine of a new grant is not there; nothing where it is."""
    name = grant.machine.split("/")[0]
    if not name:
        return []
    site = known.sites.get(name)
    if site is None:
        return [f"machine: no member is called '{name}'"]
    parts = {one.id for one in site.partitions} | {one.id for one in site.capacity}
    if parts and not any(map(grant.covers, parts)):
        return [f"machine: there is no '{grant.machine}' ({name} has {', '.join(sorted(parts))})"]
    return []


def _act(old: Pool | Project | Grant | None, new: Pool | Project | Grant) -> str:
    return NEW if old is None else SAME if old == new else CHANGED


def _save(federation: Federation, granted: Sequence[Granted], known: _Known) -> None:
    """Save what is new or changed: pools and projects before the grants that name them."""
    books = federation.accounting
    for pool in dict.fromkeys(one.pool for one in granted):
        old = known.pools.get(pool.id)
        new = replace(old or pool, kind=pool.kind, mode=pool.mode)  # what is not said stays
        if _act(old, new) != SAME:
            books.save_pool(new)
    for project in dict.fromkeys(one.project for one in granted):
        before = known.projects.get(project.id)
        after = replace(before or project, title=project.title, home=project.home)
        if _act(before, after) != SAME:
            books.save_project(after)
    for one in granted:
        if _act(known.grants.get(one.grant.id), one.grant) != SAME:
            books.save_grant(one.grant)


def _tell(granted: Sequence[Granted], acts: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        grants = [
            {"grant": one.grant.id, "project": one.project.id, "act": act}
            for one, act in zip(granted, acts, strict=True)
        ]
        output.document({"dry_run": dry_run, "grants": grants})
        return
    output.table(
        ("GRANT", "PROJECT", "POOL", "MACHINE", "ACT"),
        (
            (one.grant.id, one.project.id, one.pool.id, one.grant.machine or "everywhere", act)
            for one, act in zip(granted, acts, strict=True)
        ),
        empty="the file has no grants",
    )
    counts = Counter(acts)
    said = ", ".join(f"{counts[act]} {act}" for act in (NEW, CHANGED, SAME) if counts[act])
    output.say(f"{said or 'nothing'}{': nothing was changed, for --dry-run' if dry_run else ''}")


def export(broker: Broker = "", as_json: Json = False) -> None:
    """Print all grants that are not closed as CSV, as `resfed grant import` reads it."""
    from res_federation.config import accounts  # pydantic

    with connected(broker) as federation:
        found = [one for one in federation.accounting.grants() if not one.grant.closed]
        pools = {one.id: one for one in federation.accounting.pools()}
        projects = {one.id: one for one in federation.accounting.projects()}
    if as_json:
        output.document([grant_document(view) for view in found])
        return
    lines = [
        accounts.Granted(one.grant, pools[one.grant.pool], projects[one.grant.project])
        for one in found
    ]
    output.data(accounts.write_grants(lines).encode())
