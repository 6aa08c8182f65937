"""`resfed broker serve` and `resfed agent run`: one process of the federation each."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.client.address import DEFAULT_ADDRESS, broker_address

AgentsPort = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="Where agents dial in [default: any port of that host].",
        show_default=False,
    ),
]
SecurityFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Who may come in [default: security.toml in the home; without it, this account].",
        show_default=False,
    ),
]


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


def serve(  # noqa: PLR0913 - the options of a command
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 chooses.")
    ] = DEFAULT_ADDRESS,
    listen_agents: AgentsPort = "",
    security: SecurityFile = None,
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
        str,
        typer.Option(metavar="NAME|FILE", help="Policy of placement."),
    ] = "federated",
    as_json: Json = False,
) -> None:
    """Run the broker alone, in the foreground; prints `ready HOST:PORT`."""
    # sqlalchemy, numba and pydantic take a second that no other command must wait for
    from res_federation.broker.main import run_broker
    from res_federation.config.broker import broker_settings
    from res_federation.config.catalogue import load_catalogue
    from res_federation.config.places import default_sites
    from res_federation.config.policy import policy_at
    from res_federation.telemetry import logs

    settings = broker_settings(
        listen=listen, listen_agents=listen_agents, security=security, db=db, home=home, ray=ray
    )
    catalogue = load_catalogue(sites or default_sites())
    logs.configure(settings.log_level)
    broker = run_broker(
        settings, catalogue=catalogue, policy=policy_at(policy),
        on_ready=lambda address: tell_ready(address, as_json=as_json),
    )  # fmt: skip
    asyncio.run(until_told_to_end(broker))


def tell_ready(address: str, *, as_json: bool) -> None:
    """Print that jobs can be submitted: what programs wait for."""
    if as_json:
        output.line({"ready": address})
    else:
        output.say(f"ready {address}")


async def until_told_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* until it ends, or until SIGTERM or SIGINT ends it."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def run_agent_command(
    site: Annotated[Path, typer.Option(metavar="FILE", help="The site's site.toml.")],
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="The broker to dial.")],
    state: Annotated[Path, typer.Option(metavar="DIR", help="The agent's own directory.")],
    agents: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="The agents' port [default: the broker is asked].",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Run the agent of one site, in the foreground. SIGTERM ends it; jobs that run go on."""
    from res_federation.agent.local.slots import HostSlots
    from res_federation.agent.main import run_agent
    from res_federation.config.agent import agent_settings
    from res_federation.config.dialects import DIALECT_FILE, load_dialect
    from res_federation.config.sites import load_site
    from res_federation.telemetry import logs

    settings = agent_settings()
    found = load_site(site)
    address = broker_address(broker)
    logs.configure()
    if as_json:
        output.line({"site": found.id, "broker": address})
    agent = run_agent(
        found,
        address,
        state.absolute(),
        dialect=load_dialect(site.parent / DIALECT_FILE, found) if site.is_file() else None,
        beat_s=settings.beat_s,
        slots=HostSlots(settings.host_jobs),
        grace_s=settings.grace_s,
        keep_s=settings.keep_s,
        agents=broker_address(agents) if agents else "",
    )
    asyncio.run(until_told_to_end(agent))
