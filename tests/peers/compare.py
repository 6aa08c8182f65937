"""The same trace through this simulator, its plain reference and AccaSim: seconds, and who agrees.

``make peers [TRACE=FILE] [FIRST=N]``. AccaSim comes from PyPI into an environment of its own.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from res_federation.simulator.plain_easy import plain_easy
from res_federation.simulator.pool import starts
from res_federation.simulator.pool_state import DISCIPLINES
from res_federation.simulator.traces.read import fit_to, read_trace
from res_federation.simulator.workload import Ints, Workload

PROCESSORS = 100
DEADLINE_S = 1800


def main(trace: Path, first: int, python: str) -> int:
    """Print a table; leaves with 1 if our own two implementations differ."""
    work = fit_to(read_trace(trace, first=first or None), PROCESSORS)
    _say(f"{work.name}: {len(work):,} jobs, {PROCESSORS} processors")
    _say(f"{'what':34} {'seconds':>9} {'jobs/s':>12}  starts like ours")
    good = True
    for discipline in ("fcfs", "easy"):
        ours = _kernel(work, discipline)
        _row(f"{discipline}, kernel, warm", *_timed(partial(_kernel, work, discipline)), ours)
        if discipline == "easy":
            seconds, plain = _timed(lambda: np.array(plain_easy(work, PROCESSORS)))
            _row("easy, plain Python", seconds, plain, ours)
            good = bool((plain == ours).all())
        with tempfile.TemporaryDirectory() as directory:
            seconds, theirs = _accasim(work, discipline, Path(directory), python)
        _row(f"{discipline}, AccaSim 1.1.3", seconds, theirs, ours)
    return 0 if good else 1


def _kernel(work: Workload, discipline: str) -> Ints:
    return starts(
        work.submit, work.runtime, work.procs, work.estimate, PROCESSORS, DISCIPLINES[discipline]
    )


def _timed(run: Callable[[], Ints]) -> tuple[float, Ints]:
    begun = perf_counter()
    found = run()
    return perf_counter() - begun, found


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _row(what: str, seconds: float, found: Ints, ours: Ints) -> None:
    alike = int((found == ours).sum())
    _say(f"{what:34} {seconds:9.3f} {len(ours) / seconds:12,.0f}  {alike:,} of {len(ours):,}")


def _accasim(work: Workload, discipline: str, directory: Path, python: str) -> tuple[float, Ints]:
    """Give AccaSim the jobs as they were cleaned; return its seconds and its starts."""
    trace = directory / "trace.swf"
    rows = zip(work.submit, work.runtime, work.procs, work.estimate, strict=True)
    trace.write_text(
        "".join(
            f"{number} {submit} -1 {run} {procs} -1 -1 {procs} {limit} -1 1 1 1 -1 1 -1 -1 -1\n"
            for number, (submit, run, procs, limit) in enumerate(rows)
        )
    )
    script = Path(__file__).with_name("accasim_run.py")
    argv = [python, str(script), str(trace), str(PROCESSORS), discipline, str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    seconds = float(done.stdout.split("seconds ")[1].split()[0])
    (schedule,) = (directory / "results").glob("sched-*")
    found = np.full(len(work), -1, np.int64)
    for line in schedule.read_text().splitlines():
        number = int(line.split(";", 1)[0])
        begun = line.split("__")[2].split(";")[0]
        at = dt.datetime.strptime(begun, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
        found[number] = int(at.timestamp())
    return seconds, found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
