"""`resfed ledger …`: what was posted, as text and CSV, and what sites say beside it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.accounting.compare import Compared, compare, used_by_run
from res_federation.accounting.ledger import Entry
from res_federation.cli import ledger_import, output
from res_federation.cli.documents import instant
from res_federation.cli.ledger_import import read_report
from res_federation.cli.options import Broker, Json, connected
from res_federation.model.identifiers import site_id

Project = Annotated[str, typer.Option(metavar="PROJECT", help="Only of this project.")]
Grant = Annotated[str, typer.Option(metavar="GRANT", help="Only of this grant.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="The ledger: what was granted, reserved, used and exchanged.",
        epilog="Example: resfed ledger show --project fusion",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog="Example: resfed ledger show --grant aect-1 --limit 20")(show)
    group.command(epilog="Example: resfed ledger export > ledger.csv")(export)
    group.command("compare", epilog="Example: resfed ledger compare sacct.txt --site csuc")(
        compared
    )
    ledger_import.register(group)
    app.add_typer(group, name="ledger")


def show(
    project: Project = "",
    grant: Grant = "",
    limit: Annotated[int, typer.Option(metavar="N", help="Most entries.", min=1)] = 100,
    after: Annotated[int, typer.Option(metavar="NUMBER", help="Only after this one.")] = 0,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Show entries of the ledger, the oldest first."""
    with connected(broker) as federation:
        entries = (one for one in federation.accounting.entries(project, grant))
        found = [*islice((one for one in entries if one.number > after), limit)]
    if as_json:
        output.document([entry_document(one) for one in found])
        return
    heads = [
        ">NUMBER", "TIME", "KIND", "GRANT", "RUN", "ACCOUNT", ">CORE-SECONDS", ">ACCEL-SECONDS",
        ">UNITS",
    ]  # fmt: skip
    rows = [[*row] for one in found for row in _rows(one)]
    for column in (-2, -1):  # most ledgers know of no accelerators, and of no exchange
        if all(row[column] == "0" for row in rows):
            for row in (heads, *rows):
                del row[column]
    output.table(heads, rows, empty="no entries")


def _rows(entry: Entry) -> Iterable[tuple[str, ...]]:
    at = (instant(entry.at) or "")[:19]
    head = (str(entry.number), at, entry.kind, entry.grant, entry.run)
    for one in entry.lines:
        amounts = (str(one.core_s), str(one.accelerator_s), str(one.units))
        yield (*head, one.account, *amounts)
        head = ("", "", "", "", "")


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return an entry for programs."""
    return {
        "number": entry.number,
        "time": instant(entry.at),
        "kind": entry.kind,
        "grant": entry.grant,
        "project": entry.project,
        "run": entry.run,
        "once": entry.once,
        "note": entry.note,
        "lines": [
            {
                "account": one.account, "core_s": one.core_s,
                "accelerator_s": one.accelerator_s, "units": one.units,
            }
            for one in entry.lines
        ],
    }  # fmt: skip


def export(
    project: Project = "", grant: Grant = "", broker: Broker = "", as_json: Json = False
) -> None:
    """Print the ledger as CSV (or, with --json, an entry a line), the oldest first."""
    from res_federation.config import accounts  # pydantic

    with connected(broker) as federation:
        entries = federation.accounting.entries(project, grant)
        if as_json:
            for one in entries:
                output.line(entry_document(one))
            return
        for text in accounts.write_ledger(entries):
            output.data(text.encode())


FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="What sacct --parsable2 printed, with headings.")
]
SiteOption = Annotated[str, typer.Option(metavar="SITE", help="Whose report it is.")]


def compared(
    file: FileArgument,
    site: SiteOption,
    project: Project = "",
    broker: Broker = "",
    as_json: Json = False,
) -> int:
    """Compare a site's own accounting with the ledger. Leaves with 1 where they differ."""
    charged = read_report(file, site_id(site, "--site"), "")
    with connected(broker) as federation:
        found = compare(used_by_run(federation.accounting.entries(project)), charged)
    differ = [one for one in found if not one.same]
    if as_json:
        output.document({"runs": len(found), "differ": [_difference(one) for one in differ]})
    else:
        output.table(
            ("RUN", ">LEDGER CORE-S", ">SITE CORE-S", ">LEDGER ACCEL-S", ">SITE ACCEL-S"),
            (_difference_row(one) for one in differ),
            empty=f"{len(found)} runs of the federation, and no difference",
        )
    return 1 if differ else 0


def _difference(one: Compared) -> dict[str, Any]:
    return {
        "run": one.run,
        "ledger": None if one.ledger is None else [*one.ledger],
        "site": [*one.site],
    }


def _difference_row(one: Compared) -> tuple[str, ...]:
    core_s, accelerator_s = one.ledger or ("none", "none")
    return (one.run, str(core_s), str(one.site[0]), str(accelerator_s), str(one.site[1]))
