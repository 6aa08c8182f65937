"""Qualities of service and their limits, from ``sacctmgr``."""

from __future__ import annotations

from res_federation.model.capacity import QosLimit
from res_federation.slurm import durations, tres

_COLUMNS = (
    "name", "maxwall", "maxtresperuser", "maxtres", "maxjobsperuser",
    "maxsubmitjobsperuser", "grptres",
)  # fmt: skip
ARGV = ("sacctmgr", "-nP", "show", "qos", f"format={','.join(_COLUMNS)}")


def read(text: str) -> tuple[QosLimit, ...]:
    """Read limits by name; a line with too few columns is left out, an empty limit is none."""
    found = []
    for line in text.splitlines():
        cells = line.split("|")
        if len(cells) != len(_COLUMNS) or not cells[0].strip():
            continue
        row = dict(zip(_COLUMNS, (cell.strip() for cell in cells), strict=True))
        each, one = tres.read(row["maxtresperuser"]), tres.read(row["maxtres"])
        wall = durations.seconds(row["maxwall"])
        nodes = [many for many in (one.nodes, each.nodes, tres.read(row["grptres"]).nodes) if many]
        found.append(
            QosLimit(
                name=row["name"],
                max_time_s=wall if wall is not None and wall > 0 else None,
                max_nodes=min(nodes, default=None),
                max_jobs=_count(row["maxjobsperuser"]),
                max_submitted=_count(row["maxsubmitjobsperuser"]),
                max_cores=each.cpus or None,
                max_accelerators=each.gpus or None,
            )
        )
    return tuple(sorted(found, key=lambda limit: limit.name))


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
