"""Which jobs the demo submits: its own scripts with what they must do, or somebody else's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from res_federation.client.scripts import job_from_script
from res_federation.config.demo import Expectation, load_expectations
from res_federation.errors import FederationError, InvalidArgument, MissingComponent
from res_federation.model.job import MAX_SCRIPT_BYTES, JobSpec
from res_federation.model.job_state import JobState

REPEATS = 4
"""How often each script of the demo that is to complete is submitted; arrays and others once."""
_SUFFIXES = (".sbatch", ".slurm", ".sh", ".bash", ".job", ".sub", ".cmd", ".slm")
_OWN = Path(__file__).resolve().parents[2] / "simulations" / "demo"


@dataclass(frozen=True, slots=True)
class Planned:
    """A job that is to be submitted: where it comes from, what, and what it must do if known."""

    script: str
    spec: JobSpec
    expected: Expectation | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A script that sbatch would refuse: the line that says why."""

    script: str
    why: str


def own_jobs(count: int | None) -> list[Planned]:
    """Return the demo's own jobs, at least one for each script.

    Args:
        count: How many in all; None for `REPEATS` of each that is to complete.

    Raises:
        MissingComponent: If the scripts are not installed beside the package.

    """
    if not (_OWN / "expected.toml").is_file():
        raise MissingComponent(
            f"the demo's scripts are not in '{_OWN}'",
            way_out="run it from a checkout of the repository, or give --scripts DIR",
        )
    once: list[Planned] = []
    often: list[Planned] = []
    for expected in load_expectations(_OWN / "expected.toml"):
        file = _OWN / "scripts" / expected.file
        spec = _spec(file.read_text("utf-8"), file.name)
        planned = Planned(file.name, spec, expected)
        single = spec.array or expected.state is not JobState.COMPLETED
        (once if single else often).append(planned)
    wanted = len(once) + len(often) * REPEATS if count is None else count
    repeated = islice(cycle(often), max(len(often), wanted - len(once)))
    return [*once, *repeated]


def foreign_jobs(directory: Path, count: int | None) -> tuple[list[Planned], list[Unread]]:
    """Return a job for each script under *directory* (repeated up to *count*), and the refused.

    A script is a file with ``#SBATCH`` lines, or one whose name ends like one.

    Raises:
        InvalidArgument: If there is no such directory, or no script in it.

    """
    if not directory.is_dir():
        raise InvalidArgument(f"'{directory}' is not a directory", field="--scripts")
    planned: list[Planned] = []
    unread: list[Unread] = []
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(file.relative_to(directory))
        try:
            text = _script_text(file)
            if text is not None:
                planned.append(Planned(name, _spec(text, file.name)))
        except FederationError as error:
            unread.append(Unread(name, str(error)))
    if not planned and not unread:
        raise InvalidArgument(
            f"'{directory}' holds no script with #SBATCH lines", field="--scripts"
        )
    repeated = planned if count is None else list(islice(cycle(planned), max(count, len(planned))))
    return repeated, unread


def _script_text(file: Path) -> str | None:
    """Return the text of a script, or None for a file that is none."""
    named = file.suffix.lower() in _SUFFIXES
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size <= MAX_SCRIPT_BYTES else b""
    except OSError as error:
        raise InvalidArgument(f"cannot be read: {error.strerror}") from None
    if size > MAX_SCRIPT_BYTES:
        if named:
            raise InvalidArgument(f"has {size >> 20} MiB, a script may have 4")
        return None
    if not named and b"#SBATCH" not in content:
        return None
    return content.decode("utf-8", "surrogateescape")


def _spec(text: str, name: str) -> JobSpec:
    return job_from_script(text, name=name, environment=_neutral(os.environ))


def _neutral(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would steer sbatch: scripts speak for themselves."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("SBATCH_", "SLURM_"))
    }


def distinct_scripts(jobs: Sequence[Planned]) -> int:
    """Return from how many scripts *jobs* come."""
    return len({job.script for job in jobs})
