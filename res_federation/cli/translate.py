"""`resfed translate`: the exact script that another site would be given."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.cli.script_file import read_script
from res_federation.errors import Infeasible, InvalidArgument
from res_federation.model.job import JobSpec
from res_federation.model.site import Partition, Site
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.render import Rendered

ANY = "all"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: resfed translate train.sbatch --origin bsc --to cesga")(translate)


def translate(
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="A script; '-' for standard input.")
    ],
    to: Annotated[str, typer.Option(metavar="SITE|all", help="Where it is to run.")],
    origin: Annotated[
        str,
        typer.Option(metavar="SITE", help="Whose words it uses [default: recognised from them]."),
    ] = "",
    account: Annotated[
        str, typer.Option(metavar="NAME", help="Your account there, where one is wanted.")
    ] = "",
    sites: Annotated[Path | None, typer.Option(help="Catalogue; default: sites/.")] = None,
    as_json: Json = False,
) -> int:
    """Write a script in the dialect of another site; show what changes and what may be lost.

    Leaves with 5 if no site that was named can take it.
    """
    from res_federation.config.dialects import load_dialects  # pydantic
    from res_federation.config.places import default_sites
    from res_federation.config.sites import load_sites
    from res_federation.slurm.canonical import understood
    from res_federation.slurm.job_spec import read_job

    directory = sites or default_sites()
    members = load_sites(directory)
    dialects = load_dialects(directory, members)
    for option, word in (("--to", to), ("--origin", origin)):
        if word and word not in dialects and (word, option) != (ANY, "--to"):
            raise InvalidArgument(
                f"there is no site '{word}'",
                field=option,
                way_out=f"one of: {', '.join(dialects)}" + (", all" if option == "--to" else ""),
            )
    text, name = read_script(script)
    spec = read_job(text, user="", name=name)
    read = understood(replace(spec, origin=origin), dialects)
    said = read.notes[len(spec.notes) :] or ("origin: not recognised; name it with --origin",)
    told = [
        _translated(read, dialects[site.id], site, account, said)
        for site in members
        if to in (ANY, site.id)
    ]
    if as_json:
        output.document(told if to == ANY else told[0])
    else:
        for each in told:
            _show(each, whole=to != ANY)
    if any(each["feasible"] for each in told):
        return 0
    return Infeasible.exit_code


def _translated(
    spec: JobSpec, target: Dialect, site: Site, account: str, said: Sequence[str]
) -> dict[str, Any]:
    from res_federation.slurm.losses import losses
    from res_federation.slurm.render import render_understood

    home = spec.origin == target.site
    reasons: list[str] = []
    notes: tuple[str, ...] = ()
    for part in _candidates(spec, site, home=home):
        found = render_understood(spec, target, part, account=account)
        if isinstance(found, Rendered):
            lost = () if found.identical else losses(found.script, dict(spec.options))
            return _document(
                target.site,
                script=found.script,
                diff=_diff(spec.script, found.script, target.site),
                notes=[*said, *found.notes, *lost],
                account=found.account or None,
                pool=found.pool or None,
                partition=part.id,
            )
        reasons += found.reasons
        notes = found.notes
    if not site.partitions:
        reasons = [f"{site.id} has no partition for batch jobs"]
    return _document(
        target.site,
        reasons=list(dict.fromkeys(reasons)),
        script=spec.script if home else None,
        notes=[*said, *notes],
    )


def _candidates(spec: JobSpec, site: Site, *, home: bool) -> Sequence[Partition]:
    """Return the partitions to try: at home the one that the script's words mean, if any."""
    meant = spec.meant if home else ""
    return [part for part in site.partitions if part.name == meant] or site.partitions


def _document(
    target: str,
    *,
    notes: list[str],
    reasons: Sequence[str] = (),
    script: str | None = None,
    diff: str = "",
    account: str | None = None,
    pool: str | None = None,
    partition: str | None = None,
) -> dict[str, Any]:
    return {
        "target": target,
        "feasible": not reasons,
        "reasons": list(reasons),
        "script": script,
        "diff": diff,
        "notes": notes,
        "account": account,
        "pool": pool,
        "partition": partition,
    }


def _diff(before: str, after: str, target: str) -> str:
    if before == after:
        return ""
    lines = difflib.unified_diff(
        before.split("\n"), after.split("\n"), "script", f"script for {target}", lineterm=""
    )
    return "\n".join(lines) + "\n"


def _show(told: dict[str, Any], *, whole: bool) -> None:
    """Print one translation for people; the whole script only where one site was asked for."""
    if not told["feasible"]:
        output.say(f"{told['target']}: cannot take it")
        for reason in told["reasons"]:
            output.say(f"  {reason}")
        return
    account = f", account {told['account']}" if told["account"] else ""
    pool = f", pool {told['pool']}" if told["pool"] else ""
    output.say(f"{told['target']}: {told['partition']}{account}{pool}")
    for note in told["notes"]:
        output.say(f"  {note}")
    if whole:
        for line in (told["diff"] or "(no change)").rstrip("\n").split("\n"):
            output.say(line)
