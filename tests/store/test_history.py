"""What is known of users outlives the broker."""

from __future__ import annotations

from dataclasses import replace

from res_federation.model.forecast import Forecast, ForecastError, Outcome
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.store.filters import JobFilter
from res_federation.store.step import Step
from res_federation.store.store import Store
from tests.store.making import Log, a_job, an_id


async def test_a_restart_keeps_estimates_and_run_times(store: Store, url: str):
    log, job = Log(), replace_estimate(1, 1234)
    step = log.submit(job, a_job(2, user="eva\0"))
    step.history = {"ana": (0.25, 1.0, 1 / 3), "eva\0": (0.5,)}
    await store.commit(step)
    step = log.change("completed", job)
    step.history = {"ana": (1.0, 1 / 3, 0.125)}
    await store.commit(step)
    await store.close()
    again = await Store.open(url)
    loaded = await again.load_live()
    await again.close()
    assert loaded.history == {"ana": (1.0, 1 / 3, 0.125), "eva\0": (0.5,)}
    assert {one.id: one.estimate_s for one in loaded.jobs} == {an_id(1): 1234, an_id(2): 0}


def replace_estimate(number: int, seconds: int) -> Job:
    return replace(a_job(number), estimate_s=seconds)


SAID = Forecast(10.0, PartitionId("bsc/mn5/gpp"), 60.0, 50.0, 4.0, 600.0, 5.0, 30.0, 90.5, 7.25)
UNTOLD = Forecast(11.0, None, float("inf"), float("inf"), 4.0, 600.0, 0.0)


async def test_a_restart_keeps_forecasts_and_what_became_of_them(store: Store, url: str):
    log, job, other = Log(), a_job(1), a_job(2)
    await store.commit(log.submit(job, other))
    await store.commit(Step(forecasts={job.id: SAID, other.id: UNTOLD}))
    first, second = ForecastError(scored=1, waited_s=20.0), ForecastError(scored=2, waited_s=50.0)
    for said, error in ((SAID, first), (UNTOLD, second)):
        step = log.change("running", job)
        outcome = Outcome(job.id, PartitionId("csuc/a/b"), said, 20.0, 0.91, error)
        step.outcomes[step.events[0].revision] = outcome
        await store.commit(step)
    await store.close()
    again = await Store.open(url)
    loaded = await again.load_live()
    listed, _ = await again.jobs(JobFilter(), 10, "")
    found = await again.job(job.id)
    await again.close()
    assert [one.forecast for one in loaded.jobs] == [SAID, UNTOLD]
    assert [one.forecast for one in listed] == [UNTOLD, SAID]
    assert found is not None
    assert found.forecast == SAID
    assert [one.forecast for one in loaded.outcomes] == [SAID, UNTOLD], "the oldest first"
    assert loaded.errors == {"csuc": second}
