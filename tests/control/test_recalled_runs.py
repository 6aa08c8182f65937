"""Any order of events while bounds of data change: what waits comes back, and every job ends."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import initialize, invariant, rule

from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant, Pool, PoolKind, Project
from res_federation.control.effects import BeginRuns, Effect, SendToSite, StartRun, WithdrawRuns
from res_federation.control.events import Event, GrantMade, PoolSaved, ProjectSaved, Ticked
from res_federation.control.residency import forbidden
from res_federation.model.confidence import Confidence
from res_federation.model.governance import Fact, Governance
from res_federation.model.identifiers import RunToken, SiteId, job_of
from res_federation.model.job_state import JobState
from res_federation.model.site import Site
from res_federation.placement.policies import named
from tests.control.test_life_of_jobs import Federation, a_member
from tests.strategies import examples

LANDS = {"a": "ES", "b": "PT", "c": "US"}
BOUNDS = ((), ("ES",), ("PT",), ("ES", "PT"))


def standing_in(land: str) -> Governance:
    known = tuple((fact, Confidence.SOURCED) for fact in Fact)
    powers = (land,) if land == "US" else (land, "EU")
    return Governance(country=land, jurisdictions=powers, confidence=known)


class FederationOfBounds(Federation):
    """The story of all jobs where a project's data is bound to other countries again and again."""

    projects = ("study", "")
    acts = (
        PoolSaved(1000.0, Pool("res", PoolKind.RES)),
        ProjectSaved(1000.0, Project("study")),
        GrantMade(1000.0, Grant("g", "study", "res", "", 0.0, 1e12, UNLIMITED, UNLIMITED)),
    )

    @initialize()
    def begin(self) -> None:
        self.told_to_leave: set[RunToken] = set()
        super().begin()
        for site in self.sites.values():
            site.gives_back = True

    def member(self, name: str, nodes: int) -> Site:
        return replace(a_member(name, nodes), governance=standing_in(LANDS[name]))

    @rule(lands=st.sampled_from(BOUNDS))
    def bound_changes(self, lands: tuple[str, ...]) -> None:
        self.do(ProjectSaved(self.at, Project("study", jurisdictions=lands)))

    @rule(cores=st.integers(1, 8), heard=st.booleans(), fenced=st.booleans())
    def bound_changes_while_a_site_is_not_heard(
        self, cores: int, heard: bool, fenced: bool
    ) -> None:
        """Place a job, lose its order or not, change the bound unheard; then hear of it again."""
        self.do(ProjectSaved(self.at, Project("study")))
        linked = {*self.linked}
        if not heard:
            self.linked.clear()
        self.count += self.count % 2 + 1  # the next job is of the project
        self.submit(cores, 1, False)
        for _ in range(2):
            self.at += 0.2
            self.do(Ticked(self.at))
            if self.round is not None:
                self.round_ends(works=True)
        self.linked = linked
        mine = [job for job in self.state.jobs.values() if job.spec.project and job.run]
        if not mine or mine[-1].run is None:
            return
        run = mine[-1].run
        site = run.site
        self.linked.discard(site)
        lands = next(one for one in BOUNDS[1:] if LANDS[site] not in one)
        self.do(ProjectSaved(self.at, Project("study", jurisdictions=lands)))
        held = self.sites[site].held.get(run.token)
        if held is not None and held.state is JobState.SUBMITTED:
            if fenced:
                self.sites[site].fence(run.token)
            self.sites[site].begin(run.token)
        self.at += 3.0
        self.linked.add(site)
        self.do(self.sites[site].report(self.at))

    def carry(self, effect: Effect) -> None:
        if isinstance(effect, SendToSite):
            self.orders_are_lawful(effect)
        super().carry(effect)

    def orders_are_lawful(self, sent: SendToSite) -> None:
        """No run is sent, or let begin, where its data may not be, unless to prove it is back."""
        back = {token for order in sent.orders if isinstance(order, WithdrawRuns)
                for token in order.tokens}  # fmt: skip
        for order in sent.orders:
            begins = order.tokens if isinstance(order, BeginRuns) else ()
            starts = (order.token,) if isinstance(order, StartRun) else ()
            for token in (*begins, *starts):
                job = self.state.jobs[job_of(token)]
                if token not in back and not job.cancel_asked:
                    assert forbidden(self.state, job, sent.site) is None, f"{token} at {sent.site}"

    @invariant()
    def what_may_not_be_there_is_asked_back_or_said(self) -> None:
        if not hasattr(self, "state") or self.state.obeyed is not self.state.residency:
            return  # a broker that has just begun looks with its first tick
        for site in self.state.sites.values():
            for job_id in site.runs.values():
                job = self.state.jobs[job_id]
                run = job.run
                assert run is not None
                barred = forbidden(self.state, job, SiteId(site.site.id)) is not None
                assert bool(run.barred) == barred
                if barred and not run.begun and not job.cancel_asked:
                    assert run.leaving
                if barred and run.begun and job.state is JobState.RUNNING and not job.cancel_asked:
                    assert "may no longer be" in job.reason

    def rescue(self) -> list[Event]:
        return [ProjectSaved(self.at, Project("study"))]


TestBounds = FederationOfBounds.TestCase
TestBounds.settings = settings(max_examples=examples(60), stateful_step_count=50, deadline=None)


class LateFederationOfBounds(FederationOfBounds):
    """And where jobs start late, and hold places."""

    policy = named("federated")


TestLateBounds = LateFederationOfBounds.TestCase
TestLateBounds.settings = settings(max_examples=examples(40), stateful_step_count=50, deadline=None)
