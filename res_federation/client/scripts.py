"""From a script with ``#SBATCH`` lines to the job that is submitted."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence

from res_federation.model.job import JobSpec
from res_federation.slurm.job_spec import read_job


def job_from_script(
    script: str,
    *,
    name: str = "",
    options: Sequence[str] = (),
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    user: str = "",
) -> JobSpec:
    """Read a script as sbatch does: command line over environment over script.

    Args:
        script: Text of the script, from ``#!`` on.
        name: Name of the job where no option gives one.
        options: sbatch's options, as on its command line.
        arguments: Arguments of the script.
        environment: What ``SBATCH_…`` variables and ``--export`` are read from; by default this
            process's own.
        user: Who submits; by default the user of this process.

    Raises:
        InvalidArgument: If sbatch would refuse it; the message names the line or the option.

    """
    return read_job(
        script,
        user=user or user_name(),
        name=name or "sbatch",
        arguments=tuple(options),
        script_arguments=tuple(arguments),
        environment=os.environ if environment is None else environment,
        directory=os.getcwd(),  # noqa: PTH109 - the text that sbatch would resolve against
    )


def user_name() -> str:
    """Return the user of this process; a number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"
