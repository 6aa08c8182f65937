"""The change that is suggested does flip the outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.reason import Code
from res_federation.model.resources import ResourceRequest
from res_federation.placement.counterfactual import _changes, counterfactual
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from tests.builders import A100, H100, a_job, a_row, a_snapshot
from tests.placement.drawn import jobs, snapshots

POLICY = Policy()
ROWS = a_snapshot(a_row("bsc", H100, 4, max_time_s=86_400), a_row("uv", nodes=4, max_time_s=86_400))


def _suggested(snapshot, job):
    """Return the request as the sentence changes it, and the sentence."""
    said = counterfactual(snapshot, job, POLICY)
    words = said.split(", it could go to ")[0]
    specs = [spec for sentence, spec in _changes(job.spec) if sentence == words]
    return said, specs


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (a_job(0, time_limit_s=100_000), "with --time of "),
        (a_job(0, ResourceRequest(nodes=5)), "with 4 nodes"),
        (a_job(0, ResourceRequest(cpus_per_task=100)), "cores per task"),
        (a_job(0, ResourceRequest(memory_per_node_mib=10**6)), "per node"),
        (a_job(0, clusters=("nowhere",)), "without -M"),
        (a_job(0, ResourceRequest(architecture="aarch64")), "x86_64"),
        (a_job(0, ResourceRequest(features=("ssd",))), "without the features"),
        (
            a_job(0, ResourceRequest(accelerator=AcceleratorNeed("a100"), accelerators_per_node=1)),
            "with any accelerator",
        ),
        (
            a_job(0, ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=5)),
            "with 4 accelerators per node",
        ),
    ],
)
def test_the_smallest_change_is_named_and_works(job, words):
    said, specs = _suggested(ROWS, job)
    assert words in said
    assert place(ROWS, (job,), POLICY).rejections
    assert any(place(ROWS, (replace(job, spec=spec),), POLICY).assignments for spec in specs)


@given(snapshots(), jobs(1))
def test_whatever_is_suggested_flips_the_outcome(snapshot, job):
    before = place(snapshot, (job,), POLICY)
    said, specs = _suggested(snapshot, job)
    assert said
    if before.rejections and "it could go to" in said:
        partition = said.split(", it could go to ")[1]
        plans = [place(snapshot, (replace(job, spec=spec, refused=()),), POLICY) for spec in specs]
        assert partition in {one.partition for plan in plans for one in plan.assignments}


def test_for_a_placed_job_the_runner_up_is_named_with_the_gap():
    rows = (a_row("bsc"), a_row("uv", backlog_node_s=4 * 7200.0))
    assert counterfactual(a_snapshot(*rows), a_job(0), POLICY) == (
        "uv/c/p would be chosen if it completed 2 h earlier"
    )
    assert "documented draw" in counterfactual(
        a_snapshot(a_row("bsc"), a_row("uv")), a_job(0), POLICY
    )
    only = counterfactual(a_snapshot(a_row("bsc")), a_job(0), POLICY)
    assert only == "it is the only partition that can run the job"


def test_where_nothing_helps_that_is_said():
    drained = a_snapshot(a_row("csuc", A100, problem=Code.SITE_DRAINED))
    assert counterfactual(drained, a_job(0), POLICY) == "no single change of the request helps now"
