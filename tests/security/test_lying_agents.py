"""An agent that lies: it harms its own site at most, within bounds, and everybody can see it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from res_federation.control.answers import SKEW_S
from res_federation.control.effects import CancelRun, Effect
from res_federation.control.events import (
    SiteConnected,
)
from res_federation.control.plausible import believed
from res_federation.control.reports import MOST_TOLD
from res_federation.model.audit import AuditEntry
from res_federation.model.capacity import CapacityReport, FreeNodes, Release
from res_federation.model.identifiers import SiteId, run_token
from res_federation.model.job import Run, RunObservation, TaskOutcome
from res_federation.model.job_state import JobState
from tests.security.lying import AT, CPU, GPU, Broker, a_part, a_site, the_token


def test_an_honest_report_is_believed_as_it_is() -> None:
    broker = Broker()
    told = broker.honest("good")
    kept, doubts = believed(told, broker.state.sites[SiteId("good")].declared, broker.at)
    assert kept is told
    assert doubts == ()
    assert broker.denials == []


def test_a_million_gpus_are_not_believed_and_everybody_sees_it() -> None:
    broker = Broker()
    huge = replace(GPU, accelerators=1_000_000, cores=1_000_000)
    told = replace(broker.honest("liar"), partitions=(a_part("liar/c/gpu", huge, 1_000_000),))
    broker.report("liar", told=told)
    site = broker.state.sites[SiteId("liar")]
    assert site.report is not None
    (part,) = site.report.partitions
    assert (part.nodes, part.shape.accelerators, part.shape.cores) == (12, 4, 80)
    assert sum(bar.nodes for bar in part.free) <= 12
    assert any("1000000 nodes: 10 declared" in doubt for doubt in site.doubts)
    assert {one.actor for one in broker.denials} == {"site:liar"}
    broker.report("liar")
    assert site.doubts == ()


def test_a_site_may_have_grown_a_little_and_no_more() -> None:
    declared = {part.id: part for part in a_site("liar").partitions}
    for nodes, kept in ((110, 110), (111, 110)):
        told = CapacityReport(SiteId("liar"), 1, AT, 60.0, (a_part("liar/c/cpu", CPU, nodes),))
        seen, doubts = believed(told, declared, AT)
        assert (seen.partitions[0].nodes, bool(doubts)) == (kept, nodes > kept)


def test_groups_of_one_partition_share_its_nodes() -> None:
    declared = {part.id: part for part in a_site("liar").partitions}
    parts = tuple(a_part("liar/c/gpu", replace(GPU, cores=80 - n), 10) for n in range(50))
    seen, doubts = believed(CapacityReport(SiteId("liar"), 1, AT, 60.0, parts), declared, AT)
    assert sum(part.nodes for part in seen.partitions) == 12
    assert doubts


def test_accelerators_of_another_kind_or_where_none_are_declared_are_not_believed() -> None:
    declared = {part.id: part for part in a_site("liar").partitions}
    better = replace(GPU, accelerator="nvidia-b200", accelerator_memory_mib=192 << 10)
    gifted = replace(CPU, accelerator="nvidia-h100-sxm-64gb", accelerators=4)
    told = CapacityReport(
        SiteId("liar"), 1, AT, 60.0,
        (a_part("liar/c/gpu", better, 5), a_part("liar/c/cpu", gifted, 5)),
    )  # fmt: skip
    seen, doubts = believed(told, declared, AT)
    assert [part.shape.accelerator for part in seen.partitions] == [GPU.accelerator, ""]
    assert seen.partitions[1].free[0].accelerators == 0
    assert len(doubts) == 2


def test_partitions_that_nobody_declared_get_no_jobs() -> None:
    broker = Broker()
    parts = tuple(a_part(f"liar/c/p{number}", GPU, 4) for number in range(1000))
    broker.report("liar", told=replace(broker.honest("liar"), partitions=parts))
    site = broker.state.sites[SiteId("liar")]
    assert site.report is not None
    assert site.report.partitions == ()
    assert len(broker.denials) <= MOST_TOLD


def test_more_free_than_there_is_is_cut() -> None:
    declared = {part.id: part for part in a_site("liar").partitions}
    part = a_part(
        "liar/c/cpu", CPU, 100, available=500,
        free=tuple(FreeNodes(100, 10_000, 1 << 40, 64) for _ in range(9)),
        releases=(Release(AT, 10_000, 10**9, 10**9),), pending_core_s=-5.0,
        pending_jobs=-1, max_time_s=-7,
    )  # fmt: skip
    (seen,) = believed(CapacityReport(SiteId("liar"), 1, AT, 60.0, (part,)), declared, AT)[
        0
    ].partitions
    assert seen.free == (FreeNodes(100, 64, 256_000, 0),)
    assert (seen.available, seen.pending_core_s, seen.pending_jobs, seen.max_time_s) == (
        100, 0.0, 0, 0,
    )  # fmt: skip
    assert seen.releases == (Release(AT, 100, 6400, 0),)


def test_a_sequence_from_the_past_or_told_twice_changes_nothing_and_is_told_once() -> None:
    broker = Broker()
    site = broker.state.sites[SiteId("liar")]
    newest = site.report
    assert newest is not None
    told: list[Effect] = []
    for sequence in (newest.sequence, newest.sequence - 1, 0):
        old = replace(broker.honest("liar"), sequence=sequence, partitions=())
        told += broker.report("liar", told=old)
    assert [one.reason for one in told if isinstance(one, AuditEntry)] == [
        "the sequence of its report is from the past"
    ]
    assert len(told) == 1
    assert site.report is newest
    assert site.ignored == 3
    broker.report("liar")
    assert site.report is not newest


def test_a_sequence_from_the_future_does_not_silence_the_site() -> None:
    broker = Broker()
    site = broker.state.sites[SiteId("liar")]
    newest = site.report
    broker.report("liar", told=replace(broker.honest("liar"), sequence=2**64 - 1))
    assert site.report is newest
    assert broker.denials
    broker.report("liar")
    assert site.report is not newest


def test_an_agent_that_reconnects_is_heard_again() -> None:
    broker = Broker()
    broker.do(SiteConnected(broker.at, SiteId("liar")))
    broker.report("liar")
    assert broker.denials == []
    assert broker.state.sites[SiteId("liar")].ignored == 0


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.COMPLETED, JobState.FAILED])
def test_the_run_of_another_site_is_not_for_this_one_to_tell(state: JobState) -> None:
    broker = Broker()
    job = broker.jobs["good"]
    before = copy.deepcopy(job)
    token = the_token(job)
    effects = broker.report(
        "liar", RunObservation(token, state, begun=True, started=AT, ended=AT, exit_code=0)
    )
    assert broker.state.jobs[job.id] == before
    assert [one for one in broker.orders(effects) if getattr(one, "token", "") == token] == []
    assert [(one.actor, one.target) for one in broker.denials] == [("site:liar", token)]


def test_an_attempt_that_never_was_is_not_believed() -> None:
    broker = Broker()
    job = broker.jobs["liar"]
    before = copy.deepcopy(job)
    never = run_token(job.id, 7)
    broker.report("liar", RunObservation(never, JobState.COMPLETED, exit_code=0))
    assert broker.state.jobs[job.id] == before
    assert [one.target for one in broker.denials] == [never]


def test_an_old_attempt_at_the_same_site_is_cancelled_as_before() -> None:
    broker = Broker()
    job = broker.jobs["liar"]
    token = the_token(job)
    broker.report("liar", RunObservation(token, JobState.FAILED, refused=True))
    effects = broker.report("liar", RunObservation(token, JobState.SUBMITTED))
    assert CancelRun(token) in broker.orders(effects)
    assert broker.denials == []


@pytest.mark.parametrize(
    ("started", "ended"),
    [(0.0, 1.0), (AT - 1e9, AT + 1e9), (AT + 1e9, AT + 2e9), (AT, AT - 1e6), (-1e12, 1e12)],
)
def test_a_run_takes_no_longer_than_since_its_placement(started: float, ended: float) -> None:
    broker = Broker()
    job = broker.jobs["liar"]
    broker.at += 100.0
    token = the_token(job)
    tasks = (TaskOutcome(-1, JobState.COMPLETED, 0, started=started, ended=ended),)
    broker.report(
        "liar",
        RunObservation(
            token, JobState.COMPLETED, started=started, ended=ended, exit_code=0, tasks=tasks
        ),
    )
    run = job.runs[-1]
    assert job.state is JobState.COMPLETED
    ends: list[Run | TaskOutcome] = [run, *run.tasks]
    for one in ends:
        assert one.started is not None
        assert one.ended is not None
        assert AT - SKEW_S <= one.started <= one.ended <= broker.at + SKEW_S
        assert one.ended - one.started <= 106.0
    assert broker.denials


def test_tasks_that_the_job_does_not_have_are_left_out() -> None:
    broker = Broker()
    token = the_token(broker.jobs["liar"])
    tasks = tuple(TaskOutcome(index, JobState.RUNNING) for index in (-1, -1, 5, 10**12))
    broker.report("liar", RunObservation(token, JobState.RUNNING, begun=True, tasks=tasks))
    run = broker.jobs["liar"].run
    assert run is not None
    assert [task.index for task in run.tasks] == [-1]
    assert "3 tasks" in broker.denials[0].reason


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.INFEASIBLE])
def test_states_that_no_run_has_are_not_believed(state: JobState) -> None:
    broker = Broker()
    before = copy.deepcopy(broker.jobs["liar"])
    broker.report("liar", RunObservation(the_token(before), state))
    after = broker.state.jobs[before.id]
    assert (after.state, after.run) == (before.state, before.run)


def test_what_is_told_to_the_audit_log_has_an_end() -> None:
    broker = Broker()
    for number in range(3 * MOST_TOLD):
        never = run_token(broker.jobs["liar"].id, number + 2)
        broker.report("liar", RunObservation(never, JobState.RUNNING))
    assert len(broker.denials) == MOST_TOLD
