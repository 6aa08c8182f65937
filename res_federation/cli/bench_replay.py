"""How fast a trace is replayed on one machine: the kernels beside EASY in plain Python, in turns.

Four measures.  The single-pool EASY loop on the KTH trace, or on one drawn alike where that is not
at hand; a drawn trace of 450,000 jobs whose queue goes beyond 20,000, read from a file, replayed,
summarised and recorded; the time of ever longer traces as a multiple of n log n; and a busy morning
of 14 sites through the production machine.

Everything here runs in one thread, and seconds are those of the processor: what other programs take
meanwhile is not counted.  Where a key says wall, they are those of the clock.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable
from dataclasses import replace
from math import log, log2
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any, TypeVar

import numpy as np

from res_federation.simulator.bench_federation import bench_federation
from res_federation.simulator.generated import Mix, generate
from res_federation.simulator.load import load_of
from res_federation.simulator.measures import Setting, summarise
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.plain_easy import plain_easy
from res_federation.simulator.pool import replay_pool
from res_federation.simulator.recorder import record
from res_federation.simulator.traces.read import fit_to, read_trace
from res_federation.simulator.workload import Workload

KTH = "KTH-SP2-1996-2.1-cln.swf.gz"
KTH_PROCESSORS = 100
LARGE_PROCESSORS = 1024
SITES = 14
_KTH_JOBS = 28_476
_KTH_SPAN_S = 333 * 86400
# fitted to the trace: sizes, median and spread of run times, and below its load
LIKE_KTH = Mix(
    "like-kth", largest=100, powers_of_two=0.75, median_s=847.0, spread=2.9, longest_s=226_709
)
_KTH_LOAD = 0.70
_MIXED = Mix("mixed", largest=512)
_CURVE = range(12, 19)
_REPEATS_OF_PLAIN = 3

Result = TypeVar("Result")


def measure(*, trace: Path | None, jobs: int, repeats: int, federation_jobs: int) -> dict[str, Any]:
    """Return the figures; *repeats* rounds of the small measures, one of the large.

    The federation is left out with no *federation_jobs*.

    Raises:
        InvalidArgument: If *trace* cannot be read.

    """
    work = _kth(trace)
    cold, _ = _timed(lambda: replay_pool(drawn(_MIXED, 64, 1), LARGE_PROCESSORS, "easy"))
    result: dict[str, Any] = {"cores": os.cpu_count(), "cold_first_replay_s": round(cold, 3)}
    result |= _single_pool(work, repeats)
    result |= _large(jobs)
    result |= _curve(jobs, repeats)
    if federation_jobs:
        result |= _federation(federation_jobs)
    result["targets"] = {
        "easy_jobs_per_s": 1_000_000,
        "large_total_s": 6.0,
        "federation_jobs_per_s": 15_000,
        "federation_peak_gib": 3.0,
    }
    return result


def _kth(trace: Path | None) -> Workload:
    """Return the trace that is named, or lies beside the repository, or one drawn alike."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "traces" / KTH
    if trace is not None or beside.is_file():
        return fit_to(read_trace(trace or beside), KTH_PROCESSORS)
    return at(drawn(LIKE_KTH, _KTH_JOBS, 1), KTH_PROCESSORS, _KTH_LOAD)


def drawn(mix: Mix, jobs: int, seed: int) -> Workload:
    """Return jobs of a mix over the span of the KTH trace."""
    return generate(mix, seed=[seed], begin=0, end=_KTH_SPAN_S, jobs=jobs)


def at(work: Workload, processors: int, load: float) -> Workload:
    """Return jobs at a load, with the first at second 0 or later."""
    factor = load_of(work, processors) / load
    return replace(work, submit=(work.submit * factor).astype(np.int64))


def _single_pool(work: Workload, repeats: int) -> dict[str, Any]:
    """Measure plain Python and the kernels in turns."""
    plain: list[float] = []
    walls: list[float] = []
    warm: dict[str, list[float]] = {"easy": [], "fcfs": [], "conservative": []}
    exact = True
    for turn in range(max(repeats, _REPEATS_OF_PLAIN)):
        if turn < _REPEATS_OF_PLAIN:
            took, starts = _timed(lambda: plain_easy(work, KTH_PROCESSORS))
            plain.append(took)
        for name, times in warm.items():
            begun = perf_counter()
            took, outcome = _timed(lambda name=name: replay_pool(work, KTH_PROCESSORS, name))  # type: ignore[misc]
            times.append(took)
            if name == "easy":
                walls.append(perf_counter() - begun)
            exact &= name != "easy" or outcome.start.tolist() == starts
    count = len(work)
    easy, reference = median(warm["easy"]), median(plain)
    return {
        "trace": work.name,
        "jobs": count,
        "plain_easy_s": round(reference, 4),
        "plain_easy_jobs_per_s": round(count / reference),
        "easy_s": round(easy, 4),
        "easy_s_spread": [round(min(warm["easy"]), 4), round(max(warm["easy"]), 4)],
        "easy_jobs_per_s": round(count / easy),
        "easy_jobs_per_s_best_wall": round(count / min(walls)),
        "easy_ratio_to_plain": round(reference / easy, 2),
        "same_starts": exact,
        "fcfs_jobs_per_s": round(count / median(warm["fcfs"])),
        "conservative_jobs_per_s": round(count / median(warm["conservative"])),
    }


def _large(jobs: int) -> dict[str, Any]:
    """Read, replay, summarise and record a long trace with a long queue."""
    planned = at(drawn(_MIXED, jobs, 2), LARGE_PROCESSORS, 1.3)  # more than there is room for
    with tempfile.TemporaryDirectory(prefix="resfed-bench-") as home:
        file = Path(home) / "large.swf"
        write_swf(file, planned)
        begun = perf_counter()
        read_s, work = _timed(lambda: fit_to(read_trace(file), LARGE_PROCESSORS))
        replay_s, outcome = _timed(lambda: replay_pool(work, LARGE_PROCESSORS, "easy"))
        setting = Setting(LARGE_PROCESSORS, "easy", "local", 2, replay_s)
        summary_s, summary = _timed(lambda: summarise(outcome, setting))
        wall_s = perf_counter() - begun
        record_s, _ = _timed(lambda: record(Path(home) / "out", outcome, summary))
    return {
        "large_jobs": len(work),
        "large_longest_queue": longest_queue(outcome),
        "large_read_s": round(read_s, 3),
        "large_replay_s": round(replay_s, 3),
        "large_summary_s": round(summary_s, 3),
        "large_total_s": round(read_s + replay_s + summary_s, 3),
        "large_total_wall_s": round(wall_s, 3),
        "large_record_s": round(record_s, 3),
    }


def _curve(jobs: int, repeats: int) -> dict[str, Any]:
    """Return nanoseconds by n log2 n for ever longer queues, and the slope of time over n log n.

    A slope of 1 is growth as n log n; a queue looked through in each pass would give nearly 2.
    """
    curve: dict[str, float] = {}
    sizes: list[float] = []
    times: list[float] = []
    for count in (1 << power for power in _CURVE if 1 << power <= jobs):
        work = at(drawn(_MIXED, count, 3), LARGE_PROCESSORS, 1.3)
        took = min(
            _timed(lambda work=work: replay_pool(work, LARGE_PROCESSORS, "easy"))[0]  # type: ignore[misc]
            for _ in range(max(2, repeats // 3))
        )
        curve[str(count)] = round(took / (count * log2(count)) * 1e9, 2)
        sizes.append(log(count * log2(count)))
        times.append(log(took))
    slope = float(np.polyfit(sizes, times, 1)[0])
    return {"curve_ns_by_n_log2_n": curve, "curve_slope_over_n_log_n": round(slope, 3)}


def _federation(jobs: int) -> dict[str, Any]:
    """Replay a morning of 14 sites through the machine that the broker runs."""
    begun = perf_counter()
    found = bench_federation(jobs, SITES, 1, seconds=thread_time)
    wall_s = perf_counter() - begun
    return {
        "federation_sites": found["sites"],
        "federation_jobs": found["jobs"],
        "federation_s": found["seconds"],
        "federation_jobs_per_s": found["jobs_per_second"],
        "federation_with_drawing_wall_s": round(wall_s, 3),
        # of the whole process: what came before is in it
        "federation_peak_gib": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 3
        ),
    }


def _timed(run: Callable[[], Result]) -> tuple[float, Result]:
    begun = thread_time()
    result = run()
    return thread_time() - begun, result


def longest_queue(outcome: Outcome) -> int:
    """Return the most jobs that waited at one time."""
    times = np.concatenate([outcome.workload.submit, outcome.start])
    steps = np.repeat([1, -1], len(outcome.start))
    order = np.lexsort((steps, times))  # at one instant those that start go first
    return int(np.cumsum(steps[order]).max(initial=0))


def write_swf(file: Path, work: Workload) -> None:
    """Write a workload in Standard Workload Format."""
    columns = (work.submit, work.runtime, work.procs, work.procs, work.estimate)
    rows = enumerate(zip(*(column.tolist() for column in columns), strict=True), start=1)
    text = [f"; MaxProcs: {LARGE_PROCESSORS}\n"]
    text += [
        f"{job} {submit} -1 {runtime} {used} -1 -1 {procs} {limit} -1 1 1 1 1 1 1 -1 -1\n"
        for job, (submit, runtime, used, procs, limit) in rows
    ]
    file.write_text("".join(text))
