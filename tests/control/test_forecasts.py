"""What users are told of when jobs start: learnt from what was seen, and scored."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.control.forecasts import Forecasts, recalled, reopen, started, tell
from res_federation.model.forecast import Expected, ForecastError, Outcome, figures, pinball
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId, site_of
from res_federation.model.job import Job, Run
from res_federation.placement import likely
from tests.builders import a_job

HERE, THERE = PartitionId("a/c/p"), PartitionId("b/c/p")


@dataclass
class Stream:
    """Jobs that come every ten seconds, and start as *wait* says."""

    forecasts: Forecasts = field(default_factory=Forecasts)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    at: float = 0.0
    count: int = 0
    _due: list[tuple[float, JobId, PartitionId]] = field(default_factory=list)

    def come(self, raw: float, wait: float, partition: PartitionId = HERE) -> Job:
        self.at += 10.0
        self.begin()
        self.count += 1
        job = a_job(self.count)
        self.jobs[job.id] = job
        place = None if raw == float("inf") else partition
        tell(
            self.forecasts, self.jobs, [Expected(job.id, place, raw, raw, 4.0, 600.0, 0.0)], self.at
        )
        self._due.append((self.at + wait, job.id, partition))
        return job

    def begin(self, until: float | None = None) -> None:
        until = self.at if until is None else until
        for due in sorted(self._due):
            if due[0] <= until:
                self._due.remove(due)
                self._start(*due)

    def _start(self, when: float, name: JobId, partition: PartitionId) -> None:
        job = self.jobs.pop(name)
        run = Run(RunToken(f"{name}-1"), 1, partition, SiteId("a"), when, started=when)
        found = started(self.forecasts, self.jobs, job, run, when)
        assert found is not None
        self.outcomes.append(found)
        assert started(self.forecasts, self.jobs, job, run, when) is None, "it is scored once"


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_on_a_steady_stream_p90_holds_for_nine_of_ten_and_beats_profile_and_mean(spread: float):
    draw, stream = random.Random(7), Stream()
    for _ in range(2500):
        raw = draw.choice([120.0, 1200.0, 7200.0])
        stream.come(raw, raw * draw.lognormvariate(-0.7, spread))
    told = stream.outcomes[250:]
    good = sum(one.wait_s <= (one.forecast.p90_s or 0.0) for one in told) / len(told)
    assert 0.87 <= good <= 0.95
    error = figures(stream.forecasts.error)
    mine, profile, mean = (error[key] for key in ("pinball", "pinball_profile", "pinball_mean"))
    assert mine is not None
    assert profile is not None
    assert mean is not None
    assert mine < profile
    assert mine < mean


def test_p90_follows_when_waits_grow_threefold():
    draw, stream = random.Random(3), Stream()
    for number in range(3000):
        stream.come(600.0, draw.uniform(0, 600) * (1 if number < 1500 else 3))
    told = stream.outcomes[2000:]
    good = sum(one.wait_s <= (one.forecast.p90_s or 0.0) for one in told) / len(told)
    assert 0.85 <= good <= 0.96


def test_there_is_no_estimate_before_enough_was_seen():
    stream = Stream()
    told = [stream.come(60.0, 30.0) for _ in range(likely.LEAST)]
    assert all(job.forecast is not None and job.forecast.p90_s is None for job in told)
    few = [stream.come(60.0, 30.0) for _ in range(5)][-1].forecast
    many = [stream.come(60.0, 30.0) for _ in range(60)][-1].forecast
    assert few is not None
    assert many is not None
    assert few.p50_s == pytest.approx(30.0)
    assert few.p90_s == 60.0, "with few the profile counts"
    assert many.p50_s == many.p90_s == pytest.approx(30.0)


def test_there_is_no_estimate_where_the_profile_foretells_nothing():
    stream = Stream()
    for _ in range(50):
        stream.come(60.0, 30.0)
    before = sum(one.forecast.p90_s is None for one in stream.outcomes)
    said = stream.come(float("inf"), 500.0).forecast
    assert said is not None
    assert (said.p50_s, said.p90_s, said.partition) == (None, None, None)
    stream.begin(1e9)
    assert stream.forecasts.errors[SiteId("a")].untold == before + 1


def test_who_still_waits_past_its_p90_is_known_to_be_late():
    stream = Stream()
    for _ in range(100):
        stream.come(60.0, 30.0)
    before = stream.forecasts.level
    for _ in range(5):
        stream.come(60.0, 1e6)
    for _ in range(20):
        stream.come(60.0, 30.0)
    assert stream.forecasts.level > before, "none of the five has started"


def test_errors_are_kept_by_the_site_where_jobs_start():
    stream = Stream()
    for number in range(100):
        stream.come(60.0, 30.0, HERE if number % 4 else THERE)
    stream.begin(1e9)
    errors = stream.forecasts.errors
    assert {*errors} == {site_of(HERE), site_of(THERE)}
    whole = errors[site_of(HERE)] + errors[site_of(THERE)]
    assert whole == stream.forecasts.error
    assert whole.scored + whole.untold == 100
    assert whole.waited_s == pytest.approx(3000.0)


def test_a_broker_that_begins_again_says_the_same():
    draw, stream = random.Random(5), Stream()
    for _ in range(400):
        stream.come(600.0, draw.uniform(0, 900))
    again = recalled(stream.outcomes, stream.forecasts.errors)
    reopen(again, stream.jobs.values(), stream.at)
    again.level = stream.forecasts.level  # moved by one that was late since the last outcome
    assert again.known == stream.forecasts.known
    waiting = [job for job in stream.forecasts.newest if job in stream.jobs]
    assert again.newest[-len(waiting) :] == waiting
    expected = [Expected(JobId("new"), HERE, 600.0, 600.0, 4.0, 600.0, 0.0)]
    told = []
    for forecasts in (stream.forecasts, again):
        jobs = {**stream.jobs, JobId("new"): a_job(9999)}
        tell(forecasts, jobs, expected, stream.at + 1)
        told.append(jobs[JobId("new")].forecast)
    assert told[0] == told[1]


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_multiple_is_taken_back_to_its_seconds(wait: float, raw: float):
    assert likely.seconds(likely.multiple(wait, raw), raw) == pytest.approx(wait, abs=1e-3)


@given(st.integers(0, 2**32), st.integers(1, 150), st.floats(0.05, 0.6), st.floats(0.61, 0.99))
def test_the_plain_loop_says_the_same(seed: int, jobs: int, low: float, high: float):
    rng = np.random.default_rng(seed)
    known = np.round(rng.random((jobs, likely.COLUMNS)) * 4, 1)
    args = (known, rng.random(jobs) < 0.3, known[0, :-1] + 0.1, low, high, 2.5)
    found = likely.quantiles(*args)
    plain = vars(likely)["quantiles"].py_func
    assert found == plain(*args)
    assert found[0] <= found[1]


def test_where_nothing_alike_has_started_p90_is_far_above_the_profile():
    stream = Stream()
    for _ in range(likely.LEAST + 5):
        stream.come(60.0, 30.0)
    for _ in range(200):  # a burst: none of them starts for long
        said = stream.come(1e5, 1e6).forecast
    assert said is not None
    assert said.p90_s == pytest.approx(likely.DOUBTED * 1e5)
    assert said.p50_s == pytest.approx(1e5)


def test_the_loss_of_a_quantile_is_least_at_the_quantile():
    waits = [float(wait) for wait in range(1, 101)]
    losses = {said: sum(pinball(said, wait, 0.9) for wait in waits) for said in waits}
    assert min(losses, key=losses.__getitem__) in (90.0, 91.0)


def test_figures_of_no_jobs_are_not_there():
    assert figures(ForecastError())["coverage_p90"] is None
