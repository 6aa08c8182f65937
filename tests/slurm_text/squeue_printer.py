"""Prints rows by the rule that was measured on squeue 22.05: bytes cut and filled up, no quotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from res_federation.slurm.columns import Column
from res_federation.slurm.squeue import COLUMNS

ROW = {
    "JobID": "7", "ArrayJobID": "7", "ArrayTaskID": "N/A", "State": "RUNNING", "NumNodes": "1",
    "NumCPUs": "20", "NumTasks": "1", "TimeLimit": "1:00:00", "SubmitTime": "1795229037",
    "StartTime": "1795229040", "EndTime": "1795232640", "exit_code": "0",
    "PriorityLong": "4294901759", "tres-alloc": "cpu=20,mem=100G,node=1,billing=20",
    "tres-per-job": "N/A", "tres-per-node": "N/A", "tres-per-socket": "N/A",
    "tres-per-task": "N/A", "Reason": "None", "Reservation": "(null)", "UserName": "resfed",
    "Account": "(null)", "QOS": "normal", "Dependency": "(null)", "NodeList": "mn5-acc1",
    "Partition": "acc", "Name": "job", "Comment": "(null)",
}  # fmt: skip


def raw(row: Mapping[str, str | bytes], columns: Sequence[Column] = COLUMNS) -> bytes:
    """Return one row, as squeue writes it."""
    cells = []
    for name, width in columns:
        value = {**ROW, **row}[name]
        cell = value if isinstance(value, bytes) else value.encode()
        cells.append(cell[:width].ljust(width) if width else cell)
    return b"|".join(cells) + b"\n"


def lines(*rows: Mapping[str, str | bytes]) -> str:
    """Return what the agent makes of the bytes of these rows."""
    return b"".join(raw(row) for row in rows).decode(errors="replace")
