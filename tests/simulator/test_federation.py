"""The federation in virtual time: production's machine adds nothing, loses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from res_federation.placement.policy import Policy
from res_federation.simulator.federation import play
from res_federation.simulator.federation_engine import Rules
from res_federation.simulator.site_models import machine
from tests.simulator.oracle import jobs_of, starts_of
from tests.simulator.plain_queue import PlainQueue

NO_BOUND = Policy(max_waiting_per_partition=10**6)


@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
@pytest.mark.parametrize("trace", ["micro-ties", "kth-sp2-5k"])
def test_one_site_without_delays_starts_every_job_when_the_bare_scheduler_does(trace, scheduler):
    workload = jobs_of(trace)
    outcome = play(
        workload,
        machine(workload.processors),
        lambda part: PlainQueue(part.nodes or 0, scheduler),
        policy=NO_BOUND,
        rules=Rules(check=len(workload) < 100),
    )
    assert np.array_equal(outcome.start, starts_of(trace, scheduler, workload))
    assert outcome.left_out == {}
