"""One value for each setting: what was given as an argument, else the environment, else a default.

Arguments that are None or "" were not given.  Environment variables that are empty are not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from res_federation.errors import InvalidArgument

Checked = TypeVar("Checked", bound=BaseModel)


class Settings(BaseModel):
    """A set of settings whose texts come from outside; numbers may be written as texts."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def merged(
    model: type[Checked],
    given: Mapping[str, object],
    environment: Mapping[str, str],
    variables: Mapping[str, str],
) -> Checked:
    """Return the settings as *model*.

    Args:
        model: Their types, bounds and defaults.
        given: Arguments by name.
        environment: The process's environment.
        variables: The variable of each setting that has one.

    Raises:
        InvalidArgument: Naming the option or the variable that is wrong.

    """
    values: dict[str, object] = {}
    for name, variable in variables.items():
        if environment.get(variable):
            values[name] = environment[variable]
    arguments = {name: value for name, value in given.items() if value not in (None, "")}
    try:
        return model.model_validate({**values, **arguments})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        field = f"--{name.replace('_', '-')}" if name in arguments else variables.get(name, name)
        told = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        said = first["input"]
        raise InvalidArgument(
            f"'{said}' will not do: {told[:1].lower()}{told[1:]}", field=field
        ) from None
