"""What the accounting remembers of jobs that squeue does not list any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from res_federation.slurm import slurm_states, slurm_times
from res_federation.slurm.slurm_states import SlurmState
from res_federation.slurm.squeue import array_indices

_COLUMNS = ("JobIDRaw", "JobID", "State", "ExitCode", "Reason", "Submit", "Start", "End",
            "NodeList", "JobName", "Comment")  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountedJob:
    """One job (or array task) as the accounting has it; fields as in `squeue.QueuedJob`."""

    number: int
    state: SlurmState
    name: str = ""
    comment: str = ""
    array_number: int | None = None
    array: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: int = 0
    submitted: int | None = None
    started: int | None = None
    ended: int | None = None
    node_list: str = ""

    def array_indices(self) -> tuple[int, ...]:
        """Return the tasks of the array that this is about; () without an array."""
        return array_indices(self.array)


def argv(names: Sequence[str], since: str) -> tuple[str, ...]:
    """Return the command for all jobs of these names that were there since then."""
    columns = ",".join(_COLUMNS)
    return ("sacct", "-a", "-n", "-X", "-D", "-P", "--name=" + ",".join(names), "-S", since,
            "-o", columns)  # fmt: skip


def read(text: str, utc_offset_s: int = 0) -> tuple[tuple[AccountedJob, ...], int]:
    """Read what `argv` printed: the jobs, and how many lines could not be read."""
    found: list[AccountedJob] = []
    bad = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        cells = line.split("|", len(_COLUMNS) - 1)
        job = _job(dict(zip(_COLUMNS, cells, strict=False)), utc_offset_s)
        if len(cells) < len(_COLUMNS) - 1 or job is None:
            bad += 1
        else:
            found.append(job)
    return tuple(found), bad


def _job(row: dict[str, str], offset: int) -> AccountedJob | None:
    number = _count(row["JobIDRaw"])
    if number is None:
        return None
    array_number, underscore, array = row.get("JobID", "").partition("_")
    code, _, signal = row.get("ExitCode", "").partition(":")
    return AccountedJob(
        number=number,
        state=slurm_states.read(row.get("State", "")),
        name=row.get("JobName", ""),
        comment=row.get("Comment", ""),
        array_number=_count(array_number) if underscore else None,
        array=array.strip("[]") if underscore else "",
        reason=_word(row.get("Reason", "")),
        exit_code=_count(code),
        signal=_count(signal) or 0,
        submitted=slurm_times.read(row.get("Submit", ""), offset),
        started=slurm_times.read(row.get("Start", ""), offset),
        ended=slurm_times.read(row.get("End", ""), offset),
        node_list="" if row.get("NodeList") == "None assigned" else row.get("NodeList", ""),
    )


def _word(text: str) -> str:
    return "" if text in ("", "None", "(null)") else text


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
