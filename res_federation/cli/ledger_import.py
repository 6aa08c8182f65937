"""`resfed ledger import`: past use from a CSV, from another ledger, or from what sacct printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from res_federation.accounting.compare import Charged
from res_federation.cli import output
from res_federation.cli.options import Broker, Json, connected
from res_federation.cli.wrong_rows import Wrong, read_text, tell_wrong
from res_federation.client import Federation
from res_federation.control.events import Usage
from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import is_run_token, site_id
from res_federation.slurm import sacct

_A_CALL = 5000
"""Uses that are imported in one call, and in one transaction."""
_HELP = """Charge grants with what was used, each use once in all time.

FILE is a CSV of uses (columns grant, once, core_hours, accelerator_hours, note), what
`resfed ledger export` printed (of which the use of runs and former imports counts: grants,
reservations and exchanges are left out), or what sacct printed: then --site and --grant say whose
report it is and who pays for its jobs that did not pass through the federation.

Whatever was charged before is left out, so a file may be imported again, also after an import
that was cut short. If a line is wrong nothing is imported."""


def register(group: typer.Typer) -> None:
    """Add the command of this file to ``resfed ledger``."""
    group.command(
        "import",
        help=_HELP,
        epilog="Example: resfed ledger import used.csv --dry-run; "
        "resfed ledger import sacct.txt --site csuc --grant aect-1",
    )(imported)


def imported(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or what sacct printed.")],
    site: Annotated[str, typer.Option(metavar="SITE", help="Whose report of sacct it is.")] = "",
    grant: Annotated[
        str, typer.Option(metavar="GRANT", help="Who pays for a report of sacct.")
    ] = "",
    account: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="Only what this Slurm account was charged.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Charge nothing.")] = False,
    broker: Broker = "",
    as_json: Json = False,
) -> int:
    """Charge grants with what was used, each use once in all time."""
    text = read_text(file)
    if "|" in text.partition("\n")[0]:
        if not site or not grant:
            raise InvalidArgument(
                "is needed with a report of sacct", field="--grant" if site else "--site"
            )
        charged = read_report(file, site_id(site, "--site"), account)
        rows = [(0, one) for one in _strangers(charged, grant)]
        wrong: Wrong = []
    else:
        for name, value in (("--site", site), ("--grant", grant), ("--account", account)):
            if value:
                raise InvalidArgument("is for a report of sacct; a CSV names grants", field=name)
        rows, wrong = _uses(text, file)
    with connected(broker) as federation:
        grants = {view.grant.id for view in federation.accounting.grants()}
        wrong = [
            *wrong,
            *((line, f"grant: there is no grant '{one.grant}'") for line, one in rows
              if line and one.grant not in grants),
        ]  # fmt: skip
        if wrong:
            return tell_wrong(file, wrong, as_json=as_json)
        usage = list(dict.fromkeys(one for _, one in rows))
        count, known = _charge(federation, usage, dry_run=dry_run)
    if as_json:
        output.document({"charged": count, "known": known, "dry_run": dry_run})
    else:
        would = "would be charged" if dry_run else "charged"
        whom = grant or ", ".join(sorted({one.grant for one in usage})) or "nobody"
        output.say(f"{count} uses {would} to {whom}; {known} were charged before")
    return 0


def _charge(federation: Federation, usage: list[Usage], *, dry_run: bool) -> tuple[int, int]:
    """Charge in calls of a transaction each; return how many, and how many had been before."""
    count, known = 0, 0
    for at in range(0, len(usage), _A_CALL):
        some = usage[at : at + _A_CALL]
        fresh, old = federation.accounting.import_usage(some, dry_run=dry_run)
        count, known = count + fresh, known + len(old)
    return count, known


def _uses(text: str, file: Path) -> tuple[list[tuple[int, Usage]], Wrong]:
    """Read a CSV: a ledger if its first line has what only that has, else uses."""
    from res_federation.config import accounts  # pydantic

    if "account" in text.partition("\n")[0]:
        found = accounts.usage_of(accounts.read_ledger(text, str(file)))
    else:
        found = accounts.read_usage(text, str(file))
    return found.rows, found.wrong


def _strangers(charged: list[Charged], grant: str) -> list[Usage]:
    """Return the uses of a report that are no runs of the federation."""
    return [
        Usage(grant, one.once, one.core_s, one.accelerator_s, one.account)
        for one in charged
        if not one.run and (one.core_s or one.accelerator_s)
    ]


def read_report(file: Path, site: str, account: str) -> list[Charged]:
    """Read what sacct printed: what the site charged for each job that began.

    Raises:
        InvalidArgument: If it has no headings, lacks a column, or has a line that is none.

    """
    text = file.read_text(encoding="utf-8", errors="replace")
    heads = tuple(text.partition("\n")[0].split("|"))
    missing = [one for one in ("JobIDRaw", "State", "Start", "End", "AllocTRES", "JobName")
               if one not in heads]  # fmt: skip
    if missing:
        raise InvalidArgument(
            f"has no column {missing[0]} in its first line", field=str(file),
            way_out=f"sacct -a -X -D --parsable2 -o {','.join(sacct.COLUMNS)}",
        )  # fmt: skip
    jobs, bad = sacct.read(text, columns=heads, free="Comment" if "Comment" in heads else "JobName")
    if bad:
        lines = enumerate(text.split("\n"), start=1)
        first = next(number for number, line in lines if sacct.read(line, columns=heads)[1])
        raise InvalidArgument(
            f"{bad} lines cannot be read, the first is line {first}", field=str(file)
        )
    return [
        _charged(job, site)
        for job in jobs
        if job.started is not None and job.ended is not None and account in ("", job.account)
    ]


def _charged(job: sacct.AccountedJob, site: str) -> Charged:
    assert job.started is not None, "it began"
    assert job.ended is not None, "it ended"
    ran = max(0, job.ended - job.started)
    run = job.name if is_run_token(job.name) else ""
    once = f"{site}:{job.number}:{job.started}"
    return Charged(run, once, job.tres.cpus * ran, job.tres.gpus * ran, job.account)
