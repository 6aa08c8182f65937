"""A placement policy from a TOML file: what the file leaves out keeps the policy's default."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from res_federation.config.problems import Problem, checked, first, read, unknown_key
from res_federation.config.site_file import Strict, Text
from res_federation.model.accelerators import FAMILIES
from res_federation.placement.policy import Policy

_Speed = Annotated[float, Field(gt=0, le=1000)]


class _Policy(Strict):
    name: Text | None = None
    accelerator_speed: dict[str, _Speed] | None = None
    idle_accelerator_s: Annotated[float, Field(ge=0, le=365 * 86400)] | None = None
    unknown_release_s: Annotated[float, Field(ge=0, le=365 * 86400)] | None = None
    unknown_path_mib_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    max_waiting_per_partition: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None

    @field_validator("accelerator_speed")
    @classmethod
    def _known(cls, speeds: dict[str, float] | None) -> dict[str, float] | None:
        for family in speeds or {}:
            if family not in FAMILIES:
                raise ValueError(unknown_key(family, sorted(FAMILIES)))
        return speeds


def load_policy(path: Path) -> Policy:
    """Return the policy of *path*; speeds of families are laid over the default ones.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    document = read(path)
    if isinstance(document, Problem):
        raise first([document])
    table = checked(document, _Policy)
    if isinstance(table, list):
        raise first(table)
    default = Policy()
    given = {key: value for key, value in table.model_dump().items() if value is not None}
    if "accelerator_speed" in given:
        given["accelerator_speed"] = {**default.accelerator_speed, **given["accelerator_speed"]}
    return dataclasses.replace(default, **given)
