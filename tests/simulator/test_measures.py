"""The figures of a replay: those of the oracle, and what there is to say of no jobs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from res_federation.simulator.measures import Setting, start_digest, summarise
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.pool import replay_pool
from tests.simulator.oracle import ORACLE, jobs_of

SETTING = Setting(machine=100, scheduler="easy", policy="local", seed=1, wall_s=0.5)


@pytest.mark.parametrize("scheduler", ["fcfs", "easy"])
@pytest.mark.parametrize("trace", ["micro-ties", "kth-sp2-5k", "kth-sp2-full"])
def test_aggregates_are_the_oracles(trace, scheduler):
    workload = jobs_of(trace)
    found = summarise(replay_pool(workload, workload.processors, scheduler), SETTING)
    told = json.loads((ORACLE / trace / "aggregates.json").read_text())["policies"][scheduler]
    for key in ("jobs", "max_wait", "first_submit", "last_end", "makespan", "start_sha256"):
        assert found[key] == told[key], key
    for key in ("mean_wait", "mean_bounded_slowdown", "utilisation"):
        assert found[key] == pytest.approx(told[key], rel=1e-12), key
    assert found["jobs_per_second"] == told["jobs"] / 0.5


def an_outcome() -> Outcome:
    """Three jobs on two sites, the last of which never ran; lines in another order."""
    workload = jobs_of("micro-ties")
    work = replace(
        workload,
        **{name: getattr(workload, name)[:3] for name in
           ("job_ids", "submit", "runtime", "estimate", "procs", "user", "group", "queue")},
        line=np.array([9, 2, 5]),
        dropped={"no processors": 2},
    )  # fmt: skip
    work = replace(work, submit=np.array([0, 10, 20]), procs=np.array([1, 4, 2]))
    return Outcome(
        workload=work,
        places=(Place("a", "a/c/x", 4), Place("b", "b/c/y", 6), Place("a", "a/c/z", 10)),
        place=np.array([2, 0, -1]),
        start=np.array([5, 10, -1]),
        end=np.array([45, 30, -1]),
        local=np.array([False, True, False]),
        left_out={"no processors": 1, "no site fits": 1},
    )


def test_a_federation_is_told_by_site_and_as_a_whole():
    found = summarise(an_outcome(), SETTING)
    assert found["jobs"] == 2
    assert found["dropped"] == {"no processors": 3, "no site fits": 1}
    assert (found["makespan"], found["mean_wait"], found["p50_wait"]) == (45, 2.5, 2.5)
    assert found["utilisation"] == pytest.approx((1 * 40 + 4 * 20) / (20 * 45))
    assert list(found["sites"]) == ["a", "b"]
    assert found["sites"]["a"]["processors"] == 14
    assert (found["sites"]["a"]["jobs"], found["sites"]["a"]["local_jobs"]) == (2, 1)
    assert found["sites"]["b"]["mean_wait"] is None
    assert found["sites"]["b"]["utilisation"] == 0.0


def test_the_digest_follows_the_lines_of_the_trace_not_the_queue():
    outcome = an_outcome()
    ids = outcome.workload.job_ids.tolist()
    again = replace(
        outcome,
        workload=replace(
            outcome.workload,
            job_ids=np.array([ids[1], ids[2], ids[0]]),
            line=np.array([2, 5, 9]),
        ),
        start=np.array([10, -1, 5]),
    )
    assert start_digest(outcome) == start_digest(again)


def test_of_no_jobs_nothing_is_invented():
    outcome = an_outcome()
    nobody = replace(outcome, start=np.full(3, -1), end=np.full(3, -1), place=np.full(3, -1))
    found = summarise(nobody, SETTING)
    assert found["jobs"] == 0
    assert found["mean_wait"] is found["makespan"] is found["utilisation"] is None
    json.dumps(found)
