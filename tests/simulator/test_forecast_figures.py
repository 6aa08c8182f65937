"""A replay says how good its forecasts were, from what users were told."""

from __future__ import annotations

import pytest

from res_federation.model.forecast import error_of
from res_federation.simulator.federation import replay_federation
from res_federation.simulator.forecast_figures import forecast_figures
from res_federation.simulator.measures import Setting, summarise
from res_federation.simulator.pool import replay_pool
from res_federation.simulator.site_models import FederationModel, pool
from tests.simulator.drawn_workload import drawn

TWO = FederationModel("two", (pool("a", 16), pool("b", 8)))
SETTING = Setting("two", "easy", "federated", 1, 1.0)


def test_every_job_that_waited_was_told_once_and_is_scored_by_its_site():
    jobs = drawn(4, 600, gap=20)
    outcome = replay_federation(jobs, TWO, load=0.9)
    waited = {
        job
        for job, (start, came) in enumerate(
            zip(outcome.start, outcome.workload.submit, strict=True)
        )
        if start > came
    }
    assert waited <= set(outcome.told), "one that waits in its first round may start in that second"
    for job, one in outcome.told.items():
        assert one.wait_s == outcome.start[job] - outcome.workload.submit[job]
        assert one.partition == outcome.places[outcome.place[job]].partition
    found = summarise(outcome, SETTING)["forecast"]
    assert found["warm_up"] == 60
    scored = {job for job in outcome.told if job >= 60}
    assert found["scored"] + found["untold"] == len(scored)
    assert found["at_once"] == 540 - len(scored)
    assert sum(site["scored"] for site in found["sites"].values()) == found["scored"]
    told = [error_of(one.forecast, one.wait_s) for job, one in outcome.told.items() if job >= 60]
    assert found["coverage_p90"] == sum(one.within_p90 for one in told) / found["scored"]
    assert found["pinball_p90"] == pytest.approx(
        sum(one.pinball_p90 for one in told) / found["scored"]
    )


def test_forecasts_are_the_same_again():
    told = [replay_federation(drawn(9, 200, gap=10), TWO, load=0.9).told for _ in range(2)]
    assert told[0] == told[1]
    assert told[0]


def test_where_nobody_was_told_anything_there_is_no_figure():
    assert forecast_figures(replay_pool(drawn(1, 20), 16, "easy")) is None
    assert forecast_figures(replay_federation(drawn(1, 50), TWO, policy="random")) is None
