"""The queue: one call for all jobs, and what it says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from res_federation.errors import InvalidArgument
from res_federation.slurm import arrays, columns, durations, slurm_states, slurm_times, tres
from res_federation.slurm.columns import Column
from res_federation.slurm.slurm_states import Phase, SlurmState
from res_federation.slurm.tres import Tres

# Width 0 prints all of a value and no blanks. Name and comment are people's own, and are cut at
# a fixed width: see columns.py. No other column can hold a bar or a newline.
COLUMNS: tuple[Column, ...] = (
    *((name, 0) for name in (
        "JobID", "ArrayJobID", "ArrayTaskID", "State", "NumNodes", "NumCPUs", "NumTasks",
        "TimeLimit", "SubmitTime", "StartTime", "EndTime", "exit_code", "PriorityLong",
        "tres-alloc", "tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task",
        "Reason", "Reservation", "UserName", "Account", "QOS", "Dependency", "NodeList",
        "Partition",
    )),
    ("Name", 48), ("Comment", 64),
)  # fmt: skip
"""Columns of ``squeue -O``, with how many bytes each takes."""
_NONE = frozenset({"", "N/A", "(null)", "None"})
_NO_TRES = Tres()
_LONGEST_TASKS = 16 * 1024


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job, an array's task, or tasks of an array that wait together.

    Attributes:
        number: Slurm's number; a controller that was killed may give it away again.
        array_number: Number of its array, None without one.
        array: Which tasks: ``3`` or ``5-9,12%2``; "" without an array.
        name: ``--job-name``.
        comment: ``--comment``.
        user: Local account.
        account: Slurm account.
        partitions: Where it may run, or runs.
        qos: Quality of service.
        state: Slurm's state.
        reason: Why it waits, or how it ended.
        nodes: Nodes that it asks for or has.
        cores: Cores in all.
        tres: What it asks for or has.
        time_limit_s: Seconds, None where there is no limit.
        submitted: UTC seconds.
        started: UTC seconds, None before.
        expected_start: When Slurm thinks that it starts, or None.
        ended: UTC seconds, None before the end.
        node_list: Where it runs, as Slurm writes it.
        priority: Slurm's priority.
        exit_code: What the batch script returned, None before the end.
        signal: Number of the signal that ended it, or 0.
        reservation: Reservation that it uses, or "".
        dependency: What it waits for, or "".

    """

    number: int
    state: SlurmState
    name: str = ""
    comment: str = ""
    array_number: int | None = None
    array: str = ""
    user: str = ""
    account: str = ""
    partitions: tuple[str, ...] = ()
    qos: str = ""
    reason: str = ""
    nodes: int = 0
    cores: int = 0
    tres: Tres = _NO_TRES
    time_limit_s: int | None = None
    submitted: int | None = None
    started: int | None = None
    expected_start: int | None = None
    ended: int | None = None
    node_list: str = ""
    priority: int | None = None
    exit_code: int | None = None
    signal: int = 0
    reservation: str = ""
    dependency: str = ""

    def array_indices(self) -> tuple[int, ...]:
        """Return the tasks of the array that this is about; () without an array."""
        return array_indices(self.array)


def array_indices(text: str) -> tuple[int, ...]:
    """Read which tasks of an array; what is no list of them, or too long a one, is ().

    Of a list that Slurm has cut (``1,3,5,7...``: SLURM_BITSTR_LEN) what is whole is read.
    """
    if not text or len(text) > _LONGEST_TASKS:
        return ()
    body, dots, _ = text.partition("...")
    if dots:
        body = body.rpartition(",")[0]
    try:
        return arrays.read(body).indices
    except InvalidArgument:
        return ()


def argv(names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command: all jobs of this cluster, or those of these names; ended ones too."""
    form = ",".join(f"{name}:{width}|" for name, width in COLUMNS[:-1])
    name, width = COLUMNS[-1]
    chosen = (f"--name={','.join(names)}",) if names else ()
    return ("squeue", "-h", "-a", "-t", "all", "--local", *chosen, "-O", f"{form},{name}:{width}")


def read(
    text: str, utc_offset_s: int = 0, *, form: Sequence[Column] = COLUMNS
) -> tuple[tuple[QueuedJob, ...], int]:
    """Read what `argv` printed, or what ``-O`` with other columns and ``|`` between them did.

    Returns:
        The jobs, and how many lines could not be read.

    """
    rows, bad = columns.read(text, form)
    found = [job for row in rows if (job := of_row(row, utc_offset_s)) is not None]
    return tuple(found), bad + len(rows) - len(found)


def of_row(row: Mapping[str, str], utc_offset_s: int = 0) -> QueuedJob | None:
    """Return the job of one row by squeue's own column names, None without a number."""
    number = count(row.get("JobID", ""))
    if number is None:
        return None
    state = slurm_states.read(row.get("State", ""))
    waits = state.phase is Phase.WAITING
    start = slurm_times.read(row.get("StartTime", ""), utc_offset_s)
    array_number, array = _array(row)
    over = state.phase is Phase.OVER
    code, signal = exit_of(count(row.get("exit_code", ""))) if over else (None, 0)
    return QueuedJob(
        number=number,
        state=state,
        name=row.get("Name", ""),
        comment=word(row.get("Comment", "")),
        array_number=array_number,
        array=array,
        user=row.get("UserName", ""),
        account=word(row.get("Account", "")),
        partitions=tuple(part for part in row.get("Partition", "").split(",") if part),
        qos=word(row.get("QOS", "")),
        reason=word(row.get("Reason", "")),
        nodes=count(row.get("NumNodes", "")) or 0,
        cores=count(row.get("NumCPUs", "")) or 0,
        tres=with_gpus(row),
        time_limit_s=_limit(row.get("TimeLimit", "")),
        submitted=slurm_times.read(row.get("SubmitTime", ""), utc_offset_s),
        started=None if waits else start,
        expected_start=start if waits else None,
        ended=slurm_times.read(row.get("EndTime", ""), utc_offset_s) if over else None,
        node_list=word(row.get("NodeList", "")),
        priority=count(row.get("PriorityLong", "")),
        exit_code=code,
        signal=signal,
        reservation=word(row.get("Reservation", "")),
        dependency=word(row.get("Dependency", "")),
    )


def _array(row: Mapping[str, str]) -> tuple[int | None, str]:
    """Return the number of the array and the tasks, from whichever columns there are."""
    both = row.get("JobArrayID")
    if both is not None:
        return array_of(both)
    tasks = word(row.get("ArrayTaskID", ""))
    return (count(row.get("ArrayJobID", "")), tasks) if tasks else (None, "")


def array_of(text: str) -> tuple[int | None, str]:
    """Split ``17_[0-20]``, ``3_1``; (None, "") for a job without an array, ``24+1`` too."""
    number, underscore, tasks = text.partition("_")
    if not underscore:
        return None, ""
    return count(number), tasks.removeprefix("[").removesuffix("]")


def exit_of(status: int | None) -> tuple[int | None, int]:
    """Return exit code and signal of a wait status, in which squeue has both in one number."""
    return (None, 0) if status is None else (status >> 8 & 0xFF, status & 0x7F)


def with_gpus(row: Mapping[str, str]) -> Tres:
    """Count accelerators where the cluster does not track them: from what was asked for.

    A socket counts as one a node: how many sockets a job will get is not known before it runs.
    """
    found = tres.read(row.get("tres-alloc", ""))
    if found.gpus:
        return found
    nodes = max(1, count(row.get("NumNodes", "")) or 1)
    tasks = max(1, count(row.get("NumTasks", "")) or 1)
    for column, many in (("tres-per-job", 1), ("tres-per-node", nodes),
                         ("tres-per-socket", nodes), ("tres-per-task", tasks)):  # fmt: skip
        asked = tres.asked_gpus(row.get(column, ""))
        if asked:
            types = tuple((kind, each * many) for kind, each in asked if kind)
            in_all = many * sum(each for _, each in asked)
            return replace(found, gpus=in_all, gpus_by_type=types)
    return found


def word(text: str) -> str:
    """Return *text*, "" for each of Slurm's ways to say that there is nothing."""
    return "" if text in _NONE else text


def count(text: str) -> int | None:
    """Return a whole number of at most 18 digits, None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _limit(text: str) -> int | None:
    seconds = durations.seconds(text)
    return seconds if seconds is not None and seconds >= 0 else None
