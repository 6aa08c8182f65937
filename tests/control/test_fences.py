"""A run that waits at a site begins only after the broker wrote that down: so it can be moved."""

from __future__ import annotations

from res_federation.control.effects import BeginRuns, CancelRun, Effect, RunRound, SendToSite
from res_federation.control.events import (
    Event,
    JobCancelled,
    JobSubmitted,
    PlanReady,
    SiteConnected,
    SiteReported,
    Ticked,
)
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, Terms, federation
from res_federation.model.capacity import CapacityReport, FreeNodes, PartitionCapacity, Release
from res_federation.model.identifiers import SiteId, new_job_id, partition_id
from res_federation.model.job import Job, JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition, Site
from res_federation.placement.engine import place

SHAPE = NodeShape(cores=8, memory_mib=16_000)
TERMS = Terms(lease_s=30.0, margin_s=5.0)


def member(name: str) -> Site:
    part = Partition(partition_id(name, "c", "p"), "p", SHAPE, 1)
    return Site(SiteId(name), name, "C", "", 40.0, 0.0, "slurm", (part,), clusters=("c",))


class Story:
    """Three sites, and a round for each that is asked for."""

    def __init__(self, *, busy_for_s: float = 0.0) -> None:
        self.at = 1000.0
        self.state: FederationState = federation(
            (member("a"), member("b"), member("d")), terms=TERMS
        )
        self.orders: dict[str, list[object]] = {}
        self.sequence = 0
        for name in ("a", "b", "d"):
            self.do(SiteConnected(self.at, SiteId(name)))
            self.report(name, busy_for_s=busy_for_s if name == "a" else 10 * busy_for_s)

    def do(self, event: Event) -> list[Effect]:
        effects = handle(self.state, event)
        self.state.check()
        for effect in effects:
            if isinstance(effect, SendToSite):
                self.orders.setdefault(effect.site, []).extend(effect.orders)
            elif isinstance(effect, RunRound):
                plan = place(effect.snapshot, effect.jobs, self.state.policy)
                self.do(PlanReady(self.at, plan))
        return effects

    def report(self, name: str, *runs: RunObservation, busy_for_s: float = 0.0) -> None:
        self.sequence += 1
        free = () if busy_for_s else (FreeNodes(1, 8, 16_000, 0),)
        busy = (Release(self.at + busy_for_s, 1, 8, 0),) if busy_for_s else ()
        part = PartitionCapacity(
            partition_id(name, "c", "p"), SHAPE, 1, 1, free=free, releases=busy
        )
        report = CapacityReport(SiteId(name), self.sequence, self.at, 16.0, (part,))
        self.do(SiteReported(self.at, report, runs, "life", fences=True))

    def submit(self, *, requeue: bool = False) -> Job:
        job = new_job_id(int(self.at * 1000), b"0123456789")
        request = ResourceRequest(nodes=1, cpus_per_task=8)
        self.do(
            JobSubmitted(self.at, job, JobSpec("j", "u", "#!/bin/sh\n", request, requeue=requeue))
        )
        return self.state.jobs[job]

    def silence(self, seconds: float) -> None:
        """Only the others are heard for a while."""
        for _ in range(int(seconds / 5)):
            self.at += 5.0
            for name in ("b", "d"):
                self.report(name, busy_for_s=5000.0)
            self.do(Ticked(self.at))


def test_a_run_that_starts_at_once_need_not_ask():
    job = Story().submit()
    assert job.run is not None
    assert not job.run.fenced


def test_a_run_that_is_to_wait_is_fenced_from_the_start():
    story = Story(busy_for_s=600.0)
    job = story.submit()
    assert job.run is not None
    assert (job.site, job.run.fenced) == ("a", True)
    assert any(getattr(order, "fenced", False) for order in story.orders["a"])


def test_a_user_who_lets_it_begin_twice_gets_no_fence():
    job = Story(busy_for_s=600.0).submit(requeue=True)
    assert job.run is not None
    assert not job.run.fenced


def test_a_fenced_run_of_a_silent_site_goes_elsewhere_after_lease_and_margin():
    story = Story(busy_for_s=600.0)
    job = story.submit()
    token = job.runs[0].token
    story.silence(30)
    assert job.site == "a", "not before the lease and the margin have passed"
    story.silence(15)
    assert (job.runs[0].state, job.site) == (JobState.LOST, "b")
    story.orders.clear()
    asking = RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True)
    story.report("a", asking, busy_for_s=600.0)
    assert CancelRun(token) in story.orders["a"], "the old one is not let"
    assert not any(isinstance(order, BeginRuns) for order in story.orders["a"])


def test_a_run_that_may_have_begun_waits_for_its_site():
    story = Story()
    job = story.submit()
    where = job.site
    story.at += 2000.0
    for name in {"a", "b", "d"} - {where}:
        story.report(name)
    story.do(Ticked(story.at))
    assert (job.state, job.site, len(job.runs)) == (JobState.PLACED, where, 1)


def test_what_asks_is_written_down_before_it_is_let_and_never_moved_after():
    story = Story(busy_for_s=600.0)
    job = story.submit()
    token = job.runs[0].token
    story.report("a", RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True))
    assert BeginRuns((token,)) in story.orders["a"]
    assert job.runs[0].begun
    story.orders.clear()
    story.report("a", RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True))
    assert BeginRuns((token,)) in story.orders["a"], "a lost word is said again"
    story.silence(3000)
    assert len(job.runs) == 1


def test_one_that_is_being_cancelled_is_not_let():
    story = Story(busy_for_s=600.0)
    job = story.submit()
    token = job.runs[0].token
    story.report("a", RunObservation(token, JobState.SUBMITTED, fenced=True))
    story.do(JobCancelled(story.at, job.id, "u"))
    story.orders.clear()
    story.report("a", RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True))
    assert story.orders["a"][-1] == CancelRun(token)


def test_a_run_that_was_given_back_is_placed_again_even_there():
    story = Story()
    job = story.submit()
    where, token = job.site, job.runs[0].token
    story.report(where, RunObservation(token, JobState.CANCELLED, reason="dark", withdrawn=True))
    story.at += 1.0
    story.do(Ticked(story.at))
    assert len(job.runs) == 2
    assert job.refused == ()
    assert job.state is JobState.PLACED


def test_one_that_was_let_and_never_heard_it_is_placed_again():
    story = Story(busy_for_s=600.0)
    job = story.submit()
    token = job.runs[0].token
    story.report("a", RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True))
    story.report("a", RunObservation(token, JobState.CANCELLED, withdrawn=True))
    assert not job.state.final


def test_a_job_that_is_always_given_back_fails_in_the_end():
    story = Story()
    job = story.submit()
    for _ in range(100):
        if job.state.final:
            break
        run = job.runs[-1]
        story.at += 1.0
        story.report(run.site, RunObservation(run.token, JobState.CANCELLED, withdrawn=True))
        for name in ("a", "b", "d"):
            story.report(name)
    assert (job.state, len(job.runs)) == (JobState.FAILED, TERMS.max_attempts)
    assert "attempts ended before they began" in job.reason
