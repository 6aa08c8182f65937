"""`resfed site probe`: the whole way of a job on the real cluster of a site file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from res_federation.cli import output
from res_federation.cli.options import Json

if TYPE_CHECKING:
    from res_federation.agent.slurm.probe import Step

_MARKS = {"ok": "ok ", "hint": "hint", "failed": "FAILED"}


def register(group: typer.Typer) -> None:
    """Add the commands of this file to the group `site`."""
    group.command(epilog="Example: resfed site probe site.toml --state /shared/resfed")(probe)


def probe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The site's site.toml.")],
    state: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where the probe makes its directory: shared with the compute nodes.",
        ),
    ] = Path(),
    partition: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Where [default: the cluster's default].", show_default=False
        ),
    ] = "",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Bound of each step.")
    ] = 60.0,
    as_json: Json = False,
) -> int:
    """Walk the whole way of a job on the real cluster, and name the step that fails.

    Two small jobs are submitted; nothing is left behind. Leaves with 1 if a step fails.
    """
    steps = _walked(
        file, state.absolute(), partition, timeout,
        tell=(lambda _: None) if as_json else (lambda step: output.say(_line(step))),
    )  # fmt: skip
    passed = all(step.state != "failed" for step in steps)
    if as_json:
        rows = [_row(step) for step in steps]
        output.document({"file": str(file), "passed": passed, "steps": rows})
    elif passed:
        output.say(f"{file} passes")
    return 0 if passed else 1


def _walked(
    file: Path, state: Path, partition: str, timeout: float, *, tell: Callable[[Step], None]
) -> list[Step]:
    """Walk until the end; tell of each step as it is done."""
    import asyncio

    from res_federation.agent import clock
    from res_federation.agent.slurm.probe import Probe
    from res_federation.cli.serve import until_told_to_end
    from res_federation.cli.site_discover import slurm_site
    from res_federation.config.dialects import DIALECT_FILE, load_dialect
    from res_federation.errors import Interrupted
    from res_federation.model.identifiers import JobId, new_job_id
    from res_federation.telemetry import logs

    site, access = slurm_site(file)
    dialect = load_dialect((file if file.is_dir() else file.parent) / DIALECT_FILE, site)
    logs.configure("error")
    steps: list[Step] = []
    done: list[bool] = []

    def job() -> JobId:
        return new_job_id(int(clock.now() * 1000), os.urandom(10))

    async def walk() -> None:
        probe = Probe(
            site, access, dialect, state,
            job=job, now=clock.now, timeout_s=timeout, partition=partition,
        )  # fmt: skip
        async for step in probe.walk():
            steps.append(step)
            tell(step)
        done.append(True)

    asyncio.run(until_told_to_end(walk()))
    if not done:
        raise Interrupted("interrupted; what was submitted was cancelled")
    return steps


def _line(step: Step) -> str:
    way = f" ({step.way_out})" if step.way_out else ""
    return f"{_MARKS[step.state]} {step.name}: {step.message}{way}"


def _row(step: Step) -> dict[str, object]:
    return {
        "step": step.name,
        "state": step.state,
        "message": step.message,
        "way_out": step.way_out,
        "seconds": round(step.seconds, 3),
    }
