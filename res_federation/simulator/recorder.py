"""Write a replay's files so that what is there is whole: ``summary.json`` comes last.

Every file is written under another name and takes its own in one step.  A summary that was there
before is taken away first, so that it never stands beside another replay's jobs.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.simulator.measures import file_order
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.production import Decision
from res_federation.simulator.report_files import COLUMNS, GROUPS_FILE, JOBS_FILE, SUMMARY_FILE
from res_federation.simulator.workload import Ints

_QUOTED = frozenset(',"\r\n')


def ready(directory: Path) -> None:
    """Make *directory* and see that files can be written there, before the work is done.

    Raises:
        InvalidArgument: If it cannot be.

    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise InvalidArgument(
            f"nothing can be written in '{directory}': {error.strerror}",
            field="--out",
            way_out="name a directory of your own",
        ) from None


def record(directory: Path, outcome: Outcome, summary: Mapping[str, Any]) -> None:
    """Write ``jobs.csv``, ``groups.csv`` where groups are known, and ``summary.json``.

    Jobs are in the order of the trace's lines; a job that never ran has no site, start and end.

    Raises:
        InvalidArgument: If the files cannot be written.

    """
    ready(directory)
    order = file_order(outcome.workload)
    ids = _cells(outcome.workload.job_ids[order].tolist())
    try:
        (directory / SUMMARY_FILE).unlink(missing_ok=True)
        (directory / GROUPS_FILE).unlink(missing_ok=True)
        with _whole(directory / JOBS_FILE) as file:
            file.write(",".join(COLUMNS) + "\n")
            file.write(_lines(outcome, order, ids))
        if (outcome.workload.group >= 0).any():
            with _whole(directory / GROUPS_FILE) as file:
                file.write("job_id,group\n")
                file.write(_group_lines(outcome, order, ids))
        with _whole(directory / SUMMARY_FILE) as file:
            file.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InvalidArgument(
            f"'{directory}' cannot be written: {error.strerror}", field="--out"
        ) from None


def record_decisions(
    directory: Path, decisions: Sequence[Decision], summary: Mapping[str, Any]
) -> None:
    """Write ``decisions.csv`` (``at,job,partition,decision``) and ``summary.json``.

    A decision is in hexadecimal, every byte; a job that was not placed has no partition.

    Raises:
        InvalidArgument: If the files cannot be written.

    """
    ready(directory)
    try:
        (directory / SUMMARY_FILE).unlink(missing_ok=True)
        with _whole(directory / "decisions.csv") as file:
            file.write("at,job,partition,decision\n")
            for one in decisions:
                file.write(f"{one.at:.3f},{one.job},{one.partition},{one.decision.hex()}\n")
        with _whole(directory / SUMMARY_FILE) as file:
            file.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InvalidArgument(
            f"'{directory}' cannot be written: {error.strerror}", field="--out"
        ) from None


@contextmanager
def _whole(file: Path) -> Iterator[IO[str]]:
    """Open a file that takes its name when it is whole, and leaves nothing otherwise."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as stream:
            yield stream
        os.chmod(name, 0o666 & ~_mask())  # noqa: PTH101 - as `open` would have made it
        os.replace(name, file)  # noqa: PTH105 - the name is a string here
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _lines(outcome: Outcome, order: Ints, ids: Sequence[str]) -> str:
    places = [*_cells([f"{place.site}" for place in outcome.places])]
    where = [
        f"{site},{partition}"
        for site, partition in zip(
            places, _cells([place.partition for place in outcome.places]), strict=True
        )
    ]
    where.append(",")  # -1: nowhere
    submit, procs = outcome.workload.submit[order].tolist(), outcome.workload.procs[order].tolist()
    start, end = outcome.start[order].tolist(), outcome.end[order].tolist()
    place = outcome.place[order].tolist()
    rows = zip(ids, place, submit, start, end, procs, strict=True)
    if (outcome.start >= 0).all():
        return "".join([f"{i},{where[w]},{s},{b},{e},{p}\n" for i, w, s, b, e, p in rows])
    return "".join(
        [
            f"{i},{where[w]},{s},{b},{e},{p}\n" if b >= 0 else f"{i},,,{s},,,{p}\n"
            for i, w, s, b, e, p in rows
        ]
    )


def _group_lines(outcome: Outcome, order: Ints, ids: Sequence[str]) -> str:
    group = outcome.workload.group[order]
    names = list(outcome.workload.groups)
    names += [str(number) for number in range(len(names), int(np.max(group)) + 1)]
    cells = [*_cells(names), ""]  # -1: not known
    return "".join([f"{i},{cells[g]}\n" for i, g in zip(ids, group.tolist(), strict=True)])


def _cells(values: Sequence[Any]) -> list[str]:
    """Return values as cells of a CSV file, quoted where they need it."""
    if all(isinstance(value, int) for value in values):
        return [str(value) for value in values]
    return [
        '"' + text.replace('"', '""') + '"' if _QUOTED & set(text) else text
        for text in map(str, values)
    ]
