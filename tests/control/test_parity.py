"""What members gave one another weighs in the placement, within its bound, where a policy asks."""

from __future__ import annotations

from dataclasses import replace

from res_federation.accounting import ledger
from res_federation.accounting.books import Books, with_local
from res_federation.control.capacity import snapshot
from res_federation.control.events import JobSubmitted, SiteConnected
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, federation
from res_federation.model.job import Job, JobSpec
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy, Weight
from tests.builders import an_id
from tests.control.model_site import ModelSite
from tests.control.test_life_of_jobs import a_member

A_THOUSAND_HOURS = 1000 * 3600 * 1000  # thousandths of units


def two_members(rate: float) -> FederationState:
    members = tuple(a_member(name, 2) for name in ("a", "b"))
    policy = Policy()
    policy = replace(policy, weights=replace(policy.weights, parity=Weight(rate, 900.0)))
    state = federation(members, policy=policy, books=with_local(Books()))
    for member in members:
        handle(state, SiteConnected(1000.0, member.id))
        handle(state, ModelSite(member).report(1000.0))
    return state


def site_for(state: FederationState) -> str:
    job = Job(an_id(1), JobSpec("j", "u", "#!/bin/sh\n"), 1000.0)
    (sent,) = place(snapshot(state, 1000.0), (job,), state.policy).assignments
    return sent.partition.split("/")[0]


def test_who_gave_more_is_spared_where_the_policy_weighs_it():
    for giver, taker in (("a", "b"), ("b", "a")):
        state = two_members(rate=60.0)
        ledger.exchange(state.books, giver, taker, 5 * A_THOUSAND_HOURS, 1000.0)
        assert snapshot(state, 1000.0).parity == {giver: 5000.0, taker: -5000.0}
        assert site_for(state) == taker


def test_the_default_policy_weighs_it_less_than_a_grade_of_an_accelerator():
    weights = named("federated").weights
    assert weights.parity.rate > 0
    assert 0 < weights.parity.cap_s < weights.scarcity.rate


def test_a_policy_without_the_term_does_not_look_at_it():
    plain = site_for(two_members(rate=0.0))
    for giver, taker in (("a", "b"), ("b", "a")):
        state = two_members(rate=0.0)
        ledger.exchange(state.books, giver, taker, 500 * A_THOUSAND_HOURS, 1000.0)
        assert snapshot(state, 1000.0).parity == {}
        assert site_for(state) == plain


def test_a_job_of_developer_mode_is_paid_without_a_grant_of_its_own():
    state = two_members(rate=0.0)
    handle(state, JobSubmitted(1000.0, an_id(2), JobSpec("j", "u", "#!/bin/sh\n")))
    assert snapshot(state, 1000.0).funds is None, "nothing that a round could look at is bounded"
