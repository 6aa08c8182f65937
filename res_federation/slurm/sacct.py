"""What the accounting remembers of jobs that squeue does not list any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from res_federation.slurm import slurm_states, slurm_times, tres
from res_federation.slurm.slurm_states import SlurmState
from res_federation.slurm.squeue import array_indices, array_of, count
from res_federation.slurm.tres import Tres

COLUMNS = ("JobIDRaw", "JobID", "User", "Account", "Partition", "State", "ExitCode", "Reason",
           "Submit", "Start", "End", "NodeList", "AllocTRES", "JobName", "Comment")  # fmt: skip
"""Columns of ``sacct -P``; what people write stands last."""
_NO_TRES = Tres()


@dataclass(frozen=True, slots=True)
class AccountedJob:
    """One job (or array task) as the accounting has it; fields as in `squeue.QueuedJob`."""

    number: int
    state: SlurmState
    name: str = ""
    comment: str = ""
    array_number: int | None = None
    array: str = ""
    user: str = ""
    account: str = ""
    partitions: tuple[str, ...] = ()
    reason: str = ""
    exit_code: int | None = None
    signal: int = 0
    submitted: int | None = None
    started: int | None = None
    ended: int | None = None
    node_list: str = ""
    tres: Tres = _NO_TRES

    def array_indices(self) -> tuple[int, ...]:
        """Return the tasks of the array that this is about; () without an array."""
        return array_indices(self.array)


def argv(
    names: Sequence[str] = (), since: str = "now-1days", *, numbers: Sequence[int] = (),
    user: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """Return the command for all jobs of these names or numbers that were there since then.

    Without either it asks for all jobs. Where *user* is given, jobs of others do not count: they
    may take any name, and write whole lines into a comment.
    """
    whose = (f"--user={user}",) if user else ("-a",)
    chosen = (*((f"--name={','.join(names)}",) if names else ()),
              *((f"--jobs={','.join(map(str, numbers))}",) if numbers else ()))  # fmt: skip
    return ("sacct", *whose, "-n", "-X", "-D", "-P", *chosen, "-S", since,
            "-o", ",".join(COLUMNS))  # fmt: skip


def read(
    text: str, utc_offset_s: int = 0, *, columns: Sequence[str] = COLUMNS, free: str = ""
) -> tuple[tuple[AccountedJob, ...], int]:
    """Read what `argv` printed, or what ``-P`` with other columns did.

    Args:
        text: As printed; a line of headings is no job.
        utc_offset_s: How far local time is ahead, where times are no epoch seconds.
        columns: What was asked for.
        free: The column that bars inside of a line belong to; the last one by default.

    Returns:
        The jobs, and how many lines could not be read.

    """
    found: list[AccountedJob] = []
    bad = 0
    before = columns.index(free) if free in columns else len(columns) - 1
    for line in text.split("\n"):
        cells = line.split("|", before)
        after = len(columns) - 1 - before
        if len(cells) == before + 1:
            cells[before:] = cells[before].rsplit("|", after)
        if not line.strip() or cells == list(columns):
            continue
        job = None
        if len(cells) == len(columns):
            job = _job(dict(zip(columns, cells, strict=True)), utc_offset_s)
        if job is None:
            bad += 1
        else:
            found.append(job)
    return tuple(found), bad


def _job(row: Mapping[str, str], offset: int) -> AccountedJob | None:
    number = count(row.get("JobIDRaw", ""))
    if number is None:
        return None
    array_number, array = array_of(row.get("JobID", ""))
    code, _, signal = row.get("ExitCode", "").partition(":")
    state = slurm_states.read(row.get("State", ""))
    over = state.phase is slurm_states.Phase.OVER
    return AccountedJob(
        number=number,
        state=state,
        name=row.get("JobName", ""),
        comment=row.get("Comment", ""),
        array_number=array_number,
        array=array,
        user=row.get("User", ""),
        account=row.get("Account", ""),
        partitions=tuple(part for part in row.get("Partition", "").split(",") if part),
        reason=_word(row.get("Reason", "")),
        exit_code=count(code) if over else None,
        signal=(count(signal) or 0) if over else 0,
        submitted=slurm_times.read(row.get("Submit", ""), offset),
        started=slurm_times.read(row.get("Start", ""), offset),
        ended=slurm_times.read(row.get("End", ""), offset),
        node_list=_word(row.get("NodeList", "")),
        tres=tres.read(row.get("AllocTRES", "")),
    )


def _word(text: str) -> str:
    return "" if text in ("", "None", "(null)", "None assigned", "Unknown") else text
