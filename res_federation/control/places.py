"""Places in sites' own queues: runs that wait there until it is their job's turn.

Where a site has users of its own, a job that waits at the federation alone is overtaken.  So the
first jobs wait in the site's queue, as fenced runs: each round says who of them stands in which
place, who is taken back because it can start elsewhere or is not among the first any more, and who
comes new.  A run is placed elsewhere only when its site has proved that it did not begin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from res_federation.accounting.ledger import Entry
from res_federation.control import paying, runs
from res_federation.control.effects import (
    ArrangeRuns,
    Effect,
    Order,
    SendToSite,
    StartRun,
    WithdrawRuns,
)
from res_federation.control.leases import lease_of
from res_federation.control.residency import forbidden
from res_federation.control.state import FederationState
from res_federation.model.identifiers import PartitionId, RunToken, SiteId, run_token, site_of
from res_federation.model.job import Job, Run
from res_federation.model.job_state import JobState
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Code


@dataclass(slots=True)
class _Wanted:
    """Of one partition: who is to stand in its places, in order, and who comes and goes."""

    order: list[RunToken] = field(default_factory=list)
    new: list[StartRun] = field(default_factory=list)
    back: list[RunToken] = field(default_factory=list)


def hold(state: FederationState, plan: Plan, alone: Iterable[Rejection], at: float) -> list[Effect]:
    """Let the places at sites be held as *plan* says; *alone* are its answers for single jobs."""
    lined: dict[PartitionId, list[Rejection]] = {}
    for one in alone:
        if one.place is None or one.job not in state.jobs:
            continue
        if forbidden(state, state.jobs[one.job], site_of(one.place)) is None:
            lined.setdefault(one.place, []).append(one)
    effects: list[Effect] = []
    wanted: dict[PartitionId, _Wanted] = {}
    stays = _starting(state, plan.assignments)
    yields = 0.0 if state.policy.late is None else state.policy.late.yield_s
    for partition, jobs in lined.items():
        part = wanted[partition] = _Wanted()
        for one in jobs:
            job = state.jobs[one.job]
            run = job.run
            if one.job in state.holding and run is not None:
                if run.partition == partition and not run.leaving:
                    part.order.append(run.token)
            elif job.state is JobState.QUEUED and one.reason.code is Code.PLACE_AT_SITE:
                run = _run(state, job, one, at)
                entry = paying.reserve(state, job, run, at) if state.books.kept else None
                if isinstance(entry, str):
                    continue  # it waits as the plan has it; the next round sees who can pay
                _send(state, job, run, one)
                effects.append(_told(state, job, run, entry))
                part.order.append(run.token)
                part.new.append(StartRun(run.token, job.id, fenced=True, yields_s=yields))
        stays.update(part.order)
    _take_back(state, plan, stays, wanted, at)
    return effects + _orders(state, wanted)


def _starting(state: FederationState, assignments: Iterable[Assignment]) -> set[RunToken]:
    """Return runs that can start where they are: their site lets them, nothing is to be done."""
    found = set()
    for assignment in assignments:
        if assignment.job in state.holding:
            run = state.jobs[assignment.job].run
            if run is not None and run.partition == assignment.partition:
                found.add(run.token)
    return found


def _run(state: FederationState, job: Job, one: Rejection, at: float) -> Run:
    assert one.place is not None, "it has a place"
    site = state.sites[site_of(one.place)]
    return Run(
        token=run_token(job.id, len(job.runs) + 1),
        attempt=len(job.runs) + 1,
        partition=one.place,
        site=site.site.id,
        placed=at,
        lease_until=at + state.terms.lease_s + state.terms.margin_s,
        expected_start_s=one.expected_start_s,
        journal=site.journal,
        fenced=True,
        held=True,
    )


def _send(state: FederationState, job: Job, run: Run, one: Rejection) -> None:
    site, at = state.sites[run.site], run.placed
    job.runs.append(run)
    job.state, job.reason = JobState.PLACED, "waits in the site's queue for its turn"
    state.decide(job, one.decision, at)
    state.take_place(job)
    site.runs[run.token] = job.id
    site.uncounted[run.token] = None
    site.sent[run.token] = at


def _told(state: FederationState, job: Job, run: Run, entry: Entry | None) -> Effect:
    data: dict[str, str | int | float] = {
        "partition": run.partition,
        "token": run.token,
        "expected_start_s": round(run.expected_start_s, 3),
        "holds_place": 1,
    }
    if run.grant:
        data["grant"] = run.grant
    return runs.changed(state, job, "placed", run.placed, data, () if entry is None else (entry,))


def _take_back(
    state: FederationState,
    plan: Plan,
    stays: set[RunToken],
    wanted: dict[PartitionId, _Wanted],
    at: float,
) -> None:
    """Ask for the runs back whose places somebody else is to have, or nobody."""
    late = state.policy.late
    settled = at - (0.0 if late is None else late.settle_s)
    start = {one.job for one in plan.assignments}
    for job_id in state.holding:
        run = state.jobs[job_id].run
        assert run is not None, "it holds a place"
        if run.leaving or run.token in stays or (run.placed > settled and job_id not in start):
            continue
        run.leaving = True
        wanted.setdefault(run.partition, _Wanted()).back.append(run.token)


def _orders(state: FederationState, wanted: dict[PartitionId, _Wanted]) -> list[Effect]:
    """Say to each site what changed there; whoever leaves passes a good place on first."""
    orders: dict[SiteId, list[Order]] = {}
    for partition, part in sorted(wanted.items()):
        site = state.sites[site_of(partition)]
        mine = [*part.new]
        said: list[Order] = list(mine)
        order = (*part.order, *part.back)
        arranges = site.report is not None and site.report.arranges
        if arranges and len(order) > 1 and order != site.arranged.get(partition):
            said.append(ArrangeRuns(partition, order))
        site.arranged[partition] = tuple(part.order)
        if part.back:
            said.append(WithdrawRuns(tuple(part.back)))
        if said:
            first = () if site.site.id in orders or not mine else lease_of(state, site.site.id)
            orders.setdefault(site.site.id, []).extend((*first, *said))
    return [SendToSite(site, tuple(said)) for site, said in sorted(orders.items())]
