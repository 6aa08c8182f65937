"""The queue: one call for all jobs, and what it says of each."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.errors import InvalidArgument
from res_federation.slurm import arrays, durations, slurm_states, slurm_times, tres
from res_federation.slurm.slurm_states import SlurmState
from res_federation.slurm.tres import Tres

_COLUMNS = (
    ("JobID", 11), ("ArrayJobID", 11), ("ArrayTaskID", 100), ("State", 14), ("NumNodes", 7),
    ("NumCPUs", 9), ("TimeLimit", 14), ("SubmitTime", 20), ("StartTime", 20), ("EndTime", 20),
    ("exit_code", 6), ("PriorityLong", 11), ("tres-alloc", 160), ("tres-per-node", 64),
    ("tres-per-job", 64), ("Reason", 48), ("Reservation", 32), ("UserName", 33), ("Account", 33),
    ("QOS", 33), ("Dependency", 24), ("NodeList", 160), ("Partition", 64), ("Name", 48),
    ("Comment", 64),
)  # fmt: skip
_NAME, _COMMENT = 48, 64
_NO_TRES = Tres()
_NONE = frozenset({"", "N/A", "(null)", "None"})


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
        exit_code: As Slurm has it, None before the end.
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
    reservation: str = ""
    dependency: str = ""

    def array_indices(self) -> tuple[int, ...]:
        """Return the tasks of the array that this is about; () without an array."""
        return array_indices(self.array)


def array_indices(text: str) -> tuple[int, ...]:
    """Read which tasks of an array; what is no list of them, or too long a one, is ()."""
    if not text:
        return ()
    try:
        return arrays.read(text.replace("...", "")).indices
    except InvalidArgument:
        return ()


def argv() -> tuple[str, ...]:
    """Return the command: all jobs of this cluster, those that ended lately too."""
    form = ",".join(f"{name}:{width}|" for name, width in _COLUMNS)
    return ("squeue", "-h", "-a", "-t", "all", "--local", "-O", form)


def read(text: str, utc_offset_s: int = 0) -> tuple[tuple[QueuedJob, ...], int]:
    """Read what `argv` printed: the jobs, and how many lines could not be read."""
    found: list[QueuedJob] = []
    bad = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        job = _job(line, utc_offset_s)
        if job is None:
            bad += 1
        else:
            found.append(job)
    return tuple(found), bad


def _job(line: str, offset: int) -> QueuedJob | None:
    cells = line.split("|", len(_COLUMNS) - 2)
    if len(cells) != len(_COLUMNS) - 1:
        return None
    rest = cells.pop()
    row = {name: cell.strip() for (name, _), cell in zip(_COLUMNS, cells, strict=False)}
    row["Name"], row["Comment"] = (
        rest[:_NAME].strip(),
        rest[_NAME + 1 : _NAME + 1 + _COMMENT].strip(),
    )
    return of_row(row, offset)


def of_row(row: dict[str, str], utc_offset_s: int = 0) -> QueuedJob | None:
    """Return the job of one row by squeue's own column names, None without a number."""
    number = _count(row.get("JobID", ""))
    if number is None:
        return None
    state = slurm_states.read(row.get("State", ""))
    waits = state.phase is slurm_states.Phase.WAITING
    start = slurm_times.read(row.get("StartTime", ""), utc_offset_s)
    array = _word(row.get("ArrayTaskID", ""))
    over = state.phase is slurm_states.Phase.OVER
    return QueuedJob(
        number=number,
        state=state,
        name=row.get("Name", ""),
        comment=_word(row.get("Comment", "")),
        array_number=_count(row.get("ArrayJobID", "")) if array else None,
        array=array,
        user=row.get("UserName", ""),
        account=_word(row.get("Account", "")),
        partitions=tuple(word for word in row.get("Partition", "").split(",") if word),
        qos=_word(row.get("QOS", "")),
        reason=_word(row.get("Reason", "")),
        nodes=_count(row.get("NumNodes", "")) or 0,
        cores=_count(row.get("NumCPUs", "")) or 0,
        tres=_with_gpus(row),
        time_limit_s=_limit(row.get("TimeLimit", "")),
        submitted=slurm_times.read(row.get("SubmitTime", ""), utc_offset_s),
        started=None if waits else start,
        expected_start=start if waits else None,
        ended=slurm_times.read(row.get("EndTime", ""), utc_offset_s) if over else None,
        node_list=_word(row.get("NodeList", "")),
        priority=_count(row.get("PriorityLong", "")),
        exit_code=_count(row.get("exit_code", "").partition(":")[0]) if over else None,
        reservation=_word(row.get("Reservation", "")),
        dependency=_word(row.get("Dependency", "")),
    )


def _with_gpus(row: dict[str, str]) -> Tres:
    """Count accelerators where the cluster does not track them: from what was asked for."""
    found = tres.read(row.get("tres-alloc", ""))
    if found.gpus:
        return found
    nodes = _count(row.get("NumNodes", "")) or 1
    each, in_all = _gpus(row.get("tres-per-node", "")), _gpus(row.get("tres-per-job", ""))
    count = in_all or each * nodes
    if not count:
        return found
    return Tres(found.cpus, found.nodes, found.memory_mib, count, (), found.licenses, found.other)


def _gpus(text: str) -> int:
    total = 0
    for part in text.split(","):
        words = [
            word for word in part.replace("=", ":").split(":") if word not in ("gres", "gres/gpu")
        ]
        if "gpu" not in part:
            continue
        last = words[-1].partition("(")[0] if words else ""
        total += int(last) if last.isascii() and last.isdigit() and len(last) < 7 else 1
    return total


def _word(text: str) -> str:
    return "" if text in _NONE else text


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _limit(text: str) -> int | None:
    seconds = durations.seconds(text)
    return seconds if seconds is not None and seconds >= 0 else None
