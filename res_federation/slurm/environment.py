"""The variables that stand for options of sbatch."""

from __future__ import annotations

_SAME_NAME = """
account acctg-freq batch clusters constraint container core-spec cpus-per-gpu delay-boot
distribution error exclusive export get-user-env gpu-bind gpu-freq gpus gpus-per-node
gpus-per-task gres gres-flags hint ignore-pbs input job-name mem-bind mem-per-cpu mem-per-gpu
network no-kill no-requeue open-mode output overcommit partition power profile qos requeue
reservation signal spread-job thread-spec threads-per-core use-min-nodes wait wait-all-nodes wckey
"""

VARIABLES: tuple[tuple[str, str], ...] = (
    ("SLURM_CLUSTERS", "clusters"),
    ("SLURM_HINT", "hint"),
    ("SBATCH_ARRAY_INX", "array"),
    ("SBATCH_MEM_PER_NODE", "mem"),
    ("SBATCH_REQ_SWITCH", "switches"),
    ("SBATCH_TIMELIMIT", "time"),
    *((f"SBATCH_{name.upper().replace('-', '_')}", name) for name in _SAME_NAME.split()),
)
"""Variable and long option name, in the order in which they are read: the later one wins."""
