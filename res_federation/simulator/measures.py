"""The figures of a replay: what ``summary.json`` says.

A job waits from its submission to its start.  Its bounded slowdown is max(1, (wait + run time) /
max(run time, 10)).  Means are plain ones over all jobs that ran, nothing is cut off as warm-up;
percentiles lie between neighbours in proportion.  Makespan is the last end minus the first
submission; utilisation is the processor-seconds of all jobs over those that the processors had in
that time.  The widest tenth are the jobs that ask for no fewer processors than nine tenths of all
do, so that equal ones are in it together.  A figure that does not exist, as the mean of no jobs,
is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from res_federation.simulator.accelerator_hours import accelerator_figures
from res_federation.simulator.forecast_figures import forecast_figures
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.workload import Ints, Workload

SHORTEST_S = 10
"""Of bounded slowdown: a shorter job counts as if it were so long."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What was replayed how: the words of a summary that the outcome does not know.

    Attributes:
        machine: Processors of the one pool, or the name of the federation.
        scheduler: Local discipline.
        policy: Name.
        seed: Of every draw.
        wall_s: Seconds that the replay took, without reading and writing.
        load: That the submissions were stretched to, or None.

    """

    machine: int | str
    scheduler: str
    policy: str
    seed: int
    wall_s: float
    load: float | None = None


def summarise(outcome: Outcome, setting: Setting) -> dict[str, Any]:
    """Return the summary of a replay, in the order in which people read it.

    ``jobs`` counts the jobs that ran; ``dropped`` those that were left out, by rule of the reader
    and by reason of the federation.
    """
    ran = outcome.start >= 0
    figures = _Figures(outcome, ran)
    jobs = int(ran.sum())
    return {
        "trace": outcome.workload.name,
        "machine": setting.machine,
        "scheduler": setting.scheduler,
        "policy": setting.policy,
        "seed": setting.seed,
        "load": setting.load,
        "jobs": jobs,
        "dropped": _added(outcome.workload.dropped, outcome.left_out),
        "repaired": dict(outcome.workload.repaired),
        **figures.of(np.ones(jobs, np.bool_)),
        **figures.parts(),
        "utilisation": figures.utilisation(
            np.ones(jobs, np.bool_), sum(place.processors for place in outcome.places)
        ),
        **accelerator_figures(outcome),
        "forecast": forecast_figures(outcome),
        "makespan": figures.makespan,
        "first_submit": figures.first,
        "last_end": figures.last,
        "start_sha256": start_digest(outcome),
        "wall_seconds": round(setting.wall_s, 6),
        "jobs_per_second": round(jobs / setting.wall_s, 1) if setting.wall_s > 0 else None,
        "sites": figures.sites(),
    }


def file_order(workload: Workload) -> Ints:
    """Return the indices of the jobs in the order of their lines in the trace."""
    if len(workload.line) != len(workload):
        return np.arange(len(workload), dtype=np.int64)
    return np.argsort(workload.line, kind="stable").astype(np.int64)


def start_digest(outcome: Outcome) -> str:
    """Return the sha256 of the lines ``job_id,start``, in the order of the trace's lines."""
    order = file_order(outcome.workload)
    cells = zip(
        outcome.workload.job_ids[order].tolist(), outcome.start[order].tolist(), strict=True
    )
    text = "".join([f"{job},{start}\n" for job, start in cells])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class _Figures:
    """The jobs that ran, and what is said of any part of them."""

    def __init__(self, outcome: Outcome, ran: npt.NDArray[np.bool_]) -> None:
        self._outcome = outcome
        submit, self._start = outcome.workload.submit[ran], outcome.start[ran]
        self._end, self._place = outcome.end[ran], outcome.place[ran]
        self._local = outcome.local[ran]
        self._wait = self._start - submit
        length = self._end - self._start
        self._slow = np.maximum(1.0, (self._wait + length) / np.maximum(length, SHORTEST_S))
        self._procs = outcome.workload.procs[ran]
        self._work = self._procs.astype(np.float64) * length
        self.first = int(submit.min()) if len(submit) else None
        self.last = int(self._end.max()) if len(submit) else None
        self.makespan = None if self.first is None or self.last is None else self.last - self.first

    def of(self, part: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Return waits and slowdown of a part of the jobs."""
        wait = self._wait[part]
        if not len(wait):
            keys = ("mean_wait", "max_wait", "p50_wait", "p95_wait", "mean_bounded_slowdown")
            return dict.fromkeys(keys)
        p50, p95 = np.percentile(wait, (50, 95)).tolist()
        return {
            "mean_wait": int(wait.sum()) / len(wait),
            "max_wait": int(wait.max()),
            "p50_wait": p50,
            "p95_wait": p95,
            "mean_bounded_slowdown": float(self._slow[part].mean()),
        }

    def parts(self) -> dict[str, Any]:
        """Return the mean waits of the widest tenth, and of the federation's and the sites' jobs.

        The last two are told only where some jobs are the sites' own.
        """
        found = {"widest_mean_wait": self._mean_wait(self._widest())}
        if self._local.any():
            found["federated_mean_wait"] = self._mean_wait(~self._local)
            found["local_mean_wait"] = self._mean_wait(self._local)
        return found

    def _widest(self) -> npt.NDArray[np.bool_]:
        procs = self._procs
        if not len(procs):
            return np.zeros(0, np.bool_)
        tenth = -(-len(procs) // 10)
        widest: npt.NDArray[np.bool_] = procs >= np.sort(procs)[len(procs) - tenth]
        return widest

    def _mean_wait(self, part: npt.NDArray[np.bool_]) -> float | None:
        wait = self._wait[part]
        return int(wait.sum()) / len(wait) if len(wait) else None

    def utilisation(self, part: npt.NDArray[np.bool_], processors: int) -> float | None:
        """Return the used part of *processors* over the whole replay."""
        if not self.makespan or not processors:
            return None
        return float(self._work[part].sum()) / (processors * self.makespan)

    def sites(self) -> dict[str, dict[str, Any]]:
        """Return the figures of each site."""
        places = self._outcome.places
        names = list(dict.fromkeys(place.site for place in places))
        site_of = np.array([names.index(place.site) for place in places], np.int64)
        site = site_of[self._place] if len(places) else self._place
        found: dict[str, dict[str, Any]] = {}
        for number, name in enumerate(names):
            part = site == number
            processors = sum(place.processors for place in places if place.site == name)
            found[name] = {
                "processors": processors,
                "jobs": int(part.sum()),
                "local_jobs": int((part & self._local).sum()),
                **self.of(part),
                "utilisation": self.utilisation(part, processors),
            }
        return found


def _added(*counts: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for rule, number in each.items():
            total[rule] = total.get(rule, 0) + number
    return total
