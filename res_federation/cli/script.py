"""`resfed script read`: what sbatch would understand of a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from res_federation.cli import output
from res_federation.cli.options import Json
from res_federation.cli.script_file import read_script
from res_federation.errors import InvalidArgument
from res_federation.slurm.read_answer import answer


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        help="Scripts, read as sbatch reads them.",
        no_args_is_help=True,
        rich_markup_mode=None,
        callback=lambda: None,
    )
    group.command("read", epilog="Example: resfed script read train.sbatch --json")(read)
    app.add_typer(group, name="script")


def read(
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="A script; '-' for standard input.")
    ] = "",
    jsonl: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Lines with 'name' and 'script' in place of SCRIPT; one answer a line.",
            show_default=False,
        ),
    ] = None,
    cwd: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What relative paths stand on.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Say what sbatch would understand: the words found, its table of options, its warnings.

    Leaves with 2 if sbatch would refuse the script.
    """
    directory = str(cwd if cwd is not None else Path.cwd())
    if jsonl is not None:
        if script:
            raise InvalidArgument("SCRIPT and --jsonl exclude one another", field="--jsonl")
        for name, text in _lines(jsonl):
            output.line(answer(name, text, directory))
        return 0
    text, name = read_script(script or None)
    told = answer(name, text, directory)
    if as_json:
        output.document(told)
    else:
        _show(told)
    return 2 if told["refused"] else 0


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _entry(line, f"{path}:{number}")
    except OSError as error:
        raise InvalidArgument(f"cannot read '{path}': {error.strerror}", field="--jsonl") from None


def _entry(line: str, where: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise InvalidArgument(f"not JSON: {error}", field=where) from None
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key), str) for key in ("name", "script")
    ):
        raise InvalidArgument("wants an object with the texts 'name' and 'script'", field=where)
    return entry["name"], entry["script"]


def _show(told: dict[str, Any]) -> None:
    if told["refused"]:
        output.say(f"sbatch would refuse it: {told['refused']}")
    output.table(
        ("OPTION", "VALUE"),
        ((name, str(value)) for name, value in sorted(told["options"].items())),
        empty="no options",
    )
    for warning in told["warnings"]:
        output.say(f"warning: {warning}")
