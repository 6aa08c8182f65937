"""The jobs of a campaign: each payload leaves a line when it begins and one when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from res_federation.client.scripts import job_from_script
from res_federation.model.job import JobSpec

FAILS_WITH = 3
_SCRIPT = """\
#!/bin/bash
mark={marks}/$RESFED_JOB.${{SLURM_ARRAY_TASK_ID:-batch}}
echo "begin $RESFED_RUN $SLURM_JOB_ID" >> $mark
sleep {pause}
echo "end $RESFED_RUN $SLURM_JOB_ID" >> $mark
exit {code}
"""
_KINDS = {
    "plain": 52, "wide": 12, "fails": 10, "array": 8, "gpu": 8, "cancelled": 6, "requeue": 4,
}  # fmt: skip
"""Kinds and how often, in percent."""


@dataclass(frozen=True, slots=True)
class Order:
    """One job that is to be submitted.

    Attributes:
        kind: A word of `_KINDS`.
        key: Its idempotency key: however often it is sent, it is one job.
        spec: What is submitted.
        cancel_after_s: When its user cancels it, seconds after the submission, or None.

    """

    kind: str
    key: str
    spec: JobSpec
    cancel_after_s: float | None = None


def orders(count: int, marks: Path, random: Random) -> list[Order]:
    """Return *count* jobs that leave their marks in a directory."""
    kinds = random.choices(list(_KINDS), list(_KINDS.values()), k=count)
    return [_order(kind, number, marks, random) for number, kind in enumerate(kinds)]


def _order(kind: str, number: int, marks: Path, random: Random) -> Order:
    options = ["-t", "2", "--mem=100M", "-J", f"chaos-{number}"]
    pause = random.choice((0.0, 0.2, 0.5, 1.0, 2.0, 3.0))
    match kind:
        case "wide":  # takes a node to itself: others queue behind it at the site
            options += ["-n", "4"]
        case "array":
            options += [f"--array=0-{random.randint(1, 5)}"]
            options[-1] += random.choice(("", "%2"))
        case "gpu":
            options += ["--gres=gpu:1"]
        case "requeue":
            options += ["--requeue"]
        case _:
            pass
    code = FAILS_WITH if kind == "fails" else 0
    script = _SCRIPT.format(marks=marks, pause=pause, code=code)
    spec = job_from_script(script, options=options, environment={}, user="chaos")
    after = random.uniform(0.0, 8.0) if kind == "cancelled" else None
    return Order(kind, f"chaos-{number}", spec, after)


def payload_lines(marks: Path, job: str, task: int) -> Counter[str]:
    """Return how often a task's payload began and ended."""
    name = "batch" if task < 0 else str(task)
    try:
        lines: Sequence[str] = (marks / f"{job}.{name}").read_text().splitlines()
    except FileNotFoundError:
        lines = ()
    return Counter(line.split()[0] for line in lines if line.strip())
