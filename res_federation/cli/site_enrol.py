"""`resfed site invite` and `resfed site enroll`: how a site comes in."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.documents import instant
from res_federation.cli.options import Broker, Json
from res_federation.client.address import broker_address
from res_federation.model.identifiers import site_id


def register(group: typer.Typer) -> None:
    """Add the commands of this file to ``resfed site``."""
    group.command(epilog="Example: resfed site invite csuc --hours 2")(invite)
    group.command(
        epilog="Example: resfed site enroll --broker res.example.org:7443 --site site.toml "
        "--state /var/lib/resfed --token - < invitation"
    )(enroll)


def invite(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Identifier of a site.")],
    hours: Annotated[
        float,
        typer.Option(
            metavar="HOURS", min=0.0, max=720.0, show_default=False,
            help="How long it is good for [default: as the broker has it, a day].",
        ),
    ] = 0.0,
    broker: Broker = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a token with which one site is enrolled, once. For operators.

    It is told here and never again; hand it to the site's administrator on a safe way.
    """
    from res_federation.client.enrolment import EnrolmentClient
    from res_federation.security.credentials import find

    address = broker_address(broker)
    client = EnrolmentClient(address, find(address))
    made = asyncio.run(client.invite(site_id(site), hours * 3600.0))
    if as_json:
        output.document({"site": made.site, "token": made.token, "expires": instant(made.expires)})
        return
    output.say(made.token)
    output.note(f"for site {made.site}, once, until {instant(made.expires)}")


def enroll(
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="The broker.")],
    token: Annotated[
        str,
        typer.Option(metavar="TOKEN", help="The invitation; - reads it from standard input."),
    ],
    site: Annotated[str, typer.Option(metavar="FILE|ID", help="The site's site.toml, or its id.")],
    state: Annotated[Path, typer.Option(metavar="DIR", help="The agent's own directory.")],
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Authority of the users' port [default: the invitation tells].",
            show_default=False,
        ),
    ] = None,
    fingerprint: Annotated[
        str,
        typer.Option(
            metavar="SHA256",
            help="Of the federation's authority, if you know it from elsewhere.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Enrol this site: makes a key here, which never leaves, and has it signed.

    Run it as the account that the agent runs as. The same invitation may be tried again until
    the answer came.
    """
    from res_federation.agent.enrolling import enrol
    from res_federation.config.sites import load_site

    file = Path(site)
    which = load_site(file).id if file.exists() else site_id(site, "--site")
    words = sys.stdin.readline() if token == "-" else token  # noqa: S105 - a hyphen
    address = broker_address(broker)
    papers = asyncio.run(
        enrol(which, address, words.strip(), state.absolute(), ca=ca, fingerprint=fingerprint)
    )
    if as_json:
        output.document({"site": which, "state": str(state), "expires": instant(papers.ends())})
    else:
        output.say(
            f"site {which} is enrolled; its certificate renews itself "
            f"(the first one ends {instant(papers.ends())})"
        )
