"""`resfed broker serve` and `resfed agent run`: one process of the federation each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.client.address import DEFAULT_ADDRESS


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    broker = typer.Typer(
        help="The broker.", no_args_is_help=True, rich_markup_mode=None, callback=lambda: None
    )
    broker.command(epilog="Example: resfed broker serve --listen 127.0.0.1:7443 --sites sites/")(
        serve
    )
    app.add_typer(broker, name="broker")
    agent = typer.Typer(
        help="The agent of a site.",
        no_args_is_help=True,
        rich_markup_mode=None,
        callback=lambda: None,
    )
    agent.command(
        "run",
        epilog="Example: resfed agent run --site site.toml --broker 127.0.0.1:7443 --state state/",
    )(run_agent_command)
    app.add_typer(agent, name="agent")


def serve(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 chooses.")
    ] = DEFAULT_ADDRESS,
    db: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Database [default: SQLite in the home].", show_default=False
        ),
    ] = "",
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster to join [default: a local one].",
            show_default=False,
        ),
    ] = "",
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="State [default: $RESFED_HOME].", show_default=False),
    ] = None,
    sites: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Catalogue of sites.", show_default=False)
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Policy of placement.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the broker alone, in the foreground; prints `ready HOST:PORT`."""
    # sqlalchemy, numba and pydantic take a second that no other command must wait for
    from res_federation.broker.main import run_broker
    from res_federation.config.broker import BrokerSettings

    del run_broker, BrokerSettings, listen, db, ray, home, sites, policy, as_json
    asyncio.run(asyncio.sleep(0))


def run_agent_command(
    site: Annotated[Path, typer.Option(metavar="FILE", help="The site's site.toml.")],
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="The broker to dial.")],
    state: Annotated[Path, typer.Option(metavar="DIR", help="The agent's own directory.")],
    as_json: Json = False,
) -> None:
    """Run the agent of one site, in the foreground. SIGTERM ends it; jobs that run go on."""
    from res_federation.agent.main import serve_agent

    output.note(f"{site} {broker} {state} {as_json} {serve_agent}")
