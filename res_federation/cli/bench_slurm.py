"""This federation beside Slurm's own, on the same three real clusters, turn and turn about.

One job at a time is asked for with `sbatch` on one side and one call of the Python client on the
other (and, told apart, with the command `resfed submit`, which starts Python first); many with
`sbatch` after `sbatch`, and with one bulk call.  Slurm's own federation is the one that the
clusters of the lab form among themselves.  Its scheduler starts a job at once or at its next pass,
so times to the first line have two humps: means are compared; medians and spread are printed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from typing import Any

from res_federation.cli import lab_federation, output
from res_federation.cli.supervisor import RESFED
from res_federation.client.synchronous import Federation
from res_federation.errors import Unavailable
from res_federation.lab import daemons
from res_federation.lab.lab import Cluster, Lab
from res_federation.model.job import JobSpec
from res_federation.model.job_state import JobState

_PATIENCE_S = 120.0
_SETTLE_S = (1.5, 3.5)
"""Pauses between two measures: spread, so that neither side always meets Slurm's clock alike."""
_GOLDEN = 0.618034
"""Multiples of it, modulo 1, lie as evenly as can be."""
_STARTS = 4


def measure(*, repeats: int, jobs: int) -> dict[str, Any]:
    """Return medians, spread and ratios of *repeats* interleaved rounds.

    Raises:
        MissingComponent: If Slurm, munge or MariaDB is not on this machine.
        Unavailable: If the lab or the federation over it does not come up, or a job is stuck.

    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resfed-bench-")))
        lab = stack.enter_context(Lab(federation=True))
        address = stack.enter_context(lab_federation.over(lab, home, output.note))
        federation = stack.enter_context(Federation(address))
        bench = _Bench(lab.clusters[0], federation, address, home)
        bench.native_start()
        bench.own_start()  # both are warm now
        first_lines: dict[str, list[float]] = {"native": [], "own": [], "command": []}
        ends: dict[str, list[float]] = {"native": [], "own": []}
        for turn in range(repeats):
            # who goes first changes, so that neither always finds the other's leftovers
            for _ in range(_STARTS):
                for name in ("native", "own") if turn % 2 else ("own", "native"):
                    start: Callable[[], float] = getattr(bench, f"{name}_start")
                    first_lines[name].append(start())
            first_lines["command"].append(bench.command_start())
        for turn in range(repeats):
            for name in ("native", "own") if turn % 2 else ("own", "native"):
                many: Callable[[int], float] = getattr(bench, f"{name}_many")
                ends[name].append(many(jobs))
        return _result(repeats, jobs, first_lines, ends)


def _result(
    repeats: int, jobs: int, lines: dict[str, list[float]], ends: dict[str, list[float]]
) -> dict[str, Any]:
    return {
        "clusters": 3,
        "repeats": repeats,
        "jobs": jobs,
        "cores": os.cpu_count(),
        **_figures("native_submit_to_first_line_s", lines["native"]),
        **_figures("resfed_submit_to_first_line_s", lines["own"]),
        **_figures("resfed_command_to_first_line_s", lines["command"]),
        "submit_to_first_line_ratio": round(mean(lines["own"]) / mean(lines["native"]), 3),
        "submit_to_first_line_ratio_of_medians": round(
            median(lines["own"]) / median(lines["native"]), 3
        ),
        **_figures("native_end_to_end_s", ends["native"]),
        **_figures("resfed_end_to_end_s", ends["own"]),
        "end_to_end_ratio": round(median(ends["own"]) / median(ends["native"]), 3),
        "targets": {"submit_to_first_line_ratio": 1.5, "end_to_end_ratio": 1.2},
    }


def _figures(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        name: round(mean(values), 3),
        f"{name}_median": round(median(values), 3),
        f"{name}_spread": [round(min(values), 3), round(max(values), 3)],
    }


def _run(argv: Sequence[str], environment: dict[str, str]) -> None:
    done = daemons.run(argv, environment)
    if done.returncode != 0:
        raise Unavailable(f"{argv[0]}: {done.stderr.strip()}")


class _Bench:
    """One job at a time, and many, on either federation."""

    def __init__(self, origin: Cluster, federation: Federation, address: str, home: Path) -> None:
        self._origin, self._federation, self._address = origin, federation, address
        self._home, self._count = home, 0
        self._pauses = 0

    def _settle(self) -> None:
        self._pauses += 1
        least, most = _SETTLE_S
        time.sleep(least + (most - least) * (self._pauses * _GOLDEN % 1.0))

    def _script(self) -> tuple[Path, Path]:
        self._count += 1
        mark = self._home / f"mark.{self._count}"
        script = self._home / f"job.{self._count}"
        script.write_text(f"#!/bin/bash\n#SBATCH --time=5\necho begun > '{mark}'\n")
        return script, mark

    def native_start(self) -> float:
        """Return seconds from `sbatch` to the payload's first line."""
        script, mark = self._script()
        argv = ["sbatch", "--parsable", "--output=/dev/null", str(script)]
        return self._start(lambda: _run(argv, self._origin.environment()), mark)

    def own_start(self) -> float:
        """Return seconds from a call of the client to the payload's first line."""
        script, mark = self._script()
        spec = JobSpec("bench", "bench", script.read_text(), time_limit_s=300)
        return self._start(lambda: self._federation.submit(spec), mark)

    def command_start(self) -> float:
        """Return seconds from `resfed submit` to the payload's first line."""
        script, mark = self._script()
        argv = [*RESFED, "submit", "--parsable", str(script)]
        return self._start(lambda: _run(argv, {"RESFED_BROKER": self._address}), mark)

    def _start(self, submit: Callable[[], object], mark: Path) -> float:
        began = time.perf_counter()
        submit()
        end = began + _PATIENCE_S
        while not mark.exists():
            if time.perf_counter() > end:
                raise Unavailable(f"a job did not begin within {_PATIENCE_S:g} s")
            time.sleep(0.002)
        took = time.perf_counter() - began
        self._settle()  # an idle federation again
        return took

    def native_many(self, jobs: int) -> float:
        """Return seconds from the first `sbatch` until no job of `true` is left."""
        argv = ["sbatch", "--parsable", "--output=/dev/null", "--time=5", "--wrap", "true"]
        began = time.perf_counter()
        for _ in range(jobs):
            if self._origin.run(argv).returncode != 0:
                raise Unavailable("sbatch refused a job of the benchmark")
        look = ["squeue", "-h", "-t", "PENDING,RUNNING,COMPLETING", "-o", "%A"]
        while self._origin.run([*look, "--federation"]).stdout.strip():
            if time.perf_counter() - began > _PATIENCE_S:
                raise Unavailable(f"{jobs} jobs did not end within {_PATIENCE_S:g} s")
            time.sleep(0.05)
        took = time.perf_counter() - began
        self._settle()
        return took

    def own_many(self, jobs: int) -> float:
        """Return seconds from the bulk submit until every job of `true` has COMPLETED."""
        script = "#!/bin/bash\n#SBATCH --time=5\ntrue\n"
        specs = [JobSpec("true", "bench", script, time_limit_s=300) for _ in range(jobs)]
        began = time.perf_counter()
        ids = self._federation.submit_many(specs)
        ended = self._federation.wait(ids, timeout=_PATIENCE_S)
        took = time.perf_counter() - began
        bad = [job for job in ended if job.state is not JobState.COMPLETED]
        if bad:
            raise Unavailable(f"{len(bad)} of {jobs} jobs did not complete: {bad[0].reason}")
        self._settle()
        return took
