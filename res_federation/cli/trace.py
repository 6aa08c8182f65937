"""`resfed trace`: what a trace holds, and what was repaired or left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.errors import InvalidArgument


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="Traces of workloads, for replays.",
        epilog="Example: resfed trace check KTH-SP2-1996.swf.gz",
        no_args_is_help=True,
        rich_markup_mode=None,
        callback=lambda: None,
    )
    group.command("check", epilog="Example: resfed trace check KTH-SP2-1996.swf.gz --first 5000")(
        check
    )
    group.command("export", epilog="Example: resfed trace export --out week.resfed")(export)
    app.add_typer(group, name="trace")


def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A trace, plain or gzip; '-' for standard input.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="swf, sacct, events or openb [default: recognised from the file].",
            show_default=False,
        ),
    ] = "",
    first: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Only the first N job lines, before any is left out.",
            show_default=False,
        ),
    ] = None,
    limit_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Most bytes when unpacked [default: 1 GiB].", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Read a trace as a replay would; show what was read, repaired and left out, by rule."""
    from res_federation.simulator.traces.check import figures  # numba
    from res_federation.simulator.traces.read import read_trace
    from res_federation.simulator.traces.source import LIMIT_BYTES

    work = read_trace(
        file,
        form=form,
        first=first,
        limit_bytes=LIMIT_BYTES if limit_bytes is None else limit_bytes,
    )
    told = figures(work)
    if as_json:
        output.document(told)
    else:
        _show(told)
    return 0


def export(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the recording goes.")],
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The broker's home [default: $RESFED_HOME].", show_default=False
        ),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Without who submitted, and names of jobs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write what a broker was told, and when, into one file; a replay of it decides the same.

    `resfed replay FILE` makes every decision again and compares; with `--sites` or `--machine`
    its jobs are a workload like any other. Scripts are never part of it.
    """
    from res_federation.config.places import resfed_home  # pydantic
    from res_federation.store.recording import RECORDINGS
    from res_federation.store.recording import export as write

    directory = (home or resfed_home()).expanduser() / RECORDINGS
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            done = write(directory, file, anonymous=anonymous)
        part.replace(out)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {out}: {error.strerror}", field="--out", way_out="name another file"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        told = {"file": str(out), "recordings": done.recordings, "frames": done.frames}
        output.document(told)
    else:
        output.say(f"{out}: {done.frames:,} events of {done.recordings} lives of the broker")


def _show(told: Mapping[str, Any]) -> None:
    left = f"{told['jobs']:,} of {told['read']:,} job lines"
    output.say(f"{told['trace']}: {told['format']}, {left}")
    if told["jobs"]:
        output.say(f"  submits  {_duration(told['span_s'])}, {_load(told)}")
        output.say(
            f"  by       {told['users']:,} users, {told['groups']:,} groups, "
            f"{told['queues']:,} queues"
        )
        for title, key, shown in (
            ("procs", "procs", "{:,}".format),
            ("run", "runtime_s", _duration),
            ("limit", "estimate_s", _duration),
        ):
            least, middle, high, most = (shown(value) for value in told[key].values())
            output.say(f"  {title:<8} {least} to {most}, median {middle}, 95 % up to {high}")
    if told["larger_than_machine"]:
        output.say(
            f"  larger than the machine: {told['larger_than_machine']:,} (a replay counts them)"
        )
    rows = [
        [what, rule, f"{count:,}", str(told["first_lines"][rule])]
        for what in ("dropped", "repaired")
        for rule, count in sorted(told[what].items(), key=lambda item: -item[1])
    ]
    output.say()
    output.table(
        ("", "rule", ">count", ">first line"), rows, empty="nothing to repair, nothing left out"
    )


def _load(told: Mapping[str, Any]) -> str:
    if told["load"] is None:
        return "load unknown (the file does not say how large the machine is)"
    return f"load {told['load']:.2f} of {told['processors']:,} processors"


def _duration(seconds: int) -> str:
    """Write seconds for people: ``333 d 4 h``, ``2 h 5 min``, ``40 s``."""
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        many, seconds = divmod(seconds, size)
        if many:
            parts.append(f"{many:,} {unit}")
        if len(parts) == 2 or (parts and not many):
            break
    return " ".join(parts) or "0 s"
