"""Reading the script that a user names, without trusting it to be one."""

from __future__ import annotations

import sys
from pathlib import Path

from res_federation.errors import InvalidArgument, ResourceExhausted
from res_federation.model.job import MAX_SCRIPT_BYTES

_WRAPPED = "#!/bin/sh\n# Made by resfed submit --wrap.\n\n{command}\n"


def read_script(path: str | None) -> tuple[str, str]:
    """Return the text of a script and the name that sbatch would give its job.

    Args:
        path: A file; ``-`` or None for standard input.

    Raises:
        InvalidArgument: If there is no such file, it cannot be read or is not text.
        ResourceExhausted: If it is larger than `MAX_SCRIPT_BYTES`; it is not read then.

    """
    if path is None or path == "-":
        if sys.stdin is None or (path is None and sys.stdin.isatty()):
            raise InvalidArgument(
                "no script is named",
                field="SCRIPT",
                way_out="give a file, '-' for standard input, or --wrap CMD",
            )
        return _text(sys.stdin.buffer.read(MAX_SCRIPT_BYTES + 1), "standard input"), "sbatch"
    file = Path(path)
    try:
        if file.is_dir():
            raise InvalidArgument(f"'{path}' is a directory", field="SCRIPT")
        size = file.stat().st_size
        if size > MAX_SCRIPT_BYTES:
            raise _too_large(path, size)
        with file.open("rb") as stream:
            content = stream.read(MAX_SCRIPT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidArgument(f"cannot read '{path}': {why}", field="SCRIPT") from None
    return _text(content, path), file.name


def _text(content: bytes, path: str) -> str:
    if len(content) > MAX_SCRIPT_BYTES:
        raise _too_large(path, len(content))
    if b"\0" in content:
        raise InvalidArgument(
            f"'{path}' is not a script: it holds a NUL byte",
            field="SCRIPT",
            way_out="give the program to --wrap",
        )
    return content.decode("utf-8", "surrogateescape")


def _too_large(path: str, size: int) -> ResourceExhausted:
    return ResourceExhausted(
        f"'{path}' has {size / 2**20:.0f} MiB, a script may have {MAX_SCRIPT_BYTES >> 20}",
        field="SCRIPT",
        way_out="keep data in files of their own and name them in the script",
    )


def wrapped(command: str) -> str:
    """Return the script that runs one command line, as sbatch --wrap makes it."""
    if not command.strip() or "\0" in command:
        raise InvalidArgument("there is nothing to run", field="--wrap")
    return _WRAPPED.format(command=command)
