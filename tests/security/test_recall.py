"""A bound that becomes stricter: what waits where its data may no longer go comes back."""

from __future__ import annotations

import pytest

from res_federation.accounting.records import Project
from res_federation.control.events import JobSubmitted, ProjectSaved, Ticked
from res_federation.model.data_class import Residency
from res_federation.model.identifiers import JobId, SiteId, job_of
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest
from tests.builders import a_job
from tests.security.residency_sites import CLASSES, HEALTH, HOSPITAL_GRADE, US_OWNED
from tests.security.test_residency import World


def a_world_with_runs(*, gives_back: bool = True) -> tuple[World, list[JobId]]:
    """Make a world where jobs of a project without a class are at both of two sites."""
    world = World({"hospital": HOSPITAL_GRADE, "us": US_OWNED})
    for site in world.sites.values():
        site.gives_back = gives_back
    world.do(ProjectSaved(world.at, Project("clinic")))
    jobs = [a_job(n, ResourceRequest(exclusive=True), project="clinic") for n in range(6)]
    for job in jobs:
        world.at += 0.2  # a round each
        world.do(JobSubmitted(world.at, job.id, job.spec))
    assert {site for _, site in world.started} == {"hospital", "us"}
    return world, [job.id for job in jobs]


def acts(world: World) -> list[tuple[str, str]]:
    return [
        (one.act, one.target) for one in world.noted if one.act in ("data.recall", "data.stays")
    ]


def at(world: World, site: str) -> list[JobId]:
    return [job.id for job in world.state.jobs.values() if job.site == site]


@pytest.mark.parametrize("confirmed", [False, True])
def test_what_waits_where_its_data_may_no_longer_go_is_asked_back_and_placed_again(
    confirmed: bool,
):
    world, _ = a_world_with_runs()
    away = at(world, "us")
    if confirmed:
        world.do(world.sites[SiteId("us")].report(world.at))
    before = len(world.started)
    world.do(ProjectSaved(world.at, Project("clinic", data_class=HEALTH)))
    for name in away:
        job = world.state.jobs[name]
        assert job.run is not None
        assert (job.run.leaving, job.run.begun) == (True, False)
        assert job.reason.startswith("asked back from us, where its data may no longer go: ")
    assert sorted(acts(world)) == sorted(("data.recall", name) for name in away)
    for _ in range(20):
        world.pass_time()
    assert not world.state.jobs, "all have run"
    assert {site for _, site in world.started[before:]} == {"hospital"}
    assert not any(world.sites[SiteId("us")].begun), "no payload began where it may not be"
    world.state.check()


def test_an_order_to_come_back_that_was_lost_is_given_again():
    world, _ = a_world_with_runs(gives_back=False)
    world.do(ProjectSaved(world.at, Project("clinic", data_class=HEALTH)))
    us = world.sites[SiteId("us")]
    us.gives_back = True
    world.do(us.report(world.at))
    for _ in range(20):
        world.pass_time()
    assert not world.state.jobs
    assert not us.begun


def test_what_runs_where_its_data_may_no_longer_be_goes_on_and_says_so():
    world, _ = a_world_with_runs()
    us = world.sites[SiteId("us")]
    for token in list(us.held):
        us.begin(token)
    running = at(world, "us")
    world.do(us.report(world.at))
    world.do(ProjectSaved(world.at, Project("clinic", data_class=HEALTH)))
    assert sorted(acts(world)) == sorted(("data.stays", name) for name in running)
    told = [one for one in world.noted if one.act == "data.stays"]
    assert {one.outcome for one in told} == {"denied"}, "the broker's log warns of it"
    world.do(us.report(world.at))
    for name in running:
        job = world.state.jobs[name]
        assert (job.state, job.site) == (JobState.RUNNING, "us")
        assert job.reason.startswith("runs at us, where its data may no longer be: ")
        assert job.run is not None
        assert job.run.barred
    world.do(ProjectSaved(world.at, Project("clinic")))
    assert not any(job.run and job.run.barred for job in world.state.jobs.values())
    for _ in range(10):
        world.pass_time()
    assert not world.state.jobs


def test_what_begins_before_the_order_reaches_it_is_told_once_and_fenced_runs_do_not_begin():
    world, _ = a_world_with_runs(gives_back=False)
    us = world.sites[SiteId("us")]
    one, *others = list(us.held)
    for token in others:
        us.fence(token)
    world.do(us.report(world.at))
    world.do(ProjectSaved(world.at, Project("clinic", data_class=HEALTH)))
    us.begin(one)
    for token in others:
        us.begin(token)  # they have their nodes and ask
    for _ in range(3):
        world.do(us.report(world.at))
    assert us.begun == [one]
    stays = [target for act, target in acts(world) if act == "data.stays"]
    assert stays == [job_of(one)]


def test_a_broker_that_begins_with_stricter_classes_or_other_facts_looks_again():
    world, _ = a_world_with_runs()
    away = at(world, "us")
    assert not acts(world)
    world.state.residency = Residency(CLASSES.classes, {"clinic": HEALTH})
    world.state.obeyed = None  # as a broker begins
    world.do(Ticked(world.at))
    assert sorted(acts(world)) == sorted(("data.recall", name) for name in away)
