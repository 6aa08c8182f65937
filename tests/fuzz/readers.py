"""Everything that reads text from outside: what users write, and what Slurm's commands print."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from res_federation.agent.slurm.wrapper import shell_signal
from res_federation.slurm import (
    arrays,
    durations,
    gres,
    hostlist,
    instants,
    json_jobs,
    licenses,
    memory,
    nodes,
    outcome,
    partitions,
    ping,
    qos_limits,
    reservations,
    sacct,
    script_header,
    slurm_config,
    slurm_states,
    slurm_times,
    squeue,
    tres,
)
from tests.fuzz.scripts import NAMES


def _option(text: str) -> object:
    """Read ``NAME=VALUE`` as sbatch's command line: every reader of an option is behind this."""
    return script_header.read("#!/bin/sh\n", arguments=(f"--{text}",))


def _words(text: str) -> object:
    """Read a directive's words: quotes, backslashes, comments."""
    return script_header.read("#!/bin/sh\n#SBATCH " + text)


READERS: Mapping[str, Callable[[str], object]] = {
    "option": _option,
    "words": _words,
    "script": script_header.read,
    "array": arrays.read,
    "gres": gres.read,
    "gpus": gres.read_gpus,
    "duration": durations.minutes,
    "instant": instants.normal,
    "memory": memory.mebibytes,
    "hosts": hostlist.expand,
    "licenses": licenses.read,
    "tres": tres.read,
    "asked gpus": tres.asked_gpus,
    "squeue": squeue.read,
    "indices": squeue.array_indices,
    "sacct": sacct.read,
    "nodes": nodes.read,
    "node state": nodes.read_state,
    "node gpus": nodes.read_gpus,
    "partitions": partitions.read,
    "reservations": reservations.read,
    "configuration": slurm_config.read,
    "qos": qos_limits.read,
    "state": slurm_states.read,
    "time": slurm_times.read,
    "queue as JSON": json_jobs.read_queue,
    "accounting as JSON": json_jobs.read_accounting,
    "ping": ping.up,
    "outcome": lambda text: outcome.of_submission(1, text, text),
    "signal": shell_signal,
}
SEEDS: Mapping[str, tuple[str, ...]] = {
    "array": ("1-10:2%4", "0-4000000000", "0-99999," * 50, "[1,3]"),
    "gres": ("gpu:a100:2,shard:4", "gpu:1k(S:0-1)", "gres:gpu"),
    "hosts": ("n[01-03,7],login1", "n[0-999999999]", "a[1-9]" + "[1-9]" * 8),
    "duration": ("1-02:03:04", "9" * 40, "UNLIMITED"),
    "instant": ("2026-12-24T18:00:00", "now+2hours", "12/24-18:00"),
    "memory": ("16G", "9" * 40 + "T", "1.5g"),
    "licenses": ("LicenseName=matlab\n    Total=10 Used=0 Free=10 Reserved=0 Remote=no",),
    "tres": ("cpu=8,mem=16G,node=1,billing=8,gres/gpu:a100=2",),
    "nodes": ("NodeName=n1 CPUTot=8 RealMemory=100 State=IDLE+DRAIN Gres=gpu:a100:2(S:0-1)",),
    "partitions": ("PartitionName=p MaxTime=1-00:00:00 State=UP Nodes=n[1-4] TRES=cpu=8",),
    "reservations": ("ReservationName=r StartTime=1 EndTime=2 Nodes=n[1-4] Flags=MAINT",),
    "configuration": ("MaxArraySize            = 1001\nSLURM_VERSION = 22.05.8",),
    "qos": ("normal|1-00:00:00|cpu=4|10|",),
    "queue as JSON": ('{"jobs": [{"job_id": 1, "name": "a", "tres_per_node": "gpu:1"}]}',),
    "option": tuple(f"{name[2:]}=1" for name in NAMES if name.startswith("--")),
    "words": ("\"a b\" 'c' \\# # :", "-J a hetjob", "--mem=8G --time 5"),
}
