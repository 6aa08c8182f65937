"""The file that sbatch gets: the site's directives, then the wrapper, which runs the script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from res_federation.model.identifiers import RunToken, job_of
from res_federation.slurm.directives import directive, own_options

NOT_OF_THE_USER = frozenset(
    {"job-name", "comment", "output", "error", "chdir", "open-mode", "parsable", "requeue",
     "no-requeue", "array", "wait", "test-only", "quiet", "verbose", "wrap",
     "cluster", "clusters", "input", "bbf", "uid", "gid"}
)  # fmt: skip
"""What the agent itself says, or what would change what sbatch answers to it."""
_SIGNAL = re.compile(r"(?:B|RB|BR):(?:SIG)?([A-Z0-9]{1,9})(?:@|$)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PATIENCE_S = 300
"""How long a payload that holds its nodes waits for the federation's word that it may begin."""


def _begin() -> str:
    return resources.files(__package__).joinpath("begin.bash").read_text(encoding="utf-8")


def shell_signal(signal: str) -> str:
    """Return the signal that ``--signal`` sends to the batch shell alone (``B:``), or ""."""
    found = _SIGNAL.match(signal)
    return found.group(1).upper() if found else ""


def _one_word(text: str) -> str:
    """Quote an argument for bash, in one line: sbatch refuses a file with DOS line breaks."""
    if not _CONTROL.search(text):
        return shlex.quote(text)
    plain = text.replace("\0", "").replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda sign: f"\\{ord(sign[0]):03o}", plain) + "'"


def batch_file(  # noqa: PLR0913 - what the wrapper must know
    rendered: str,
    *,
    run: Path,
    token: RunToken,
    name: str,
    site: str,
    partition: str,
    arguments: Sequence[str] = (),
    tasks: str = "",
    repeat: bool = False,
    patience_s: int = PATIENCE_S,
    without: Sequence[str] = (),
) -> str:
    """Return the file to submit: directives of *rendered*, then the wrapper around the payload.

    Args:
        rendered: The user's script in the site's dialect; the payload is ``RUN/script``.
        run: The run's directory.
        token: Which run.
        name: The job's name as its user gave it.
        site: For ``RESFED_SITE``.
        partition: For ``RESFED_PARTITION``.
        arguments: Words for the payload. They stand in here and not on sbatch's command line, where
            it would take out each ``:``, which separates jobs there.
        tasks: File in the run's directory with the array indices of this piece, or "".
        repeat: Whether the payload may begin again (``--requeue``).
        patience_s: How long it waits, once it has its nodes, for a word of the federation.
        without: Options of the user that are left out: the site says them itself.

    """
    options = own_options(rendered)
    variables = {
        "rf_run": str(run),
        "rf_token": token,
        "rf_tasks": tasks,
        "rf_name": _CONTROL.sub(" ", name),
        "rf_repeat": "yes" if repeat else "no",
        "rf_patience": str(patience_s),
        "rf_forward": shell_signal(options.get("signal", "")),
    }
    exported = {
        "RESFED_JOB": job_of(token),
        "RESFED_RUN": token,
        "RESFED_SITE": site,
        "RESFED_PARTITION": partition,
    }
    # -p: what a user exports (BASH_ENV, SHELLOPTS, CDPATH, functions) is the payload's, not ours
    lines = ["#!/bin/bash -p"]
    kept = NOT_OF_THE_USER.union(without)
    lines += [directive(n, v) for n, v in options.items() if n not in kept]
    lines += [f"{key}={shlex.quote(value)}" for key, value in variables.items()]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in exported.items()]
    lines.append(" ".join(["set --", *map(_one_word, arguments)]))
    return "\n".join([*lines, _begin()])
