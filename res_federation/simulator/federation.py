"""Replay a workload on a federation: the production machine between users and virtual sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from res_federation.control.effects import RunRound
from res_federation.control.state import Terms, federation
from res_federation.errors import InvalidArgument
from res_federation.model.plan import Plan
from res_federation.model.site import Partition
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.policy import Policy
from res_federation.simulator import background
from res_federation.simulator.choosers import Chooser
from res_federation.simulator.copies import CopiesEngine
from res_federation.simulator.demand import Demand
from res_federation.simulator.disturbances import Disturbance, disturb
from res_federation.simulator.federation_engine import Engine, Planner
from res_federation.simulator.federation_rules import Record, Rules, left_out
from res_federation.simulator.load import at_load
from res_federation.simulator.local_queue import LocalQueue
from res_federation.simulator.outcome import Outcome, Place
from res_federation.simulator.pool import replay_pool
from res_federation.simulator.shaped_queue import ShapedQueue
from res_federation.simulator.site_models import FederationModel, cores
from res_federation.simulator.site_order import PERIOD_S, SiteOrder
from res_federation.simulator.virtual_site import VirtualSite
from res_federation.simulator.virtual_site_partition import MakeQueue, Queue, is_pool
from res_federation.simulator.workload import Workload

PLACED = ("federated", "earliest-start")
"""Policies that are `place` itself; both are the production policy of today."""
CHOSEN = ("least-load", "shortest-queue", "round-robin", "random")
COPIES = {"slurm-federation": "submit", "copies-wfp3": "(wait / limit) ** 3 * procs"}
"""Copies in every queue, and the order of every site's queue: see `site_order`."""
ONE_MACHINE = "one-machine"
"""All processors as one pool under the local scheduler alone: what being one could bring."""
POLICIES = (*PLACED, *COPIES, *CHOSEN)
COMPARED = (*POLICIES, ONE_MACHINE)
SCHEDULERS = ("fcfs", "easy", "conservative")
NO_BOUND = 10**9


def replay_federation(  # noqa: PLR0913 - one argument for each setting of the command
    workload: Workload,
    model: FederationModel,
    *,
    policy: str = "federated",
    scheduler: str = "easy",
    seed: int = 0,
    load: float | None = None,
    local_share: float = 0.0,
    local: Workload | None = None,
    order: str = "submit",
    rules: Rules | None = None,
    weights: Policy | None = None,
    events: Sequence[Disturbance] = (),
    make_queue: MakeQueue | None = None,
) -> Outcome:
    """Replay *workload* on *model*; the same arguments give the same outcome, byte for byte.

    Args:
        workload: The jobs.
        model: Who takes part.
        policy: One of `COMPARED`; any name that *weights* have.
        scheduler: Of every site: one of `SCHEDULERS`.
        seed: Settles ties and draws.
        load: Submissions are stretched to this load of the federation; None leaves them.
        local_share: Part of the load that users submit at the sites themselves.
        local: Jobs that the sites' own users submit besides; the outcome has them too. They are
            taken as they are, whatever the *load*.
        order: In which order jobs wait at every site: ``submit``, ``fair-share`` or a formula,
            see `site_order`; ``submit`` gives way to the order that a policy of copies has.
        rules: How old news is, and what sites do; None for news at once.
        weights: Weights of the production policy; None for those of *policy* with *seed*.
        events: What happens to sites from outside.
        make_queue: Makes the local schedulers, instead of *scheduler*.

    Raises:
        InvalidArgument: If a name is not known or a figure cannot be.

    """
    _check_names(policy if weights is None or policy in COMPARED else PLACED[0], scheduler)
    if load is not None:
        workload = at_load(workload, model.processors, load)
    of_sites = None
    if local is not None:
        workload, of_sites = background.together(workload, local)
    if policy == ONE_MACHINE:
        return replay_pool(workload, model.processors, scheduler)
    order = COPIES.get(policy, order) if order == "submit" else order
    weights = _weights(policy, seed, weights)
    engine = _engine(
        workload, model, weights, rules or Rules(), make_queue or queues(scheduler, order),
        order=order, copies=policy in COPIES,
    )  # fmt: skip
    partitions = [part for _, part in engine.parts]
    engine.home[:] = background.homes(engine.demand, partitions, local_share, seed, of_sites)
    if policy in CHOSEN:
        engine.planner = Chooser(policy, engine.demand, partitions, seed)
    disturb(engine, events)
    return outcome(workload, model, engine.run(), engine.home)


def _weights(policy: str, seed: int, given: Policy | None) -> Policy:
    weights = given or (named(policy, seed) if policy in PLACED else Policy(seed=seed))
    return replace(weights, max_waiting_per_partition=NO_BOUND) if policy in CHOSEN else weights


def _check_names(policy: str, scheduler: str) -> None:
    if policy not in COMPARED:
        raise InvalidArgument(
            f"there is no policy '{policy}'", field="policy", way_out=", ".join(COMPARED)
        )
    if scheduler not in SCHEDULERS:
        raise InvalidArgument(
            f"there is no scheduler '{scheduler}'", field="scheduler", way_out=", ".join(SCHEDULERS)
        )


def queues(scheduler: str, order: str = "submit") -> MakeQueue:
    """Return what makes the local scheduler of a partition; *order* as of `site_order`."""
    if order not in ("submit", "fair-share"):
        order = "formula"

    def make(partition: Partition) -> Queue:
        if not is_pool(partition):
            return ShapedQueue(partition.shape, partition.nodes or 0, scheduler, order=order)
        return LocalQueue(partition.nodes or 0, scheduler, order=order)

    return make


def _engine(
    workload: Workload,
    model: FederationModel,
    policy: Policy,
    rules: Rules,
    make_queue: MakeQueue,
    *,
    order: str,
    copies: bool,
) -> Engine:
    """Build the federation, idle."""
    state = federation(model.sites, distances=model.distances, policy=policy, terms=terms_of(rules))
    demand = Demand(workload, shaped=model.shaped)
    kind = CopiesEngine if copies else Engine
    period = 0 if order in COPIES.values() else PERIOD_S  # a rival at its best
    engine = kind(state, demand, [-1] * len(workload), planner(policy), rules)
    first = 0
    for site in model.sites:
        engine.add(
            VirtualSite(
                site, demand, first, make_queue,
                begun=engine.begun, order=SiteOrder(order, demand, period),
                fences=rules.fences and not copies, arranges=rules.arranges,
                lease_s=int(state.terms.lease_s),
            )
        )  # fmt: skip
        first += len(site.partitions)
    return engine


def planner(policy: Policy) -> Planner:
    """Return what carries out rounds by `place`."""

    def plan(effect: RunRound) -> Plan:
        return place(effect.snapshot, effect.jobs, policy, sweep=effect.sweep)

    return plan


def terms_of(rules: Rules) -> Terms:
    """Return production's terms; an order is not repeated while it may still be on its way."""
    terms = Terms()
    there_and_back = rules.order_delay_s + rules.report_delay_s + rules.report_interval_s
    return replace(
        terms,
        explains=False,
        round_interval_s=float(rules.round_interval_s),
        resend_s=max(terms.resend_s, 2.0 * there_and_back + 1.0),
    )


def outcome(
    workload: Workload, model: FederationModel, record: Record, home: Sequence[int]
) -> Outcome:
    """Return a record as arrays."""
    return Outcome(
        workload=workload,
        places=tuple(
            Place(site.id, part.id, cores(part), part)
            for site in model.sites
            for part in site.partitions
        ),
        place=np.array(record.place, np.int64),
        start=np.array(record.start, np.int64),
        end=np.array(record.end, np.int64),
        local=np.array(home, np.int64) >= 0,
        left_out=dict(left_out(record)),
        told=record.told,
    )
