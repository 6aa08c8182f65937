"""Records of ``scontrol -o``: ``Key=Value Key=Value``, with blanks inside of some values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_BEFORE = re.compile(r"(?:^|\s+)([A-Z][A-Za-z_]*(?:\[\d+\])?)=")
_NOTHING = frozenset(("", "(null)", "n/a", "n/s", "none", "unknown", "(none)"))
_NUMBER = re.compile(r"(\d{1,15})(?:\(.*\))?", re.ASCII)


def records(text: str, first: str) -> Iterator[dict[str, str]]:
    """Yield the records of *text*: each line that begins with the key *first*.

    Other lines ("No reservations in the system", warnings) are not records.
    """
    head = f"{first}="
    for line in text.splitlines():
        if line.lstrip().startswith(head):
            yield record(line)


def record(line: str) -> dict[str, str]:
    """Read one line into keys and values.

    A value ends where blanks and the next ``Key=`` begin, so that ``OS=Linux 6.18 #1 SMP`` and
    ``Reason=GPU 2 fell off [root@…]`` stay whole. A key that comes again does not count: what a
    person wrote (a reason, a comment) stands behind what Slurm wrote.
    """
    found: dict[str, str] = {}
    marks = list(_BEFORE.finditer(line))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = following.start() if following is not None else len(line)
        found.setdefault(mark[1], line[mark.end() : end].strip())
    return found


def word(fields: Mapping[str, str], key: str) -> str:
    """Return the value of *key*, "" for one that is absent or one of Slurm's ways to say so."""
    value = fields.get(key, "")
    return "" if value.lower() in _NOTHING else value


def number(fields: Mapping[str, str], key: str) -> int | None:
    """Return the whole number of *key*; None for ``UNLIMITED``, ``N/A`` and what is no number."""
    found = _NUMBER.fullmatch(fields.get(key, ""))
    return int(found[1]) if found else None


def words(fields: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return the words of a list with commas, doubles and empty ones left out."""
    parts = (part.strip() for part in word(fields, key).split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
