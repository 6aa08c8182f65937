"""`resfed bench …`: ratios measured in one run, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="Benchmarks: ratios measured in one run.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("submit", epilog="Example: resfed bench submit --json")(submit)
    group.command("place", epilog="Example: resfed bench place --json")(place)
    group.command("wake", epilog="Example: resfed bench wake --json")(wake)
    group.command("translate", epilog="Example: resfed bench translate --json")(translate)
    group.command("slurm", epilog="Example: resfed bench slurm --json")(slurm)
    group.command("replay", epilog="Example: resfed bench replay --json")(replay)
    app.add_typer(group, name="bench")


def submit(
    repeats: Annotated[int, typer.Option(help="Rounds of each measure.", min=1, max=50)] = 5,
    calls: Annotated[int, typer.Option(help="Unary calls of a round.", min=64)] = 2000,
    bulk: Annotated[int, typer.Option(help="Jobs of a bulk round.", min=1)] = 10_000,
    as_json: Json = False,
) -> None:
    """Measure durable submits against an empty echo, and bulk submits, on a broker of its own."""
    from res_federation.cli.bench_submit import measure  # starts processes

    _tell(measure(repeats=repeats, calls=calls, bulk_jobs=bulk), as_json=as_json)


def place(
    jobs: Annotated[int, typer.Option(help="Queued jobs of a round.", min=1)] = 10_000,
    workers: Annotated[int, typer.Option(help="Ray workers.", min=1, max=64)] = 2,
    repeats: Annotated[int, typer.Option(help="Rounds of each measure.", min=1, max=100)] = 25,
    queue: Annotated[
        int, typer.Option(help="Jobs of the long queue; 0 for none.", min=0)
    ] = 1_000_000,
    sites: Annotated[Path | None, typer.Option(help="Catalogue; default: sites/.")] = None,
    as_json: Json = False,
) -> None:
    """Measure placements a second, in process and through Ray, and rounds over a long queue."""
    from res_federation.config.dialects import load_dialects
    from res_federation.config.places import default_sites
    from res_federation.config.sites import load_sites
    from res_federation.scatter.bench_place import bench_place, drawn_jobs  # ray takes a second
    from res_federation.scatter.bench_queue import bench_queue
    from res_federation.telemetry import logs

    logs.configure()  # to standard error: standard output is the result's
    catalogue = sites or default_sites()
    members = load_sites(catalogue)
    dialects = load_dialects(catalogue, members)
    result = bench_place(
        members, dialects=dialects, jobs=jobs, workers=workers, repeats=repeats,
        begin=logs.configure,
    )  # fmt: skip
    if queue:
        specs = [job.spec for job in drawn_jobs(jobs, 0)]
        result |= bench_queue(members, specs, dialects=dialects, jobs=queue)
    _tell(result, as_json=as_json)


def wake(
    jobs: Annotated[int, typer.Option(help="Jobs that wait.", min=1)] = 100_000,
    changes: Annotated[int, typer.Option(help="Changes of capacity.", min=1, max=10_000)] = 300,
    sites: Annotated[Path | None, typer.Option(help="Catalogue; default: sites/.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how soon nodes that came free are used, with a long queue, on a broker of its own."""
    from res_federation.cli import bench_wake  # starts a broker
    from res_federation.config.places import default_sites

    _tell(
        bench_wake.measure(sites=sites or default_sites(), jobs=jobs, changes=changes),
        as_json=as_json,
    )


def translate(
    scripts: Annotated[int, typer.Option(help="How many are judged.", min=1)] = 10_000,
    sites: Annotated[Path | None, typer.Option(help="Catalogue; default: sites/.")] = None,
    as_json: Json = False,
) -> None:
    """Measure scripts read and judged for every site, on one core."""
    from res_federation.cli import bench_translate  # pydantic
    from res_federation.config.places import default_sites

    texts = bench_translate.scripts(scripts)
    _tell(bench_translate.measure(texts, sites or default_sites()), as_json=as_json)


def slurm(
    repeats: Annotated[int, typer.Option(help="Rounds of each measure.", min=1, max=50)] = 5,
    jobs: Annotated[int, typer.Option(help="Jobs of `true` of a round.", min=1)] = 300,
    as_json: Json = False,
) -> None:
    """Measure this federation beside Slurm's own, on three real clusters made for it."""
    from res_federation.cli import bench_slurm  # starts a lab

    _tell(bench_slurm.measure(repeats=repeats, jobs=jobs), as_json=as_json)


def replay(
    trace: Annotated[
        Path | None,
        typer.Option(
            help="For 100 processors [default: the KTH trace beside the repository, else one "
            "drawn alike].",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Of the large trace.", min=10_000)] = 450_000,
    repeats: Annotated[int, typer.Option(help="Rounds of each measure.", min=1, max=100)] = 9,
    federation_jobs: Annotated[
        int, typer.Option(help="Of 14 sites through the production machine; 0 for none.", min=0)
    ] = 100_000,
    as_json: Json = False,
) -> None:
    """Measure replays: one machine against EASY in plain Python, growth, and a federation."""
    from res_federation.cli import bench_replay  # numba

    result = bench_replay.measure(
        trace=trace, jobs=jobs, repeats=repeats, federation_jobs=federation_jobs
    )
    _tell(result, as_json=as_json)


def _tell(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(result)
        return
    output.table(
        ("MEASURE", ">VALUE"),
        ((name, _figure(value)) for name, value in result.items()),
        empty="nothing was measured",
    )


def _figure(value: Any) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
