"""What the demo's scripts must do: ``simulations/demo/expected.toml`` as checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from res_federation.config.problems import Problem, checked, first, read
from res_federation.model.job_state import JobState


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one script must do.

    Attributes:
        file: Name of the script.
        state: State in which its jobs must end.
        exit_code: Exit code of its payload, or None where it must not run.
        stdout: What it must print, to the byte; None for an array, which has `tasks`.
        tasks: What each task of an array must print.
        accelerator: Family that its partition must have; ``any`` for any; "" for no wish.
        why: What the script is there for.

    """

    file: str
    state: JobState
    exit_code: int | None = None
    stdout: str | None = None
    tasks: dict[int, str] = field(default_factory=dict)
    accelerator: str = ""
    why: str = ""


class _Script(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    state: JobState = JobState.COMPLETED
    exit_code: int | None = None
    stdout: str | None = None
    tasks: dict[int, str] = {}
    accelerator: str = ""
    why: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    script: list[_Script]


def load_expectations(path: Path) -> tuple[Expectation, ...]:
    """Return what each script must do, in the order of the file.

    Raises:
        InvalidArgument: With file, line and field of the first fault.

    """
    document = read(path)
    if isinstance(document, Problem):
        raise first([document])
    table = checked(document, _File)
    if isinstance(table, list):
        raise first(table)
    return tuple(Expectation(**script.model_dump()) for script in table.script)
