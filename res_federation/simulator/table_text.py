"""A table of policies as Markdown, as JSON, and inside a page that people write."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from res_federation.config.campaigns import FRESH, Campaign
from res_federation.errors import InvalidArgument
from res_federation.simulator.table import Line, Table

_HEADS = {
    "mean_wait": "wait", "mean_bounded_slowdown": "slowdown", "p95_wait": "p95",
    "widest_mean_wait": "widest", "max_wait": "longest",
    "federated_mean_wait": "federated", "local_mean_wait": "local",
}  # fmt: skip
_WORDS = {
    **{key: f"{word} (ratio)" for key, word in _HEADS.items()},
    "longer_share": "part of the cases with a longer mean wait",
    "long_losses": "longer cases among those with long waits",
    "worst": "wait in the worst case (ratio)",
    "to_first_condition": "wait over that with fresh news",
    "never_ran": "jobs that never ran",
}  # fmt: skip


def document(table: Table) -> dict[str, Any]:
    """Return all of a table for programs."""
    campaign = table.campaign
    return {
        "campaign": campaign.name,
        "title": campaign.title,
        "baseline": campaign.baseline,
        "least_wait": campaign.least_wait_s,
        "long_wait": campaign.long_wait_s,
        "cases": {
            "counted": list(table.counted),
            "left_out": list(table.left_out),
            "unfinished": list(table.unfinished),
        },
        "lines": [
            {**asdict(line), "command": line_command(campaign, line)} for line in table.lines
        ],
        "targets": [
            {**asdict(each.target), "found": each.found, "met": each.met} for each in table.judged
        ],
        "replays": {name: list(found) for name, found in table.figures.items()},
        "missing": list(table.ran.missing),
        "failed": dict(table.ran.failed),
        "resumed": table.ran.resumed,
        "not_done": table.ran.left,
    }


def line_command(campaign: Campaign, line: Line) -> str:
    """Return the command that makes one line of the table."""
    return shlex.join(
        ["resfed", "table", str(campaign.file), "--policies", line.policy, "--out", "results"]
    )


def markdown(table: Table) -> str:
    """Return a table for people, without a heading."""
    parts = [_summary(table), _rows(_head(table), [_row(table, line) for line in table.lines])]
    worst = [[_name(table, line), line.worst or "-", _number(line.worst_ratio),
              ", ".join(line.long_losses) or "none"] for line in table.lines]  # fmt: skip
    long = f"longer though the baseline waits above {table.campaign.long_wait_s / 60:g} min"
    parts.append(_rows(["policy", "worst case", "its ratio", long], worst))
    if table.judged:
        rows = [
            [
                each.target.policy, each.target.condition, _figure(each.target.figure),
                f"{each.target.at_most:g}", _number(each.found),
                "-" if each.met is None else "yes" if each.met else "**no**",
            ]
            for each in table.judged
        ]  # fmt: skip
        parts.append(_rows(["policy", "news", "asked for", "at most", "found", "met"], rows))
    return "\n\n".join(parts) + "\n"


def _summary(table: Table) -> str:
    campaign = table.campaign
    text = (
        f"{len(table.counted)} cases; {len(table.left_out)} more are left out, whose mean wait"
        f" under `{campaign.baseline}` is below {campaign.least_wait_s:g} s. Geometric means of"
        f" ratios to `{campaign.baseline}`. Made by `resfed table {campaign.file}`, one line by"
        f" adding `--policies POLICY`; `{campaign.name}/table.json` has the `resfed compare` of"
        " every replay."
    )
    if table.ran.missing:
        text += f" Without {', '.join(table.ran.missing)}, which was not there."
    lacking = len(table.ran.failed) + table.ran.left
    if lacking:
        text += f" **{lacking} replays are not done: each line has its own number of cases.**"
    return text


def _with(table: Table) -> dict[str, bool]:
    """Tell which of the columns that are not always there this table has."""
    lines = table.lines
    return {
        "news": len(table.campaign.conditions) > 1 or table.campaign.conditions[0].name != FRESH,
        "share": any(line.ratios["federated_mean_wait"] is not None for line in lines),
        "silent": any(each.silent for each in table.campaign.conditions),
        "cases": any(line.cases != len(table.counted) for line in lines),
    }


def _head(table: Table) -> list[str]:
    has = _with(table)
    keys = [key for key in _HEADS if has["share"] or key.split("_")[0] not in _SHARED]
    head = ["policy", *(["news"] if has["news"] else []), *(_HEADS[key] for key in keys)]
    head += ["longer", *(f"to {name}" for name in table.campaign.versus)]
    head += ["to fresh"] if has["news"] else []
    head += ["silent", "busiest", "never ran"] if has["silent"] else []
    head += ["cases"] if has["cases"] else []
    return head


_SHARED = ("federated", "local")


def _row(table: Table, line: Line) -> list[str]:
    has = _with(table)
    keys = [key for key in _HEADS if has["share"] or key.split("_")[0] not in _SHARED]
    row = [f"`{line.policy}`", *([line.condition] if has["news"] else [])]
    row += [_number(line.ratios[key]) for key in keys]
    share = "-" if line.longer_share is None else f"{line.longer_share:.0%}"
    row += [share, *(_number(line.versus.get(name)) for name in table.campaign.versus)]
    row += [_number(line.to_first_condition)] if has["news"] else []
    if has["silent"]:
        row += [_number(line.during), _number(line.busiest), str(line.never_ran)]
    row += [str(line.cases)] if has["cases"] else []
    return row


def _name(table: Table, line: Line) -> str:
    return f"`{line.policy}`" + (f", {line.condition}" if _with(table)["news"] else "")


def _figure(figure: str) -> str:
    return _WORDS.get(figure, f"wait over that of `{figure.partition(':')[2]}`")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2f}"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines
    )


def places(page: Path, names: Sequence[str]) -> str:
    """Return the text of a page that has places for tables.

    Raises:
        InvalidArgument: If it cannot be read, or has no place for any of *names*.

    """
    try:
        text = page.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidArgument(f"'{page}' cannot be read: {why}", field="--update") from None
    if not any(_end(name) in text.partition(_begin(name))[2] for name in names):
        raise InvalidArgument(
            f"'{page}' has no place for '{names[0]}'",
            field="--update",
            way_out="add the lines <!-- table: NAME --> and <!-- end: NAME --> to it",
        )
    return text


def _begin(name: str) -> str:
    return f"<!-- table: {name} -->\n"


def _end(name: str) -> str:
    return f"<!-- end: {name} -->"


def update(page: Path, found: Mapping[str, str]) -> list[str]:
    """Put tables between their marks in a page that people write; return the names that it has.

    The marks of ``owned`` are the lines ``<!-- table: owned -->`` and ``<!-- end: owned -->``.

    Args:
        page: A Markdown file.
        found: Markdown by name.

    Raises:
        InvalidArgument: If the page cannot be read or written, or has no place for any of them.

    """
    text, put = places(page, list(found)), []
    for name, table in found.items():
        before, begin, rest = text.partition(_begin(name))
        _old, end, after = rest.partition(_end(name))
        if end:
            text = f"{before}{begin}{table}{end}{after}"
            put.append(name)
    try:
        page.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidArgument(
            f"'{page}' cannot be written: {error.strerror}", field="--update"
        ) from None
    return put
