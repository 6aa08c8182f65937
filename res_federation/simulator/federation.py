"""Replay a workload on a federation: the production machine between users and virtual sites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from res_federation.control.effects import RunRound
from res_federation.control.state import Terms, federation
from res_federation.model.plan import Plan
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.simulator.demand import Demand
from res_federation.simulator.federation_engine import (
    AT_ONCE,
    Engine,
    Planner,
    Record,
    Rules,
    left_out,
)
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.site_models import FederationModel, cores
from res_federation.simulator.virtual_site import VirtualSite
from res_federation.simulator.virtual_site_partition import MakeQueue
from res_federation.simulator.workload import Workload


def play(
    workload: Workload,
    model: FederationModel,
    make_queue: MakeQueue,
    *,
    policy: Policy,
    rules: Rules = AT_ONCE,
    home: list[int] | None = None,
) -> Outcome:
    """Play *workload* out, as it stands, on *model*."""
    demand = Demand(workload, shaped=model.shaped)
    state = federation(model.sites, distances=model.distances, policy=policy, terms=terms_of(rules))
    homes = home or [-1] * len(workload)
    engine = Engine(state, demand, homes, _planner(policy), rules)
    first = 0
    for site in model.sites:
        engine.sites[site.id] = VirtualSite(
            site, demand, first, make_queue,
            begun=engine.begun, fences=rules.fences, lease_s=int(state.terms.lease_s),
        )  # fmt: skip
        first += len(site.partitions)
    return outcome(workload, model, engine.run(), homes)


def _planner(policy: Policy) -> Planner:
    def plan(effect: RunRound) -> Plan:
        return place(effect.snapshot, effect.jobs, policy)

    return plan


def terms_of(rules: Rules) -> Terms:
    """Return production's terms; an order is not repeated while it may still be on its way."""
    terms = Terms()
    there_and_back = rules.order_delay_s + rules.report_delay_s + rules.report_interval_s
    return replace(
        terms, round_interval_s=0.0, resend_s=max(terms.resend_s, 2.0 * there_and_back + 1.0)
    )


def outcome(workload: Workload, model: FederationModel, record: Record, home: list[int]) -> Outcome:
    """Return a record as arrays."""
    return Outcome(
        workload=workload,
        places=tuple(
            Place(site.id, part.id, cores(part)) for site in model.sites for part in site.partitions
        ),
        place=np.array(record.place, np.int64),
        start=np.array(record.start, np.int64),
        end=np.array(record.end, np.int64),
        local=np.array(home, np.int64) >= 0,
        left_out=dict(left_out(record)),
    )
