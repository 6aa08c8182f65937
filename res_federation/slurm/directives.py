"""Rewriting the directives of a script: the lines that change, and not one byte besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from res_federation.slurm import script_header
from res_federation.slurm.options import BY_NAME, Takes, read_words

_PLAIN = re.compile(r"[A-Za-z0-9_./:,=%@+\[\]-]*", re.ASCII)
_UNWRITABLE = re.compile(r"[\n\r\0]")


@dataclass(frozen=True, slots=True)
class _Given:
    """One option of the script: name, value, and the first and last line that it stands on."""

    name: str
    value: str
    first: int
    last: int

    @property
    def lines(self) -> tuple[int, int]:
        """The lines that hold its words."""
        return self.first, self.last


def unwritable(wanted: Mapping[str, str]) -> str:
    """Return the first option that no directive can hold, or "".

    Its value has a line break, or it is none of sbatch: what came from another client may be both.
    """
    return next(
        (n or "?" for n, value in wanted.items() if _UNWRITABLE.search(value) or n not in BY_NAME),
        "",
    )


def directive(name: str, value: str) -> str:
    """Write one option so that sbatch reads this value and nothing else from the line.

    Args:
        name: Long name of an option of sbatch.
        value: Anything but line breaks and NUL (`unwritable`).

    """
    takes = BY_NAME[name].takes
    if takes is Takes.NOTHING or (takes is Takes.MAYBE and not value):
        return f"#SBATCH --{name}"
    return f"#SBATCH --{name}={quoted(value)}"


def quoted(value: str) -> str:
    """Quote *value* for a directive where it needs it."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def own_options(script: str) -> dict[str, str]:
    """Return the options that the script's own directives set, the last of each."""
    return {each.name: each.value for each in _given(script_header.directive_words(script))}


def rewritten(script: str, wanted: Mapping[str, str]) -> str:
    """Return *script* with directives that say *wanted*; what they say already stays as it is.

    Lines without a change, comments and the body are kept byte for byte. A changed option stands
    where its last directive stood, a new one after the last directive.

    Args:
        script: One that sbatch reads (`script_header.read` does not refuse it).
        wanted: By long name; no value has a line break.

    """
    words = script_header.directive_words(script)
    given = _given(words)
    own = {each.name: each.value for each in given}
    changed = {name for name, value in own.items() if wanted.get(name) != value}
    fresh = [name for name in wanted if name not in own]
    if not changed and not fresh:
        return script
    dirty = _dirty_lines(given, changed)
    dirty.update(line for word, line in words if word == "--")  # ends the options: none may follow
    last = {each.name: at for at, each in enumerate(given)}
    new: dict[int, list[str]] = {number: [] for number in dirty}
    for at, each in enumerate(given):
        if each.first not in dirty:
            continue
        if each.name not in changed:
            new[each.first].append(directive(each.name, each.value))
        elif last[each.name] == at and each.name in wanted:
            new[each.first].append(directive(each.name, wanted[each.name]))
    lines = script.split("\n")
    end = max((each.last for each in given), default=1)
    result: list[str] = []
    for number, line in enumerate(lines, 1):
        result += new[number] if number in dirty else [line]
        if number == end:
            result += [directive(name, wanted[name]) for name in fresh]
    if len(lines) == end and fresh and not script.endswith("\n"):
        result.append("")
    return "\n".join(result)


def _given(words: list[tuple[str, int]]) -> list[_Given]:
    """Pair options with values; a value may stand on a later line than its option."""
    texts = [word for word, _ in words]
    read = list(read_words(texts, "Invalid directive found in batch script"))
    begins = {at for _, _, at in read}
    found: list[_Given] = []
    for option, value, at in read:
        after = at + 1
        alone = after >= len(texts) or after in begins or texts[after] == "--"
        first = words[at][1]
        found.append(_Given(option.name, value, first, first if alone else words[after][1]))
    return found


def _dirty_lines(given: list[_Given], changed: set[str]) -> set[int]:
    """Return the lines to write anew: those of a change, and those tied to them."""
    dirty = {number for each in given if each.name in changed for number in each.lines}
    spread = True
    while spread:
        spread = False
        for each in given:
            if not dirty.isdisjoint(each.lines) and not dirty.issuperset(each.lines):
                dirty.update(each.lines)
                spread = True
    return dirty
