"""What of ``scontrol show config`` matters to an agent."""

from __future__ import annotations

import re
from dataclasses import dataclass

from res_federation.slurm import durations, slurm_times

ARGV = ("scontrol", "show", "config")
_LINE = re.compile(r"^[ \t]*([A-Za-z]\w*(?:\[\d+\])?)[ \t]*=[ \t]?(.*?)[ \t\r]*$", re.MULTILINE)
_NUMBER = re.compile(r"(\d{1,12})(?:\s+\w+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SlurmConfig:
    """The cluster's name, version and limits.

    Attributes:
        cluster: ``ClusterName``.
        version: Such as ``22.05.8``.
        max_array_size: ``MaxArraySize``: the largest index is one less; 0 where it is not told.
        memory_counted: Whether jobs are given memory (``CR_*_Memory``).
        whole_nodes: Whether every job gets whole nodes (``select/linear``).
        accounting: Whether an accounting is kept.
        accelerators_accounted: Whether the accounting tracks ``gres/gpu``.
        comment_stored: Whether the accounting keeps comments (``job_comment``).
        federation: ``FederationParameters``, or "".
        kill_wait_s: Seconds between SIGTERM and SIGKILL at the end of a time limit.
        min_job_age_s: How long the controller remembers a job that ended.
        message_timeout_s: How long a command waits for the controller.
        requeue: Whether Slurm may start a job again that did not forbid it.
        user_top: Whether users may put their own waiting jobs into another order
            (``SchedulerParameters=enable_user_top``).
        age_points_per_s: Points of priority that a job gains with each second of its wait, until
            ``PriorityMaxAge`` (``priority/multifactor``); 0 where age alone says nothing.
        booted: UTC seconds when the controller that answers was started, or None.

    """

    cluster: str = ""
    version: str = ""
    max_array_size: int = 0
    memory_counted: bool = True
    whole_nodes: bool = False
    accounting: bool = False
    accelerators_accounted: bool = False
    comment_stored: bool = False
    federation: str = ""
    kill_wait_s: int = 30
    min_job_age_s: int = 300
    message_timeout_s: int = 10
    requeue: bool = True
    user_top: bool = False
    age_points_per_s: float = 0.0
    booted: int | None = None


def read(text: str) -> SlurmConfig:
    """Read the configuration; what is not there keeps Slurm's own default."""
    found: dict[str, str] = {}
    for key, value in _LINE.findall(text):
        found.setdefault(key, "" if value in ("(null)", "N/A") else value)
    tracked = found.get("AccountingStorageTRES", "").split(",")
    return SlurmConfig(
        cluster=found.get("ClusterName", ""),
        version=found.get("SLURM_VERSION", ""),
        max_array_size=_number(found, "MaxArraySize", 0),
        memory_counted="MEMORY" in found.get("SelectTypeParameters", "CR_CORE_MEMORY").upper(),
        whole_nodes=found.get("SelectType", "") == "select/linear",
        accounting="slurmdbd" in found.get("AccountingStorageType", ""),
        accelerators_accounted="gres/gpu" in tracked,
        comment_stored="job_comment" in found.get("AccountingStoreFlags", ""),
        federation=found.get("FederationParameters", ""),
        kill_wait_s=_number(found, "KillWait", 30),
        min_job_age_s=_number(found, "MinJobAge", 300),
        message_timeout_s=_number(found, "MessageTimeout", 10),
        requeue=_number(found, "JobRequeue", 1) != 0,
        user_top="enable_user_top" in found.get("SchedulerParameters", "").split(","),
        age_points_per_s=_age_points(found),
        booted=slurm_times.read(found.get("BOOT_TIME", "")),
    )


def _age_points(found: dict[str, str]) -> float:
    most = durations.seconds(found.get("PriorityMaxAge", "7-00:00:00"))
    if found.get("PriorityType", "") != "priority/multifactor" or not most or most < 0:
        return 0.0
    return _number(found, "PriorityWeightAge", 0) / most


def _number(found: dict[str, str], key: str, default: int) -> int:
    number = _NUMBER.fullmatch(found.get(key, ""))
    return int(number[1]) if number else default
