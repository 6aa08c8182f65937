"""`resfed site whois`: who a person of the federation is at a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json


def register(group: typer.Typer) -> None:
    """Add the commands of this file to the group `site`."""
    example = "resfed site whois site.toml --issuer idp --subject 3f9a-77 --project bio-1"
    group.command(epilog=f"Example: {example}")(whois)


def whois(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The site's site.toml.")],
    issuer: Annotated[str, typer.Option(metavar="NAME", help="Who vouches for the person.")],
    subject: Annotated[str, typer.Option(metavar="NAME", help="Whom that issuer means.")],
    project: Annotated[str, typer.Option(metavar="NAME", help="For which project.")] = "",
    as_json: Json = False,
) -> None:
    """Say as whom somebody's jobs would run, by the site's own mapping of people.

    It answers as an agent would that runs on this machine as you. Leaves with 4 for nobody.
    """
    from res_federation.agent.identity import MappedAccounts
    from res_federation.config.identity_file import load_rules
    from res_federation.config.sites import load_site
    from res_federation.errors import PermissionDenied
    from res_federation.model.local_identity import Claim
    from res_federation.telemetry import logs

    site = load_site(file)
    if not site.identity:
        raise PermissionDenied(
            f"site '{site.id}' maps nobody: it serves its own local user alone",
            way_out=f'add [identity] with file = "accounts.toml" to {file}',
        )
    load_rules(Path(site.identity))  # a mistake with its line, as `site check` says it
    logs.configure("error")
    people = MappedAccounts(Path(site.identity))
    found, line = people.whois(Claim(issuer, subject, project))
    name = found.account.name if found.account is not None else ""
    number = found.account.uid if found.account is not None else -1
    if as_json:
        output.document(
            {
                "account": name,
                "uid": number,
                "slurm_account": found.charge,
                "own_account": found.own_charge,
                "file": site.identity,
                "line": line,
            }
        )
        return
    output.say(f"local account: {name} (number {number})")
    output.say(f"Slurm account: {found.charge or 'the default of that account'}")
    output.say(f"rule: {site.identity}:{line}")
