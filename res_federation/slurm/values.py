"""Single values of sbatch's options: what is allowed, and how sbatch writes it back."""

from __future__ import annotations

import re
from collections.abc import Callable

from res_federation.errors import InvalidArgument
from res_federation.slurm import durations, instants, memory

_INT_BITS = 1 << 32
_STRTOL = re.compile(r"[ \t\n\v\f\r]*([+-]?\d+)", re.ASCII)
_NODES = re.compile(r"\s*([+-]?\d+)([kKmM]?)\s*", re.ASCII)
MAX_INT = (1 << 31) - 1
MAX_LONG = (1 << 63) - 1


def refuse(name: str, way_out: str = "") -> InvalidArgument:
    """Say what sbatch says of a value that it cannot read."""
    return InvalidArgument(f"Invalid --{name} specification", field=f"--{name}", way_out=way_out)


def int32(number: int) -> int:
    """Wrap to 32 bits, as a C int does."""
    number %= _INT_BITS
    return number - _INT_BITS if number >= _INT_BITS // 2 else number


def _bounded(digits: str) -> int:
    """Return a number of any length, cut where it is too large for anything anyway."""
    number = int(digits.lstrip("+-0")[:25] or 0)
    return -number if digits[0] == "-" else number


def leading_int(text: str) -> int:
    """Return the number at the start of *text*, or 0: atoi."""
    found = _STRTOL.match(text)
    return _bounded(found.group(1)) if found else 0


def whole(text: str, name: str, least: int) -> int:
    """Read a number of at least *least*; nothing else may stand beside it."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        number = int(text)
    else:
        found = _STRTOL.fullmatch(text)
        if found is None and not (text == "" and least == 0):
            raise _not_numeric(text, name)
        number = _bounded(found.group(1)) if found else 0
    if number > MAX_LONG:
        raise InvalidArgument(
            f"Numeric argument ({MAX_LONG}) to big for --{name}.", field=f"--{name}"
        )
    if number < least:
        raise _not_numeric(text, name)
    return int32(number)


def _not_numeric(text: str, name: str) -> InvalidArgument:
    return InvalidArgument(
        f'Invalid numeric value "{text}" for --{name}.',
        field=f"--{name}",
        way_out="give a whole number above zero",
    )


def time_limit(text: str) -> str:
    """Read ``--time`` and ``--time-min``; nothing at all means without an end."""
    length = durations.minutes(text)
    if length is None:
        raise InvalidArgument(
            "Invalid --time specification",
            field="--time",
            way_out="minutes, m:s, h:m:s, days-h, days-h:m or days-h:m:s",
        )
    return durations.normal(length or durations.UNLIMITED)


def time_min(text: str) -> str:
    """Read ``--time-min``."""
    if durations.minutes(text) is None:
        raise refuse("time-min")
    return time_limit(text)


def delay(text: str) -> str:
    """Read ``--delay-boot``."""
    length = durations.minutes(text)
    if length is None:
        raise refuse("delay-boot")
    return durations.normal(length)


def instant(name: str) -> Callable[[str], str]:
    """Make the reader of ``--begin`` or ``--deadline``."""

    def read(text: str) -> str:
        found = instants.normal(text)
        if found is None:
            raise refuse(name, "write it like 2026-12-24T18:00:00 or now+2hours")
        return found

    return read


def amount(name: str) -> Callable[[str], str]:
    """Make the reader of ``--mem`` and its like."""

    def read(text: str) -> str:
        size = memory.mebibytes(text)
        if size is None:
            raise refuse(name, "a whole number with K, M, G or T; without a unit it is MB")
        return memory.normal(size)

    return read


def number(name: str, least: int = 1) -> Callable[[str], str]:
    """Make the reader of an option that counts something."""

    def read(text: str) -> str:
        return str(whole(text, name, least))

    return read


def node_range(text: str) -> str:
    """Read ``--nodes``: ``4``, ``2-4``, ``1k``; sbatch writes both bounds when they differ."""
    left, dash, right = text.partition("-")
    if dash:
        least = _node_count(left) if left else 1
        most = _node_count(right) if right else -1
    else:
        least = most = _node_count(text)
    if dash and (most < least and most != 0):
        raise InvalidArgument(
            f"Maximum node count {most} is less than minimum node count {least}", field="--nodes"
        )
    return str(least) if least == most else f"{least}-{most}"


def _node_count(text: str) -> int:
    found = _NODES.fullmatch(text)
    value = _bounded(found.group(1)) if found else -1
    if found:
        value = int32(value * {"": 1, "k": 1024, "m": 1024 * 1024}[found.group(2).lower()])
    if value < 0:
        raise InvalidArgument(
            f'"{text}" is not a valid node count', field="--nodes", way_out="4 or 2-4"
        )
    return value


def listed_gres(text: str) -> str:
    """Write a list of generic resources with sbatch's prefix before each."""
    if text.lower() == "none":
        return text
    if text.lower() == "help":
        raise InvalidArgument("--gres=help lists resources and submits nothing", field="--gres")
    return ",".join(
        part if part.startswith("gres:") else f"gres:{part}" for part in text.split(",")
    )


def one_of(name: str, words: dict[str, str]) -> Callable[[str], str]:
    """Make the reader of an option with a few words as values (in lower case)."""

    def read(text: str) -> str:
        found = words.get(text.lower())
        if found is None:
            allowed = ", ".join(word for word in words if word)
            raise refuse(name, f"one of {allowed}")
        return found

    return read


def open_mode(text: str) -> str:
    """Read ``--open-mode``: only the first letter counts."""
    if text[:1].lower() not in ("a", "t"):
        raise refuse("open-mode", "append or truncate")
    return text[0].lower()


def nice(text: str) -> str:
    """Read ``--nice``: without a value it is 100."""
    value = leading_int(text) if text else 100
    if abs(value) > 2147483645:
        raise InvalidArgument("Invalid --nice value, out of range (+/- 2147483645)", field="--nice")
    return str(value)


def priority(text: str) -> str:
    """Read ``--priority``."""
    if text.lower() == "top":
        return "-3"
    value = leading_int(text)
    if value < 0:
        raise InvalidArgument("Priority must be >= 0", field="--priority")
    if value >= 4294967294:
        raise InvalidArgument("Priority must be < 4294967294", field="--priority")
    return str(value)


def identity_number(name: str) -> Callable[[str], str]:
    """Make the reader of ``--uid`` and ``--gid``: accounts of this machine are not looked up."""

    def read(text: str) -> str:
        if text == "root":
            return "0"
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise refuse(name)
        return text

    return read


def node_file(text: str) -> str:
    """Refuse ``--nodefile``: the file lies on a machine that the federation does not see."""
    raise InvalidArgument(
        "Invalid --nodefile node file",
        field="--nodefile",
        way_out=f"name the nodes with --nodelist instead of the file '{text}'",
    )


def node_names(name: str) -> Callable[[str], str]:
    """Make the reader of ``--nodelist`` and ``--exclude``: a slash would name a file."""

    def read(text: str) -> str:
        if "/" in text:
            raise InvalidArgument(
                f"error opening file {text}, No such file or directory",
                field=f"--{name}",
                way_out="name the nodes themselves",
            )
        return text

    return read
