"""What is known of users outlives the broker."""

from __future__ import annotations

from dataclasses import replace

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


def replace_estimate(number: int, seconds: int):
    return replace(a_job(number), estimate_s=seconds)
