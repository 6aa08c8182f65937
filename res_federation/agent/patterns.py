"""sbatch's file name patterns, turned into names that stay inside the run's working directory."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_FIELD = re.compile(r"%(\d{0,2})([%jAaxuNntsJ])")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class PatternValues:
    """What the fields of a pattern stand for."""

    job: int
    array_job: int
    array_task: int
    name: str
    user: str
    node: str


def expand(pattern: str, values: PatternValues) -> str:
    """Expand ``%j %A %a %x %u %N %n %t %s %J %%`` (with sbatch's zero padding, ``%4a``).

    No value can bring a directory of its own: slashes in names become ``_``.
    """
    known = {
        "%": "%",
        "j": str(values.job),
        "J": str(values.job),
        "A": str(values.array_job),
        "a": str(values.array_task) if values.array_task >= 0 else "4294967294",
        "x": values.name.replace("/", "_"),
        "u": values.user.replace("/", "_"),
        "N": values.node,
        "n": "0",
        "t": "0",
        "s": "batch",
    }

    def field(match: re.Match[str]) -> str:
        text = known[match.group(2)]
        width = min(int(match.group(1) or 0), 10)
        return text.zfill(width) if text.isdigit() else text

    return _FIELD.sub(field, pattern)


def inside(path: str) -> tuple[str, ...]:
    """Return *path* as parts below the working directory; () when nothing usable is left.

    An absolute path keeps its last part only; ``..`` and control characters never survive.
    """
    parts = [_UNSAFE.sub("_", part) for part in path.split("/")]
    parts = [os.fsencode(part)[:255].decode("utf-8", "ignore") for part in parts]
    parts = [part for part in parts if part not in ("", ".", "..")]
    if path.startswith("/"):
        parts = parts[-1:]
    return tuple(parts[-_MAX_DEPTH:])


def link_inside(work: Path, parts: tuple[str, ...], target: Path) -> None:
    """Put a symbolic link to *target* at *parts* below *work*; what is there already stays.

    Goes down without following links, so that a payload that runs already cannot lead it out.
    A place that cannot be used is left alone: the output is in the run's directory anyway.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        here = os.open(work, flags)
        opened.callback(os.close, here)
        owner = os.fstat(here)
        for part in parts[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=here)
            here = os.open(part, flags, dir_fd=here)
            opened.callback(os.close, here)
            if os.fstat(here).st_uid != owner.st_uid and os.fstat(here).st_uid == os.geteuid():
                os.fchown(here, owner.st_uid, owner.st_gid)  # made here just now, for them
        os.symlink(target, parts[-1], dir_fd=here)
