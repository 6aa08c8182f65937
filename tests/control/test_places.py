"""Places in the queues of sites with users of their own: held, passed on, given up, never lost."""

from __future__ import annotations

import pytest

from res_federation.control.effects import (
    ArrangeRuns,
    BeginRuns,
    Effect,
    Order,
    RunRound,
    SendToSite,
    StartRun,
    WithdrawRuns,
)
from res_federation.control.events import (
    Event,
    JobCancelled,
    JobSubmitted,
    PlanReady,
    SiteConnected,
    SiteReported,
)
from res_federation.control.machine import handle
from res_federation.control.state import Terms, federation, restore
from res_federation.model.capacity import (
    CapacityReport,
    FreeNodes,
    PartitionCapacity,
    Release,
    WaitingJob,
)
from res_federation.model.identifiers import RunToken, SiteId, new_job_id, partition_id
from res_federation.model.job import Job, JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition, Site
from res_federation.placement.engine import place
from res_federation.placement.policies import named

SHAPE = NodeShape(cores=1, memory_mib=None)
POLICY = named("federated")
HOUR = 3600.0


def member(name: str) -> Site:
    part = Partition(partition_id(name, "c", "p"), "p", SHAPE, 8)
    return Site(SiteId(name), name, "C", "", 40.0, 0.0, "slurm", (part,), clusters=("c",))


class Story:
    """Two full sites of eight nodes; at both others wait too, unless told otherwise."""

    def __init__(self, *, others: int = 3, arranges: bool = True, fences: bool = True) -> None:
        self.at, self.sequence, self.jobs = 1000.0, 0, 0
        self.others, self.arranges, self.fences = others, arranges, fences
        self.state = federation((member("a"), member("b")), policy=POLICY, terms=Terms())
        self.orders: dict[str, list[Order]] = {"a": [], "b": []}
        for name, busy_for in (("a", HOUR), ("b", 100 * HOUR)):
            self.do(SiteConnected(self.at, SiteId(name)))
            self.report(name, busy_for=busy_for)

    def do(self, event: Event) -> None:
        effects: list[Effect] = handle(self.state, event)
        self.state.check()
        for effect in effects:
            if isinstance(effect, SendToSite):
                self.orders[effect.site].extend(effect.orders)
            elif isinstance(effect, RunRound):
                self.do(PlanReady(self.at, place(effect.snapshot, effect.jobs, POLICY)))

    def report(
        self, name: str, *runs: RunObservation, free: int = 0, busy_for: float = HOUR
    ) -> None:
        self.sequence += 1
        self.at += 1.0
        waiting = tuple(WaitingJob(4, 4, 0, 7200) for _ in range(self.others - 1))
        ours = tuple(WaitingJob(2, 2, 0, 3600, run.token) for run in runs if not run.state.final)
        part = PartitionCapacity(
            partition_id(name, "c", "p"), SHAPE, 8, 8,
            free=(FreeNodes(free, 1, -1, 0),) if free else (),
            releases=(Release(self.at + busy_for, 8 - free, 8 - free, 0),),
            queue=waiting + ours, others=self.others,
            pending_core_s=float(sum(one.cores * one.limit_s for one in waiting + ours)),
        )  # fmt: skip
        said = CapacityReport(
            SiteId(name), self.sequence, self.at, 16.0, (part,), arranges=self.arranges
        )
        self.do(SiteReported(self.at, said, runs, "life", fences=self.fences))

    def submit(self, tasks: int = 2, limit: int = 3600) -> Job:
        self.jobs += 1
        self.at += 0.2
        job = new_job_id(self.jobs, b"0123456789")
        spec = JobSpec("j", "u", "#!/bin/sh\n", ResourceRequest(tasks=tasks), time_limit_s=limit)
        self.do(JobSubmitted(self.at, job, spec))
        return self.state.jobs[job]

    def said(self, site: str, kind: type) -> list[Order]:
        return [order for order in self.orders[site] if isinstance(order, kind)]


def waits(job: Job) -> RunObservation:
    assert job.run is not None, "it was sent"
    return RunObservation(job.run.token, JobState.SUBMITTED, fenced=True)


def test_where_others_wait_a_job_waits_there_fenced_and_gives_way():
    story = Story()
    job = story.submit()
    assert job.run is not None
    assert (job.site, job.run.held, job.run.fenced) == ("a", True, True)
    (start,) = story.said("a", StartRun)
    assert isinstance(start, StartRun)
    assert (start.fenced, start.yields_s) == (True, POLICY.late.yield_s if POLICY.late else 0)
    assert job.id in story.state.holding


def test_where_nobody_else_waits_it_waits_at_the_federation():
    story = Story(others=0)
    assert story.submit().state is JobState.QUEUED
    assert not story.said("a", StartRun)


def test_an_agent_without_fences_gets_no_run_that_only_waits():
    story = Story(fences=False)
    assert story.submit().state is JobState.QUEUED


def test_who_matters_more_gets_the_older_place():
    story = Story()
    long = story.submit(limit=100 * 3600)
    short = story.submit(limit=60)
    assert long.run is not None
    assert short.run is not None
    dealt = story.said("a", ArrangeRuns)[-1]
    assert isinstance(dealt, ArrangeRuns)
    assert dealt.tokens == (short.run.token, long.run.token)


def test_a_site_that_cannot_arrange_is_not_asked_to():
    story = Story(arranges=False)
    story.submit(limit=100 * 3600)
    story.submit(limit=60)
    assert not story.said("a", ArrangeRuns)


def test_it_is_taken_back_when_it_can_start_elsewhere_and_only_then_sent_there():
    story = Story()
    job = story.submit()
    first = job.run
    assert first is not None
    story.report("a", waits(job))
    story.report("b", free=8)
    assert story.said("a", WithdrawRuns) == [WithdrawRuns((first.token,))]
    assert job.site == "a", "its site has not proved yet that it did not begin"
    gone = RunObservation(first.token, JobState.CANCELLED, ended=story.at, withdrawn=True)
    story.report("a", gone)
    assert (job.site, len(job.runs)) == ("b", 2)
    assert story.said("b", StartRun)


def test_an_order_to_withdraw_that_was_lost_is_repeated():
    story = Story()
    job = story.submit()
    story.report("a", waits(job))
    story.report("b", free=8)
    before = len(story.said("a", WithdrawRuns))
    story.report("a", waits(job))
    assert len(story.said("a", WithdrawRuns)) == before + 1


def test_one_that_has_its_nodes_begins_whatever_was_asked_for_meanwhile():
    story = Story()
    job = story.submit()
    story.report("a", waits(job))
    story.report("b", free=8)
    assert job.run is not None
    assert job.run.leaving
    asks = RunObservation(job.run.token, JobState.SUBMITTED, fenced=True, asks=True)
    story.report("a", asks)
    assert story.said("a", BeginRuns) == [BeginRuns((job.run.token,))]
    assert job.run.begun
    assert job.id not in story.state.holding
    assert not story.said("b", StartRun)


def test_runs_that_were_taken_back_are_no_failed_attempts():
    story = Story()
    story.state.terms = Terms(max_attempts=2)
    job = story.submit()
    for _ in range(4):
        story.at += 100.0
        assert job.run is not None
        story.report("a", waits(job))
        story.report("b", free=8)
        token = job.run.token
        story.report("b", free=0, busy_for=100 * HOUR)
        gone = RunObservation(token, JobState.CANCELLED, ended=story.at, withdrawn=True)
        story.report("a", gone)
        assert not job.state.final
        assert job.site == "a"


def test_a_cancelled_job_holds_no_place():
    story = Story()
    job = story.submit()
    story.do(JobCancelled(story.at, job.id, "u"))
    assert job.id not in story.state.holding
    assert job.run is not None
    gone = RunObservation(job.run.token, JobState.CANCELLED, ended=story.at, withdrawn=True)
    story.report("a", gone)
    assert job.state is JobState.CANCELLED


def test_places_are_bounded():
    story = Story()
    assert POLICY.late is not None
    jobs = [story.submit() for _ in range(3 * POLICY.late.places)]
    held: dict[str, int] = {}
    for job in jobs:
        if job.state is not JobState.QUEUED:
            held[job.site] = held.get(job.site, 0) + 1
    assert held == {"a": POLICY.late.places, "b": POLICY.late.places}


def test_a_restarted_broker_knows_who_holds_a_place():
    story = Story()
    job = story.submit()
    again = federation((member("a"), member("b")), policy=POLICY)
    restore(again, at=story.at, jobs=[job], keys={}, drained={}, revision=9)
    again.check()
    assert job.id in again.holding


@pytest.mark.parametrize("token", [RunToken("01J00000000000000000000000-1")])
def test_what_others_call_a_token_is_theirs(token: RunToken):
    """Anybody can give a job the name of a run: only runs that the broker knows of are ours."""
    story = Story()
    part = story.state.sites[SiteId("a")].report
    assert part is not None
    story.sequence += 1
    stolen = part.partitions[0]
    queue = (WaitingJob(4, 4, 0, 7200, token), *stolen.queue)
    said = CapacityReport(
        SiteId("a"), story.sequence, story.at, 16.0,
        (PartitionCapacity(**{
            **{name: getattr(stolen, name) for name in PartitionCapacity.__slots__},
            "queue": queue,
        }),), arranges=True,
    )  # fmt: skip
    story.do(SiteReported(story.at, said, (), "life", fences=True))
    assert story.submit().site in ("a", "b")


def test_a_job_that_came_and_went_between_two_reports_makes_room_for_the_next():
    """Its site's figures are what they were before: what was set aside for it is there again."""
    story = Story(others=0)
    story.report("a", free=8)
    first, second = story.submit(tasks=8), story.submit(tasks=8)
    assert first.run is not None
    assert (first.site, second.state) == ("a", JobState.QUEUED)
    over = RunObservation(
        first.run.token, JobState.COMPLETED, started=story.at, ended=story.at, exit_code=0,
        begun=True,
    )  # fmt: skip
    story.report("a", over, free=8)
    assert first.state is JobState.COMPLETED
    assert second.site == "a"
