"""What users are told of when their jobs start, and how right that was.

A forecast is made once, when a round first looked at a job and it did not start.  When the job
starts it is scored, and what was said of it helps those to come.  The level at which P90 is taken
follows what is seen: up when more than one job of ten is later than it was told, down when fewer
are (adaptive conformal prediction).  A job that still waits past its P90 is known to be late at
once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from math import isinf

import numpy as np

from res_federation.model.forecast import Expected, Forecast, ForecastError, Outcome, error_of
from res_federation.model.identifiers import JobId, SiteId, site_of
from res_federation.model.job import Job, Run
from res_federation.model.plan import Assignment
from res_federation.placement import likely
from res_federation.placement.kernels import Floats
from res_federation.placement.order import processors, run_estimate
from res_federation.placement.policy import LateStart

LEVEL, LOWEST, HIGHEST = 0.9, 0.6, 0.995
AIM = 0.91
"""Share of jobs that are to start no later than P90: a little more, as those to come differ."""
PACE = 0.008
"""By how much the level moves with one job that was late; a tenth of it back with one in time."""
STILL_WAITING = 100
"""Jobs that wait, the newest, of which it counts that they do."""
_ROW = struct.Struct(f"{likely.COLUMNS}d")


@dataclass(slots=True)
class Forecasts:
    """What is known of forecasts; plain data, as all of the state.

    Attributes:
        known: Of started jobs the columns of `likely`, the newest `likely.WINDOW`: a ring.
        seen: Jobs that ever were put into it.
        level: Quantile at which P90 is taken.
        newest: Jobs that were told a forecast last.
        deadlines: When those with an estimate are late, by that time: a heap.
        errors: By site where the jobs started.

    """

    known: bytearray = field(default_factory=bytearray)
    seen: int = 0
    level: float = LEVEL
    newest: list[JobId] = field(default_factory=list)
    deadlines: list[tuple[float, JobId]] = field(default_factory=list)
    errors: dict[SiteId, ForecastError] = field(default_factory=dict)

    @property
    def error(self) -> ForecastError:
        """Of all sites together."""
        return sum(self.errors.values(), ForecastError())


def tell(
    forecasts: Forecasts, jobs: Mapping[JobId, Job], expected: Iterable[Expected], at: float
) -> list[Job]:
    """Make the forecasts of jobs that a round looked at for the first time; return those jobs."""
    new = [one for one in expected if one.job in jobs and jobs[one.job].forecast is None]
    if not new:
        return []
    _late(forecasts, jobs, at)
    known, waits = _known(forecasts, jobs, at)
    error = forecasts.error
    count = error.scored + error.untold
    mean = error.waited_s / count if count else None
    made: dict[tuple[float, ...], Forecast] = {}
    told = []
    for one in new:
        key = (one.raw_s, one.near_s, *likely.features(one, likely.place_of(one)))
        if key not in made:
            made[key] = _forecast(forecasts, one, known, waits, mean, at)
        said = made[key]
        jobs[one.job].forecast = said
        told.append(jobs[one.job])
        if said.p90_s is not None:
            heappush(forecasts.deadlines, (at + said.p90_s, one.job))
    forecasts.newest = [*forecasts.newest, *(one.job for one in new[-STILL_WAITING:])]
    del forecasts.newest[:-STILL_WAITING]
    return told


def at_their_sites(
    assignments: Iterable[Assignment], jobs: Mapping[JobId, Job], late: LateStart
) -> list[Expected]:
    """Return what a plan says of jobs that it sends to wait at a site."""
    return [
        Expected(
            job.id, one.partition, one.expected_start_s, one.expected_start_s,
            processors(job.spec.request, late.accelerator_width), float(run_estimate(job)), 0.0,
        )
        for one in assignments
        if not one.starts_now and one.expected_start_s > 0
        if (job := jobs.get(one.job)) is not None and job.site
    ]  # fmt: skip


def _forecast(
    forecasts: Forecasts,
    one: Expected,
    known: Floats,
    waits: likely.Flags,
    mean: float | None,
    at: float,
) -> Forecast:
    p50 = p90 = None
    if forecasts.seen >= likely.LEAST and not isinf(one.near_s):
        mine = np.array(likely.features(one, likely.place_of(one)))
        doubted = likely.multiple(likely.DOUBTED * one.near_s, one.near_s)
        low, high = likely.quantiles(known, waits, mine, 0.5, forecasts.level, doubted)
        p50, p90 = likely.seconds(low, one.near_s), likely.seconds(high, one.near_s)
    return Forecast(
        at,
        one.partition,
        one.raw_s,
        one.near_s,
        one.width,
        one.length_s,
        one.ahead_s,
        p50,
        p90,
        mean,
    )


def started(
    forecasts: Forecasts, jobs: Mapping[JobId, Job], job: Job, run: Run, at: float
) -> Outcome | None:
    """Score the forecast of a job whose run has begun; None where there is nothing to score."""
    said = job.forecast
    if said is None or said.scored or run.started is None:
        return None
    wait = max(0.0, run.started - said.at)
    job.forecast = replace(said, scored=True)
    _late(forecasts, jobs, at)
    if said.p90_s is not None and not said.late:
        _move(forecasts, late=wait > said.p90_s)
    site = site_of(run.partition)
    error = forecasts.errors.get(site, ForecastError()) + error_of(said, wait)
    outcome = Outcome(job.id, run.partition, said, wait, forecasts.level, error)
    remember(forecasts, outcome)
    return outcome


def remember(forecasts: Forecasts, outcome: Outcome) -> None:
    """Learn from one outcome: also what a broker that begins again reads from its store."""
    said, wait = outcome.forecast, outcome.wait_s
    forecasts.errors[site_of(outcome.partition)] = outcome.error
    forecasts.level = outcome.level
    if isinf(said.near_s):
        return
    row = _ROW.pack(
        *likely.features(said, likely.place_of(said)), likely.multiple(wait, said.near_s)
    )
    place = forecasts.seen % likely.WINDOW * _ROW.size
    forecasts.known[place : place + _ROW.size] = row
    forecasts.seen += 1


def recalled(outcomes: Iterable[Outcome], errors: Mapping[SiteId, ForecastError]) -> Forecasts:
    """Return what is known from the newest outcomes, the oldest first, and from all errors."""
    forecasts = Forecasts()
    for outcome in outcomes:
        remember(forecasts, outcome)
    forecasts.errors = dict(errors)
    return forecasts


def reopen(forecasts: Forecasts, jobs: Iterable[Job], at: float) -> None:
    """Wait again for the jobs that waited when a broker ended; who is late already is marked so."""
    for job in jobs:
        said = job.forecast
        if said is None or said.scored:
            continue
        forecasts.newest.append(job.id)
        if said.p90_s is not None and said.at + said.p90_s < at:
            job.forecast = replace(said, late=True)
        elif said.p90_s is not None:
            heappush(forecasts.deadlines, (said.at + said.p90_s, job.id))
    del forecasts.newest[:-STILL_WAITING]


def _late(forecasts: Forecasts, jobs: Mapping[JobId, Job], at: float) -> None:
    """Count those that should have started, most likely, and have not."""
    while forecasts.deadlines and forecasts.deadlines[0][0] < at:
        _, name = heappop(forecasts.deadlines)
        job = jobs.get(name)
        if job is not None and job.forecast is not None and not job.forecast.scored:
            job.forecast = replace(job.forecast, late=True)
            _move(forecasts, late=True)


def _move(forecasts: Forecasts, *, late: bool) -> None:
    step = PACE * AIM if late else -PACE * (1.0 - AIM)
    forecasts.level = min(max(forecasts.level + step, LOWEST), HIGHEST)


def _known(
    forecasts: Forecasts, jobs: Mapping[JobId, Job], at: float
) -> tuple[Floats, likely.Flags]:
    """Return what is known of started jobs, the newest first, and of some that still wait."""
    ring = np.frombuffer(bytes(forecasts.known)).reshape(-1, likely.COLUMNS)
    begun = np.roll(ring, -(forecasts.seen % likely.WINDOW), axis=0)[::-1]
    waiting = []
    for name in reversed(forecasts.newest):
        job = jobs.get(name)
        said = None if job is None else job.forecast
        if said is not None and not said.scored and not isinf(said.near_s):
            so_far = likely.multiple(max(0.0, at - said.at), said.near_s)
            waiting.append((*likely.features(said, likely.place_of(said)), so_far))
    known = np.concatenate([begun, np.array(waiting).reshape(-1, likely.COLUMNS)])
    return known, np.arange(len(known)) >= len(begun)
