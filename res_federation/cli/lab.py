"""`resfed lab up`: real Slurm clusters on this machine, to try things with."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="Real Slurm clusters on this machine, to try things with.",
        no_args_is_help=True,
        rich_markup_mode=None,
        callback=lambda: None,
    )
    group.command("up", epilog="Example: resfed lab up --federate")(up)
    app.add_typer(group, name="lab")


def up(
    clusters: Annotated[
        int, typer.Option("--clusters", metavar="N", min=1, max=3, help="How many.")
    ] = 3,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", metavar="DIR", help="Keep its files here [default: in memory, removed after]."
        ),
    ] = None,
    federate: Annotated[
        bool, typer.Option("--federate", help="Start a broker and an agent for each, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start munge, accounting and Slurm clusters on loopback; end them at Ctrl-C or SIGTERM.

    One has H100, one A100, one no accelerators; none of them is real, nor is the number of cores:
    jobs run as processes here.  Nothing is left behind, but what --home names: a lab that is
    started there again has its accounting and its jobs still.
    """
    import contextlib
    import signal
    import tempfile

    from res_federation.cli import lab_federation
    from res_federation.lab.lab import Lab
    from res_federation.lab.plan import THREE

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(THREE[:clusters], home=home))
        address = ""
        if federate:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resfed-broker-")))
            address = stack.enter_context(lab_federation.over(lab, own, output.note))
        if as_json:
            confs = {cluster.name: str(cluster.conf) for cluster in lab.clusters}
            output.line({"clusters": confs, "ready": address})
        else:
            for cluster in lab.clusters:
                output.say(f"{cluster.name}: export SLURM_CONF={cluster.conf}")
            if address:
                output.say(f"ready {address}")
            output.note("Ctrl-C ends them all.")
        over.wait()
