"""Everything that a command prints: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def document(value: Any, *, pretty: bool = True) -> None:
    """Print one JSON document."""
    indent = 2 if pretty and sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def line(value: Mapping[str, Any]) -> None:
    """Print one JSON document on a line of its own, at once: for what streams."""
    document(value, pretty=False)
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Print a line for people."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def help_text(text: str) -> None:
    """Print the help of a command, which has many lines."""
    sys.stdout.write(text.rstrip() + "\n")


def note(text: str) -> None:
    """Print a line for people beside the result: on standard error."""
    sys.stderr.write(f"resfed: {printable(text)}\n")
    sys.stderr.flush()


def data(piece: bytes) -> None:
    """Write bytes as they are."""
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def printable(text: str) -> str:
    """Return *text* without control characters: a job's name must not move a terminal's cursor."""
    return (
        "".join(
            char if char.isprintable() or char == " " else "\N{REPLACEMENT CHARACTER}"
            for char in text
        )
        .encode("utf-8", "replace")
        .decode()
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table for people; columns that begin with ``>`` stand to the right."""
    body = [[printable(cell) for cell in row] for row in rows]
    if not body:
        say(empty)
        return
    if sys.stdout.isatty():
        _rich_table(columns, body)
    else:
        _plain_table(columns, body)


def _rich_table(columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich.console import Console  # 50 ms that programs need not wait for

    Console().print(_rich(columns, rows))


def _rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich import table as rich_table  # 50 ms that programs need not wait for
    from rich.text import Text

    shown = rich_table.Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        shown.add_column(
            column.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(Text(printable(cell), style=_STYLES.get(cell, "")) for cell in row))
    return shown


def _plain_table(columns: Sequence[str], rows: list[list[str]]) -> None:
    heads = [column.removeprefix(">") for column in columns]
    widths = [max(len(cell) for cell in cells) for cells in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        cells = [
            cell.rjust(width) if column.startswith(">") else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        say("  ".join(cells).rstrip())


_STYLES = {
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "READY": "green",
    "QUEUED": "yellow",
    "PLACED": "yellow",
    "SUBMITTED": "yellow",
    "STALE": "yellow",
    "DRAINED": "yellow",
    "FAILED": "red",
    "TIMEOUT": "red",
    "NODE_FAIL": "red",
    "OUT_OF_MEMORY": "red",
    "INFEASIBLE": "red",
    "LOST": "red",
    "DISCONNECTED": "red",
}


@dataclass(frozen=True)
class Table:
    """Columns and rows, for `Board`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Board:
    """What is going on: tables that are drawn over on a terminal, lines of progress elsewhere."""

    def __init__(self, draw: Callable[[str, Sequence[Table]], None]) -> None:
        """Draw with *draw*."""
        self._draw = draw

    def show(self, summary: str, tables: Sequence[Table]) -> None:
        """Show the present state: one line, and tables where there is a terminal."""
        self._draw(summary, tables)


@contextmanager
def board(*, quiet: bool) -> Iterator[Board]:
    """Open a board; with *quiet* it shows nothing."""
    if quiet:
        yield Board(lambda summary, tables: None)  # noqa: ARG005 - nothing is what it shows
    elif sys.stdout.isatty():
        with _live_board() as live:
            yield live
    else:
        told = [""]

        def tell(summary: str, tables: Sequence[Table]) -> None:
            del tables
            if summary != told[0]:
                told[0] = summary
                say(summary)

        yield Board(tell)


@contextmanager
def _live_board() -> Iterator[Board]:
    from rich.console import Group  # only a terminal pays for it
    from rich.live import Live
    from rich.text import Text

    with Live(refresh_per_second=4, transient=True) as live:

        def draw(summary: str, tables: Sequence[Table]) -> None:
            bodies = [_rich(table.columns, table.rows) for table in tables]
            spaced = [part for body in bodies for part in (body, Text(""))]
            live.update(Group(*spaced, Text(summary, style="bold")))

        yield Board(draw)
