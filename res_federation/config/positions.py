"""On which line of a TOML file a key stands: tomllib reads values and forgets their places.

Only what the catalogue's files use is followed closely (tables, arrays of tables, keys, strings
and arrays over several lines); anything else falls back to the line of the table around it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]
"""Keys and indices from the top, as pydantic gives them: ``("partition", 2, "memory")``."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=(.*)$""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


class Positions:
    """Lines of the keys of one file, counted from 1."""

    def __init__(self, text: str) -> None:
        """Scan *text*; never fails, whatever it is."""
        self.lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._table: Path = ()
        self._open = ""  # what a value over several lines still waits for
        for number, line in enumerate(text.splitlines(), start=1):
            self._scan(line, number)

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of *path*, or of the nearest thing around it; 1 for the file."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(tuple(path[:length]))
            if found is not None:
                return found
        return 1

    def _scan(self, line: str, number: int) -> None:
        if self._open:
            self._close(line)
            return
        header = _HEADER.match(line)
        if header:
            self._enter(_parts(header[2]), number, array=header[1] == "[[")
            return
        pair = _KEY.match(line)
        if pair:
            path = self._table
            for part in _parts(pair[1]):
                path = (*path, part)
                self.lines.setdefault(path, number)
            self._begin(pair[2])

    def _enter(self, parts: tuple[str, ...], number: int, *, array: bool) -> None:
        path: Path = ()
        for part in parts[:-1]:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, parts[-1])
        self.lines.setdefault(path, number)
        if array:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = (*path, index)
            self.lines[path] = number
        self._table = path

    def _begin(self, value: str) -> None:
        for quote in ('"""', "'''"):
            if value.strip().startswith(quote):
                if value.count(quote) == 1:
                    self._open = quote
                return
        self._depth(value)

    def _close(self, line: str) -> None:
        if self._open in ('"""', "'''"):
            if self._open in line:
                self._open = ""
            return
        self._depth(line)

    def _depth(self, text: str) -> None:
        bare = _QUOTED.sub("", text).partition("#")[0]
        depth = len(self._open) + bare.count("[") - bare.count("]")
        self._open = "[" * max(depth, 0)
