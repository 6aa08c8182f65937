"""What is wrong with a file, and where: faults as lines that people can act on."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from res_federation.config.positions import Positions
from res_federation.errors import InvalidArgument

Checked = TypeVar("Checked", bound=BaseModel)
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_MAX_FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one file.

    Attributes:
        file: The file as it was named.
        line: Where the field stands, from 1; the table around it where the field is missing.
        field: Such as ``partition[2].memory``; "" for the file as a whole.
        message: What is wrong and the way out, in one line.

    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file that was read: its values, and where they stand."""

    file: Path
    values: dict[str, Any]
    positions: Positions

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """Return a problem with the key at *path*."""
        return Problem(str(self.file), self.positions.line(path), field_name(path), message)


def field_name(path: Sequence[str | int]) -> str:
    """Write a path as people do: ``("partition", 0, "memory")`` is ``partition[1].memory``."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(file: Path) -> Document | Problem:
    """Read a TOML file; a file that cannot be read or is no TOML comes back as its problem."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        return Problem(str(file), 1, "", f"cannot be read: {error.strerror or error}")
    return parse(file, data)


def parse(file: Path, data: bytes) -> Document | Problem:
    """Read the bytes of a TOML file; what is none comes back as its problem."""
    if len(data) > _MAX_FILE_BYTES:
        return Problem(str(file), 1, "", "is larger than 4 MiB; this is no file of the catalogue")
    try:
        text = data.decode("utf-8-sig")  # editors on Windows put a mark before the text
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Problem(str(file), line, "", "is not UTF-8 text; save it as UTF-8")
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found else max(1, len(text.splitlines()))
        what = _PLACE.sub("", str(error))
        return Problem(str(file), line, "", f"is not TOML: {what} (texts stand in double quotes)")
    return Document(file, values, Positions(text))


def checked(document: Document, model: type[Checked]) -> Checked | list[Problem]:
    """Return the document as *model*, or every problem that stands against it."""
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        return [_translated(document, model, each) for each in error.errors()]


def first(problems: Sequence[Problem], *, more: str = "") -> InvalidArgument:
    """Return the first of *problems* as an error; it says how many others there are.

    Args:
        problems: At least one.
        more: The command that lists the others, or "".

    """
    problem = problems[0]
    others = f"{len(problems) - 1} more: {more}" if len(problems) > 1 and more else ""
    return InvalidArgument(
        f"{problem.field}: {problem.message}" if problem.field else problem.message,
        field=f"{problem.file}:{problem.line}",
        way_out=others,
    )


def _translated(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    path = tuple(error["loc"])
    words = _WORDS.get(error["type"])
    if error["type"] == "extra_forbidden":
        return document.problem(path, unknown_key(str(path[-1]), _keys_at(model, path[:-1])))
    if error["type"] == "missing" and _models_at(model, path):
        return document.problem(path, f"is missing; add the table [{field_name(path)}]")
    message = words(error) if words else error["msg"]
    return document.problem(path, message)


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Say that *key* is not known, with the nearest that is."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
    return f"unknown key '{key}'; {hint}"


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that *model* knows at *path* (fields may hold models or lists of them)."""
    fields = _models_at(model, path)[0].model_fields
    return [field.alias or name for name, field in fields.items()]


def _models_at(model: type[BaseModel], path: Sequence[str | int]) -> list[type[BaseModel]]:
    """Return the models of tables that may stand at *path*; none where it is a plain value."""
    found = [model]
    for part in path:
        if isinstance(part, str):
            fields = found[0].model_fields
            known = {field.alias or name: field for name, field in fields.items()}
            found = _flat(known[part].annotation)
    return found


def _flat(annotation: Any) -> list[type[BaseModel]]:
    inner = [each for part in get_args(annotation) for each in _flat(part)]
    mine = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if mine else inner


def _value(error: ErrorDetails) -> str:
    shown = repr(error["input"])
    return shown if len(shown) <= 60 else f"{shown[:57]}..."  # a whole table helps nobody


def _bound(word: str, key: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"{_value(error)} cannot be; it must be {word} {error['ctx'][key]}"


def _no(what: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"{_value(error)} is not {what}"


_WORDS: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda error: f"is missing; add '{error['loc'][-1]} = ...'",
    "value_error": lambda error: str(error["ctx"]["error"]),
    "enum": lambda error: f"{_value(error)} is not one of {error['ctx']['expected']}",
    "literal_error": lambda error: f"{_value(error)} is not one of {error['ctx']['expected']}",
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
    "greater_than": _bound("more than", "gt"),
    "finite_number": _no("a number that can be; leave the key out where the figure is not known"),
    "int_type": _no("a whole number; write it without quotes and without a point"),
    "float_type": _no("a number; write it without quotes"),
    "string_type": _no('a text; put it in double quotes: "..."'),
    "list_type": _no("a list; put it in brackets: [...]"),
    "dict_type": _no("a table"),
    "model_type": _no("a table"),
    "string_too_short": lambda _error: "is empty; fill it in",
    "too_short": lambda error: f"has too few; it needs at least {error['ctx']['min_length']}",
    "too_long": lambda error: f"has too many; it takes at most {error['ctx']['max_length']}",
}
