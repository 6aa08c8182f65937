"""The demo must be able to fail: each kind of wrong outcome is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from res_federation.cli.demo_check import Verdict, judge, why
from res_federation.cli.demo_jobs import Planned
from res_federation.config.demo import Expectation
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.job_state import JobState
from res_federation.model.plan import Candidate, Explanation
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import ResourceRequest

GPU = PartitionId("csuc/pirineus3/gpu")
CPU = PartitionId("csuc/pirineus3/std")
FAMILIES = {GPU: "h100", CPU: ""}
ID = JobId("01ARZ3NDEKTSV4RRFFQ69G5FAV")
SPEC = JobSpec(name="x", user="ana", script="#!/bin/sh\n")


def a_job(state: JobState, partition: PartitionId = GPU, **values: object) -> Job:
    run = Run(RunToken(f"{ID}-1"), 1, partition, SiteId("csuc"), 0.0)
    return Job(ID, SPEC, 0.0, state=state, runs=[run], **values)  # type: ignore[arg-type]


def prints(text: bytes) -> object:
    return lambda job, task: text


def wanting(family: str) -> Planned:
    need = AcceleratorNeed(family=family, asked=family)
    request = ResourceRequest(accelerator=need, accelerators_per_node=1)
    return Planned("x.sbatch", replace(SPEC, request=request))


PI = Expectation("x.sbatch", JobState.COMPLETED, exit_code=0, stdout="3.14\n", accelerator="any")


@pytest.mark.parametrize(
    ("job", "printed", "wrong"),
    [
        (a_job(JobState.COMPLETED, exit_code=0), b"3.14\n", ""),
        (a_job(JobState.COMPLETED, exit_code=0), b"3.15\n", "3.15"),
        (a_job(JobState.COMPLETED, exit_code=0), b"", "printed ''"),
        (a_job(JobState.COMPLETED, exit_code=0, partition=CPU), b"3.14\n", "no accelerator"),
        (a_job(JobState.FAILED, exit_code=1, reason="exit code 1"), b"3.14\n", "FAILED"),
        (a_job(JobState.COMPLETED, exit_code=3), b"3.14\n", "exit code 3"),
        (a_job(JobState.RUNNING), b"3.14\n", "RUNNING"),
    ],
)
def test_a_script_of_ours_is_compared_with_what_it_must_do(
    job: Job, printed: bytes, wrong: str
) -> None:
    told = judge(Planned("x.sbatch", SPEC, PI), job, FAMILIES, prints(printed))  # type: ignore[arg-type]
    assert wrong in told.wrong
    assert (told.verdict is Verdict.COMPLETED) == (not wrong)


@pytest.mark.parametrize(
    ("job", "verdict"),
    [
        (a_job(JobState.COMPLETED), Verdict.COMPLETED),
        (a_job(JobState.FAILED, reason="exit code 127"), Verdict.FAILED),
        (a_job(JobState.INFEASIBLE, reason="no such device"), Verdict.REFUSED),
        (a_job(JobState.CANCELLED, reason="by ana"), Verdict.CANCELLED),
        (a_job(JobState.FAILED), Verdict.UNEXPECTED),
        (a_job(JobState.LOST, reason="gone"), Verdict.UNEXPECTED),
        (a_job(JobState.SUBMITTED), Verdict.UNEXPECTED),
    ],
)
def test_a_foreign_script_must_end_with_a_reason(job: Job, verdict: Verdict) -> None:
    told = judge(Planned("x.sbatch", SPEC), job, FAMILIES, prints(b""))  # type: ignore[arg-type]
    assert told.verdict is verdict


@pytest.mark.parametrize(
    ("family", "partition", "right"),
    [("h100", GPU, True), ("a100", GPU, False), ("a100", CPU, False), ("", GPU, True)],
)
def test_no_job_may_run_without_the_accelerator_that_it_asks_for(
    family: str, partition: PartitionId, right: bool
) -> None:
    job = a_job(JobState.COMPLETED, partition)
    told = judge(wanting(family), job, FAMILIES, prints(b""))  # type: ignore[arg-type]
    assert (told.wrong == "") is right


def test_why_is_told_for_the_chosen_and_for_the_refused() -> None:
    chosen = Candidate(GPU, True, (Reason(Code.CHOSEN),), 90.0, (("wait", 30.0), ("run", 60.0)))
    other = Candidate(CPU, False, (Reason(Code.NO_ACCELERATOR),))
    placed = why(Explanation(ID, GPU, (chosen, other)))
    assert placed == (
        "the only one that can run it now, at a cost of 1.5 min: wait 30 s + run 1 min"
    )
    assert why(Explanation(ID, None, (other, other))) == "has no accelerators (2x)"
