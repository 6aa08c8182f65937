"""What the demo's scripts must do: ``simulations/demo/expected.toml`` as checked values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from res_federation.errors import InvalidArgument
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
        InvalidArgument: If the file cannot be read or a field is wrong; it is named.

    """
    try:
        scripts = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).script
    except OSError as error:
        raise InvalidArgument(f"cannot read '{path}': {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(str(error), field=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidArgument(f"{where}: {first['msg']}", field=str(path)) from None
    return tuple(Expectation(**script.model_dump()) for script in scripts)
