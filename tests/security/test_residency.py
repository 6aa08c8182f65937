"""Data goes only where its class lets it, whatever the load; what is not known is a no."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from res_federation.accounting.records import Project
from res_federation.control.effects import RunRound, SendToSite, StartRun
from res_federation.control.events import (
    Event,
    JobSubmitted,
    PlanReady,
    ProjectSaved,
    SiteConnected,
    Ticked,
)
from res_federation.control.machine import handle
from res_federation.control.state import federation
from res_federation.errors import InvalidArgument
from res_federation.model.audit import AuditEntry
from res_federation.model.data_class import Residency
from res_federation.model.governance import Governance
from res_federation.model.identifiers import JobId, SiteId, site_of
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from res_federation.model.plan import Rejection
from res_federation.model.reason import Code, Reason
from res_federation.model.resources import ResourceRequest
from res_federation.placement.counterfactual import counterfactual
from res_federation.placement.engine import place
from res_federation.placement.explain import explain
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.placement.snapshot import Snapshot
from tests.builders import a_job, a_row, answers
from tests.control.model_site import ModelSite
from tests.control.test_life_of_jobs import a_member
from tests.placement.drawn import jobs, snapshots
from tests.security.residency_sites import (
    CLASSES,
    EU_CLOUD,
    FORBIDDEN_TO_HEALTH,
    HEALTH,
    HOSPITAL_GRADE,
    US_CLOUD,
    allowed,
    governances,
)

NAMES = ("", "public", "internal", "personal", HEALTH)
POLICIES = (Policy(), named("federated"))
BOUND = st.sampled_from(((), (), ("ES",), ("EU",), ("ES", "PT"), ("US",)))


@st.composite
def governed(draw: st.DrawFn) -> tuple[Snapshot, dict[str, Governance | None]]:
    """Draw a federation whose sites are of all kinds."""
    found = draw(snapshots())
    facts: dict[str, Governance | None] = {
        site_of(row.partition): draw(governances()) for row in found.rows
    }
    rows = tuple(replace(row, governance=facts[site_of(row.partition)]) for row in found.rows)
    return replace(found, rows=rows, residency=CLASSES), facts


@st.composite
def classified_queues(draw: st.DrawFn) -> tuple[Job, ...]:
    """Draw a queue of jobs of all classes."""
    queue = [draw(jobs(number)) for number in range(draw(st.integers(1, 8)))]
    return tuple(
        replace(
            job,
            spec=replace(
                job.spec, data_class=draw(st.sampled_from(NAMES)), jurisdictions=draw(BOUND)
            ),
        )
        for job in queue
    )


@pytest.mark.parametrize("policy", POLICIES, ids=("early", "late"))
@given(governed(), classified_queues())
def test_no_plan_puts_data_where_the_rule_forbids_it(
    policy: Policy,
    federation_: tuple[Snapshot, dict[str, Governance | None]],
    queue: tuple[Job, ...],
):
    snapshot, facts = federation_
    plan = place(snapshot, queue, policy)
    specs = {job.id: job.spec for job in queue}
    goes = [(one.job, one.partition) for one in plan.assignments]
    goes += [(one.job, one.place) for one in plan.rejections if one.place is not None]
    for job, partition in goes:
        spec = specs[job]
        assert allowed(spec.data_class, spec.jurisdictions, facts[site_of(partition)])


@given(governances(), st.sampled_from(NAMES), BOUND)
def test_the_filter_is_the_rule_and_bars_no_more(
    site: Governance | None, name: str, bound: tuple[str, ...]
):
    job = a_job(data_class=name, jurisdictions=bound)
    row = a_row("bsc", governance=site)
    plan = place(Snapshot(1, 0.0, (row,), residency=CLASSES), [job], Policy())
    assert bool(plan.assignments) == allowed(name, bound, site)


@pytest.mark.parametrize("policy", POLICIES, ids=("early", "late"))
@given(st.integers(0, 3), st.sampled_from((1, 5, 40)))
def test_health_data_waits_for_the_one_site_that_may_have_it(policy: Policy, free: int, count: int):
    """The example set: however long the queue and however empty the others are."""
    good = a_row("csuc", nodes=3, governance=HOSPITAL_GRADE)
    good = replace(good, free=(replace(good.free[0], nodes=free),) if free else ())
    others = [
        a_row(f"site{n}", nodes=50, governance=facts) for n, facts in enumerate(FORBIDDEN_TO_HEALTH)
    ]
    snapshot = Snapshot(1, 0.0, (good, *others), residency=CLASSES)
    queue = [a_job(n, ResourceRequest(exclusive=True), data_class=HEALTH) for n in range(count)]
    plan = place(snapshot, queue, policy)
    assert {one.partition for one in plan.assignments} <= {"csuc/c/p"}
    assert len([one for one in plan.assignments if one.starts_now]) == min(free, count)
    assert not any(one.permanent for one in plan.rejections)


@pytest.mark.parametrize(
    ("facts", "code"),
    [*zip(
        FORBIDDEN_TO_HEALTH,
        (
            Code.DATA_OPERATOR, Code.DATA_CLOUD, Code.DATA_OPERATOR, Code.DATA_JURISDICTION,
            Code.DATA_CERTIFICATION, Code.DATA_UNKNOWN_HERE,
        ),
        strict=True,
    )],
)  # fmt: skip
def test_each_refusal_has_its_reason_and_is_for_good(facts: Governance | None, code: Code):
    job = a_job(data_class=HEALTH)
    snapshot = Snapshot(1, 0.0, (a_row("bsc", governance=facts),), residency=CLASSES)
    rejection = place(snapshot, [job], Policy()).rejections[0]
    assert (rejection.permanent, rejection.reason.code) == (True, code)


def test_a_class_that_nobody_knows_goes_nowhere():
    snapshot = Snapshot(1, 0.0, (a_row("bsc", governance=HOSPITAL_GRADE),))
    job = a_job(data_class="public")
    assert place(snapshot, [job], Policy()).rejections[0].reason.code is Code.DATA_UNKNOWN_HERE


def test_the_class_of_a_project_binds_a_job_that_was_queued_before():
    rules = Residency(CLASSES.classes, {"clinic": HEALTH})
    snapshot = Snapshot(1, 0.0, (a_row("bsc", governance=US_CLOUD),), residency=rules)
    job = a_job(project="clinic", data_class="public")
    assert not place(snapshot, [job], Policy()).assignments


@given(governed(), st.sampled_from(NAMES[1:]), st.data())
def test_no_counterfactual_is_bought_with_the_class(
    federation_: tuple[Snapshot, dict[str, Governance | None]], name: str, data: st.DataObject
):
    snapshot, facts = federation_
    job = data.draw(jobs(1))
    job = replace(job, spec=replace(job.spec, data_class=name))
    told = counterfactual(snapshot, job, Policy())
    assert not {"data_class", "jurisdictions", "project"} & {field for field, _ in told.change}
    if told.partition is not None:
        assert allowed(name, (), facts[site_of(told.partition)])


def test_the_explanation_names_the_data_before_all_else():
    row = a_row("bsc", nodes=0, governance=EU_CLOUD)
    job = a_job(data_class=HEALTH, clusters=("elsewhere",))
    plan = place(Snapshot(1, 0.0, (row,), residency=CLASSES), [job], Policy())
    told = explain(job.id, bytes(answers(plan)[job.id].decision), plan.frame, 0.0)
    assert told.candidates[0].reasons[0].code is Code.DATA_CLOUD


# --- through the control ------------------------------------------------------------------------


class World:
    """The control with model sites under it: events in, orders noted."""

    def __init__(self, facts: dict[str, Governance | None], **projects: str) -> None:
        self.members = tuple(replace(a_member(name, 3), governance=facts[name]) for name in facts)
        self.sites = {member.id: ModelSite(member) for member in self.members}
        self.state = federation(
            self.members,
            policy=named("federated"),
            residency=Residency(CLASSES.classes, projects),
        )
        self.at = 1.0
        self.started: list[tuple[JobId, SiteId]] = []
        self.noted: list[AuditEntry] = []
        for member in self.members:
            self.do(SiteConnected(self.at, member.id))
            self.do(self.sites[member.id].report(self.at))

    def do(self, event: Event) -> None:
        for effect in handle(self.state, event):
            match effect:
                case RunRound():
                    plan = place(effect.snapshot, effect.jobs, self.state.policy)
                    self.do(PlanReady(self.at, plan))
                case SendToSite():
                    orders = [order for order in effect.orders if isinstance(order, StartRun)]
                    self.started += [(order.job, effect.site) for order in orders]
                    self.sites[effect.site].obey(effect.orders)
                case AuditEntry():
                    self.noted.append(effect)

    def pass_time(self) -> None:
        """Let runs begin and end, and the sites report."""
        for site in self.sites.values():
            for token, run in list(site.held.items()):
                if run.state is JobState.RUNNING:
                    site.end(token)
                elif not run.state.final:
                    site.begin(token)
            self.at += 1.0
            self.do(site.report(self.at))
        self.do(Ticked(self.at))


@given(
    st.lists(governances() | st.just(HOSPITAL_GRADE), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 3)), min_size=1, max_size=12),
)
def test_no_order_ever_leaves_for_a_site_that_is_closed_to_the_data(
    facts: list[Governance | None], wanted: list[tuple[str, int]]
):
    known = {f"s{number}": one for number, one in enumerate(facts)}
    world = World(known)
    classes: dict[str, str] = {}
    for number, (kind, nodes) in enumerate(wanted):
        job = a_job(number, ResourceRequest(nodes=nodes, tasks_per_node=1), data_class=kind)
        classes[job.id] = kind
        world.do(JobSubmitted(world.at, job.id, job.spec))
    for _ in range(6):
        world.pass_time()
    for name, site in world.started:
        assert allowed(classes[name], (), known[site])
    for job in world.state.jobs.values():
        if job.state is JobState.QUEUED:
            assert any(allowed(job.spec.data_class, (), one) for one in facts)


def test_health_data_runs_and_only_where_it_may_beside_a_long_queue():
    world = World({"hospital": HOSPITAL_GRADE, "cloud": EU_CLOUD, "us": US_CLOUD, "new": None})
    health = [a_job(n, ResourceRequest(exclusive=True), data_class=HEALTH) for n in range(20)]
    for job in health:
        world.do(JobSubmitted(world.at, job.id, job.spec))
    for _ in range(30):
        world.pass_time()
    assert {site for _, site in world.started} == {"hospital"}
    assert {job for job, _ in world.started} == {job.id for job in health}


@pytest.mark.parametrize("place_is_held", [False, True])
def test_the_commit_refuses_a_plan_that_breaks_the_rule(place_is_held: bool):
    """Whoever made it: a plan of another time, of a worker gone wrong, of a file that changed."""
    world = World({"cloud": EU_CLOUD})
    job = a_job(1, data_class=HEALTH)
    open_to_all = replace(world.state, residency=Residency({HEALTH: CLASSES.classes["public"]}))
    rounds = [
        effect
        for effect in handle(open_to_all, JobSubmitted(2.0, job.id, job.spec))
        if isinstance(effect, RunRound)
    ]
    plan = place(rounds[0].snapshot, rounds[0].jobs, world.state.policy)
    assert plan.assignments
    if place_is_held:
        one = plan.assignments[0]
        held = Rejection(
            job.id, False, Reason(Code.PLACE_AT_SITE), one.decision, one.partition, 60.0
        )
        plan = replace(plan, assignments=(), alone=(held,))
    strict = replace(open_to_all, residency=CLASSES)
    sent = [one for one in handle(strict, PlanReady(2.0, plan)) if isinstance(one, SendToSite)]
    assert not sent
    assert strict.jobs[job.id].state is JobState.QUEUED
    assert not strict.jobs[job.id].runs


def test_the_audit_log_hears_once_of_the_sites_that_were_barred():
    world = World({"hospital": HOSPITAL_GRADE, "cloud": EU_CLOUD, "new": None}, clinic=HEALTH)
    job = a_job(1, project="clinic")
    world.do(JobSubmitted(2.0, job.id, job.spec))
    for _ in range(3):
        world.pass_time()
    (entry,) = world.noted
    assert (entry.act, entry.target, entry.outcome) == ("data.bar", job.id, "denied")
    assert dict(entry.data) == {
        "data_class": HEALTH, "DATA_CLOUD": "cloud", "DATA_UNKNOWN_HERE": "new",
    }  # fmt: skip
    assert world.state.jobs == {} or world.state.jobs[job.id].spec.data_class == HEALTH


@pytest.mark.parametrize(
    ("name", "says"),
    [("helth", "classes: public, internal, personal"), ("personal", "laxer in ens")],
)
def test_a_job_is_of_a_class_that_is_known_and_at_least_as_strict(name: str, says: str):
    world = World({"hospital": HOSPITAL_GRADE}, clinic=HEALTH)
    job = a_job(1, project="clinic", data_class=name)
    with pytest.raises(InvalidArgument) as caught:
        world.do(JobSubmitted(2.0, job.id, job.spec))
    assert says in str(caught.value)
    assert caught.value.field == "spec.data_class"


def test_a_stricter_class_than_the_projects_is_taken():
    world = World({"hospital": HOSPITAL_GRADE}, lab="personal")
    job = a_job(1, project="lab", data_class=HEALTH)
    world.do(JobSubmitted(2.0, job.id, job.spec))
    assert world.started == [(job.id, SiteId("hospital"))]


def test_what_a_projects_own_record_says_of_its_data_binds_its_jobs():
    portuguese = replace(HOSPITAL_GRADE, country="PT", jurisdictions=("PT", "EU"))
    world = World({"hospital": HOSPITAL_GRADE, "lisbon": portuguese, "cloud": EU_CLOUD})
    with pytest.raises(InvalidArgument, match="classes: public"):
        world.do(ProjectSaved(1.0, Project("clinic", data_class="helth"), "op"))
    with pytest.raises(InvalidArgument, match="no code of a country"):
        world.do(ProjectSaved(1.0, Project("clinic", jurisdictions=("Spain",)), "op"))
    record = Project("clinic", data_class=HEALTH, jurisdictions=("ES",))
    world.do(ProjectSaved(1.0, record, "op"))
    jobs = [a_job(number, project="clinic") for number in range(5)]
    for job in jobs:
        world.do(JobSubmitted(2.0, job.id, job.spec))
    for _ in range(30):
        world.pass_time()
    assert {site for _, site in world.started} == {"hospital"}
    assert {job for job, _ in world.started} == {job.id for job in jobs}
    lax = a_job(9, project="clinic", data_class="personal")
    with pytest.raises(InvalidArgument, match="laxer in ens"):
        world.do(JobSubmitted(9.0, lax.id, lax.spec))


def test_a_record_and_the_catalogue_bind_together():
    world = World({"hospital": HOSPITAL_GRADE, "cloud": EU_CLOUD}, clinic=HEALTH)
    world.do(ProjectSaved(1.0, Project("clinic", data_class="public"), "op"))
    assert world.state.residency.of_project("clinic") == (HEALTH, "public")
    job = a_job(1, project="clinic")
    world.do(JobSubmitted(2.0, job.id, job.spec))
    for _ in range(5):
        world.pass_time()
    assert {site for _, site in world.started} == {"hospital"}
