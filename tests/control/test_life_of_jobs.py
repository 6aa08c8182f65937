"""Any order of events keeps the invariants, no payload begins twice, and every job ends."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import ceil

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from res_federation.accounting.books import (
    RESERVED,
    USED,
    Balance,
    Books,
    of_grant,
    with_local,
)
from res_federation.accounting.ledger import Entry
from res_federation.accounting.records import Grant, Pool, PoolKind, Project
from res_federation.control.effects import (
    BooksChanged,
    Effect,
    JobChanged,
    RunRound,
    SendToSite,
)
from res_federation.control.events import (
    Event,
    GrantMade,
    JobCancelled,
    JobSubmitted,
    PlanReady,
    PoolSaved,
    ProjectSaved,
    RoundFailed,
    SiteConnected,
    SiteDisconnected,
    SiteDrained,
    SiteResumed,
    Ticked,
)
from res_federation.control.machine import handle
from res_federation.control.paying import funds
from res_federation.control.residency import with_records
from res_federation.control.state import FederationState, federation, restore
from res_federation.model.data_class import NO_CLASSES, Residency
from res_federation.model.identifiers import JobId, SiteId, job_of, new_job_id, partition_id
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.plan import Plan
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.model.site import Partition, Site
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from tests.control.model_site import ModelSite
from tests.strategies import examples


def a_member(name: str, nodes: int) -> Site:
    shape = NodeShape(cores=8, memory_mib=16_000)
    partition = Partition(partition_id(name, "c", "p"), "p", shape, nodes)
    return Site(
        id=SiteId(name), name=name, machine="C", city="", latitude=40.0, longitude=0.0,
        batch="local", partitions=(partition,), clusters=("c",),
    )  # fmt: skip


class Federation(RuleBasedStateMachine):
    """Broker, disk, wire and three model sites under one generated story."""

    policy = Policy()
    projects: tuple[str, ...] = ("",)
    acts: tuple[Event, ...] = ()
    residency: Residency = NO_CLASSES

    def member(self, name: str, nodes: int) -> Site:
        return a_member(name, nodes)

    @initialize()
    def begin(self) -> None:
        self.at = 1000.0
        self.members = tuple(
            self.member(name, nodes) for name, nodes in (("a", 2), ("b", 3), ("c", 1))
        )
        self.sites = {
            member.id: ModelSite(member, clock=lambda: self.at) for member in self.members
        }
        self.linked: set[SiteId] = set()
        self.disk: dict[JobId, Job] = {}
        self.round: RunRound | None = None
        self.count = 0
        self.lost_on_purpose: set[JobId] = set()
        self.ledger: list[Entry] = []
        self.state: FederationState = federation(
            self.members, policy=self.policy, books=with_local(Books()), residency=self.residency
        )
        for event in self.acts:
            self.do(event)
        for member in self.members:
            self.link(member.id)

    def do(self, event: Event) -> None:
        """Handle, write, then speak: as the real loop does."""
        for effect in handle(self.state, event):
            self.carry(effect)

    def carry(self, effect: Effect) -> None:
        match effect:
            case JobChanged():
                self.disk[effect.job.id] = copy.deepcopy(effect.job)
                self.nobody_is_refused_who_may_be_paid_later(effect.job)
                self.ledger += effect.entries
            case BooksChanged():
                self.ledger += effect.entries
            case RunRound():
                assert self.round is None, "two rounds at once"
                self.round = effect
            case SendToSite():
                if effect.site in self.linked:
                    self.sites[effect.site].obey(effect.orders)
            case _:
                pass

    def nobody_is_refused_who_may_be_paid_later(self, job: Job) -> None:
        if job.state is JobState.INFEASIBLE and "grant" in job.reason:
            coming = self.state.books.coming(self.at)
            assert job.spec.project not in {one.project for one in coming if not one.machine}

    def link(self, site: SiteId) -> None:
        self.linked.add(site)
        self.do(SiteConnected(self.at, site))
        self.do(self.sites[site].report(self.at))

    @rule(cores=st.integers(1, 8), nodes=st.integers(1, 3), requeue=st.booleans())
    def submit(self, cores: int, nodes: int, requeue: bool) -> None:
        self.count += 1
        job = new_job_id(int(self.at * 1000), self.count.to_bytes(10, "big"))
        request = ResourceRequest(nodes=nodes, tasks_per_node=1, cpus_per_task=cores)
        project = self.projects[self.count % len(self.projects)]
        spec = JobSpec("j", "u", "#!/bin/sh\n", request, requeue=requeue, project=project)
        self.do(JobSubmitted(self.at, job, spec))

    @rule(pick=st.randoms(use_true_random=False))
    def cancel(self, pick) -> None:
        if self.state.jobs:
            job = pick.choice(sorted(self.state.jobs))
            self.do(JobCancelled(self.at, job, "u"))

    @precondition(lambda self: self.round is not None)
    @rule(works=st.booleans())
    def round_ends(self, works: bool) -> None:
        effect, self.round = self.round, None
        assert effect is not None
        if works:
            self.do(PlanReady(self.at, self.plan(effect)))
        else:
            self.do(RoundFailed(self.at, "a worker died"))

    def plan(self, effect: RunRound) -> Plan:
        plan = place(effect.snapshot, effect.jobs, self.state.policy, sweep=effect.sweep)
        anew = place(effect.snapshot, tuple(effect.jobs), self.state.policy)
        assert plan == anew, "what is known from before changes nothing"
        return plan

    @rule(
        pick=st.randoms(use_true_random=False),
        deed=st.sampled_from(["fence", "begin", "end", "refuse", "withdraw"]),
    )
    def site_works(self, pick, deed: str) -> None:
        site = self.sites[pick.choice(sorted(self.sites))]
        wanted = JobState.RUNNING if deed == "end" else JobState.SUBMITTED
        ready = [token for token, run in site.held.items() if run.state is wanted]
        if ready:
            getattr(site, deed)(pick.choice(ready))

    @rule(name=st.sampled_from("abc"))
    def report(self, name: str) -> None:
        site = SiteId(name)
        if site in self.linked:
            self.do(self.sites[site].report(self.at))

    @rule(name=st.sampled_from("abc"))
    def link_breaks_or_heals(self, name: str) -> None:
        site = SiteId(name)
        if site in self.linked:
            self.linked.discard(site)
            self.do(SiteDisconnected(self.at, site))
        else:
            self.link(site)

    @rule(name=st.sampled_from("abc"))
    def message_is_lost(self, name: str) -> None:
        """The link is gone, and nobody has noticed yet."""
        self.linked.discard(SiteId(name))

    @rule(name=st.sampled_from("abc"), drain=st.booleans())
    def operator(self, name: str, drain: bool) -> None:
        site = SiteId(name)
        self.do(SiteDrained(self.at, site, "o") if drain else SiteResumed(self.at, site, "o"))

    @rule(name=st.sampled_from("abc"))
    def site_loses_its_state(self, name: str) -> None:
        self.sites[SiteId(name)].wipe()

    @rule(seconds=st.sampled_from([0.1, 3.0, 40.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        self.at += seconds
        self.do(Ticked(self.at))

    @rule()
    def broker_restarts(self) -> None:
        live = [copy.deepcopy(job) for job in self.disk.values() if not job.state.final]
        revision = self.state.revision
        books = replace(self.state.books, balances=self.posted(), entries=len(self.ledger))
        assert books == self.state.books, "what is on disk is what was known"
        self.state = federation(
            self.members, policy=self.policy, books=books,
            residency=with_records(self.residency, books.projects),
        )  # fmt: skip
        restore(self.state, at=self.at, jobs=live, keys={}, drained={}, revision=revision)
        self.round = None
        self.linked.clear()

    def funds_are_what_pays(self) -> None:
        """What rounds see of each project's hours is what the commit finds."""
        books, seen = self.state.books, funds(self.state, self.at)
        if seen is None:
            return
        for member in self.members:
            (part,) = member.partitions
            for project in self.projects:
                pays = books.payers(project or books.default, part.id, self.at)
                purses = seen.get((project, part.id), ())
                assert tuple(one for one in purses if not one.begins) == pays
                assert all(one.begins > self.at for one in purses[len(pays) :])

    def posted(self) -> dict[str, Balance]:
        """Return what all entries on disk leave in each account."""
        found: dict[str, Balance] = {}
        for number, entry in enumerate(self.ledger, start=1):
            assert entry.number == number, "an entry is missing"
            for line in entry.lines:
                core_s, accelerator_s, units = found.get(line.account, (0, 0, 0))
                found[line.account] = (
                    core_s + line.core_s, accelerator_s + line.accelerator_s, units + line.units,
                )  # fmt: skip
        return found

    @invariant()
    def state_is_sound(self) -> None:
        if hasattr(self, "state"):
            self.state.check()
            self.funds_are_what_pays()
            assert not self.state.sweep_caught, "a change of capacity was overlooked"

    @invariant()
    def no_payload_begins_twice(self) -> None:
        if not hasattr(self, "sites"):
            return
        begun = [token for site in self.sites.values() for token in site.begun]
        assert len(begun) == len(set(begun)), "one run began twice"
        once = [job_of(token) for token in begun if not self.disk[job_of(token)].spec.requeue]
        assert len(once) == len(set(once)), "a job without --requeue began twice"

    def teardown(self) -> None:
        """Let everything heal: then every job ends, and nothing is stuck."""
        if hasattr(self, "state"):
            self.everything_heals()

    def everything_heals(self) -> None:
        for event in (*(SiteResumed(self.at, name, "o") for name in self.sites), *self.rescue()):
            self.do(event)
        for _ in range(200):
            if not self.state.jobs and not any(site.held for site in self.sites.values()):
                break
            self.at += 5.0
            self.do(Ticked(self.at))
            if self.round is not None:
                self.round_ends(works=True)
            for name, site in self.sites.items():
                for token, run in list(site.held.items()):
                    if run.state is JobState.SUBMITTED:
                        site.begin(token)
                    elif run.state is JobState.RUNNING:
                        site.end(token)
                if name in self.linked:
                    self.do(site.report(self.at))
                else:
                    self.link(name)
        assert not self.state.jobs, (
            f"stuck: {[(j.id, j.state, j.reason) for j in self.state.jobs.values()]}"
        )
        for job in self.disk.values():
            assert job.state.final, f"{job.id} is {job.state} on disk"
            assert job.reason or job.state is JobState.COMPLETED, f"{job.id} ended without a reason"
        self.no_payload_begins_twice()
        self.every_run_is_charged()

    def rescue(self) -> list[Event]:
        """Return what lets every job find somebody who pays."""
        return []

    def every_run_is_charged(self) -> None:
        """Each run that was seen to begin used the seconds that the model site ran it, no other."""
        books = self.state.books
        assert self.posted() == books.balances
        used: dict[str, int] = {}
        for job in self.disk.values():
            cores = job.spec.request.cpus_per_task * (job.spec.request.nodes or 1)
            for run in job.runs:
                assert run.settled
                if run.state is not JobState.LOST:
                    ran = self.sites[run.site].ran.get(run.token, 0.0)
                    seconds = ceil(min(ran, job.spec.time_limit_s))
                    assert run.used_core_s >= cores * seconds
                    if ran <= job.spec.time_limit_s:  # beyond it a site is not believed for long
                        assert run.used_core_s == cores * seconds
                used[run.grant] = used.get(run.grant, 0) + run.used_core_s
        for grant in books.grants:
            assert books.balance(of_grant(grant, RESERVED)) == (0, 0, 0)
            assert books.balance(of_grant(grant, USED))[0] == used.get(grant, 0)


def told_of(whole: int) -> settings:
    return settings(max_examples=examples(whole), stateful_step_count=50, deadline=None)


TestFederation = Federation.TestCase
TestFederation.settings = told_of(200)


class FederationOfLateStarts(Federation):
    """The same story where jobs wait by class and start late."""

    policy = named("federated")


TestFederationOfLateStarts = FederationOfLateStarts.TestCase
TestFederationOfLateStarts.settings = told_of(100)


HOUR = 3600
GRANTS = (
    Grant("one-a", "one", "res", "a", 0.0, 1e9, 40 * HOUR, 0),
    Grant("one-b", "one", "res", "b/c", 0.0, 5000.0, 12 * HOUR, 0, priority=1),
    Grant("two-any", "two", "res", "", 1500.0, 1e9, 30 * HOUR, 0),
)
"""Too little for all that is submitted, on some machines, in periods that begin and end."""


class FederationOfGrants(Federation):
    """The same story where two projects pay with what little they have."""

    projects = ("one", "two", "")
    acts = (
        PoolSaved(1000.0, Pool("res", PoolKind.RES)),
        *(ProjectSaved(1000.0, Project(name, home=home)) for name, home in
          (("one", "a"), ("two", "c"))),
        *(GrantMade(1000.0, grant) for grant in GRANTS),
    )  # fmt: skip

    @rule(
        which=st.sampled_from(GRANTS), hours=st.integers(0, 60), ends=st.sampled_from([3000.0, 1e9])
    )
    def grant_changes(self, which: Grant, hours: int, ends: float) -> None:
        self.do(GrantMade(self.at, replace(which, core_s=hours * HOUR, ends=ends)))

    def rescue(self) -> list[Event]:
        return [
            GrantMade(self.at, Grant(f"more-{project}", project, "res", "", 0.0, 1e12, 1 << 40, 0))
            for project in ("one", "two")
        ]


TestFederationOfGrants = FederationOfGrants.TestCase
TestFederationOfGrants.settings = told_of(40)


class LateFederationOfGrants(FederationOfGrants):
    """And where jobs start late."""

    policy = named("federated")


TestLateFederationOfGrants = LateFederationOfGrants.TestCase
TestLateFederationOfGrants.settings = told_of(20)
