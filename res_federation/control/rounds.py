"""When a round is due, and the serial commit of the plan that comes back.

A round works on a frozen snapshot while the world goes on, so each assignment is checked again,
with the planner's own check, against what is known now.  What no longer fits is planned anew.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from res_federation.accounting.ledger import Entry
from res_federation.control import forecasts, paying, places, runs
from res_federation.control.capacity import snapshot
from res_federation.control.effects import (
    ClassesHeld,
    Effect,
    FrameSeen,
    JobHeld,
    JobTold,
    Order,
    RunRound,
    SendToSite,
    StartRun,
    WakeAt,
)
from res_federation.control.events import PlanReady, RoundFailed
from res_federation.control.forecasts import at_their_sites
from res_federation.control.held import MANY, Held
from res_federation.control.leases import lease_of
from res_federation.control.residency import forbidden
from res_federation.control.state import FederationState
from res_federation.control.telling import never, tell, waits
from res_federation.model.identifiers import JobId, PartitionId, SiteId, run_token, site_of
from res_federation.model.job import Job, Run
from res_federation.model.job_state import JobState
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Reason
from res_federation.model.sentences import sentence
from res_federation.placement.decide import recheck
from res_federation.placement.early import Running
from res_federation.placement.policy import LateStart

_PAUSE_S = 0.5
"""After a round that failed: long enough for a pool to be started again, short for a person."""


def due(state: FederationState, at: float, *, ticked: bool = False) -> list[Effect]:
    """Return the round that is due, if any: new jobs always, held ones when capacity changed.

    A job that a round could not place is not looked at again before something changed that a
    round may see; so a long queue costs nothing while nothing happens.  Where jobs start late a
    new one changes whose turn it is, and nodes are kept for held ones: a round is about all, and
    looks at those for whose class something changed.  A tick lets a sweep begin that is due.
    """
    if state.planning is not None:
        return []
    if state.policy.late is not None:
        return _due_late(state, at, ticked=ticked)
    changed = state.version != state.seen_version
    if not state.fresh and not state.unseen and not (changed and state.held):
        state.seen_version = state.version
        return []
    if at < state.pause_until:
        return [WakeAt(state.pause_until)]
    if changed:
        for job in state.held:
            state.unseen.setdefault(job)  # what waits to be seen since an earlier change is first
        state.seen_version = state.version
    jobs = [state.jobs[job] for job in _next(state)]  # in any order: `place` has its own
    for one in jobs:
        state.unseen.pop(one.id, None)
    state.planning = frozenset(job.id for job in jobs)
    state.pause_until = at + state.terms.round_interval_s
    state.asked = (state.events, at)
    return [RunRound(snapshot(state, at), tuple(jobs))]


def _due_late(state: FederationState, at: float, *, ticked: bool) -> list[Effect]:
    """Return the round over all that wait, if one is due."""
    sweep = at - state.swept >= state.terms.sweep_s
    changed = state.version != state.seen_version or (sweep and ticked)
    somebody = state.held or state.holding
    untold = state.late is not None and state.late.untold
    if not state.fresh and not untold and not (changed and somebody):
        state.seen_version = state.version
        return []
    if at < state.pause_until:
        return [WakeAt(state.pause_until)]
    held = state.by_class()
    view = held.ask(state.jobs[job] for job in state.fresh)
    state.swept = at if sweep else state.swept
    state.seen_version = state.version
    state.planning = frozenset(held.asked)
    state.pause_until = at + state.terms.round_interval_s
    state.asked = (state.events, at)
    seen = snapshot(state, at)
    if view.asked:
        seen = replace(seen, early=Running(_running(state, at)))
    return [RunRound(seen, view, sweep)]


def _running(state: FederationState, at: float) -> list[tuple[Job, PartitionId, float]]:
    """Return the jobs that run and count in reports, where, and for how many seconds."""
    jobs, found = state.jobs, []
    for site in state.sites.values():
        for job_id in site.runs.values():
            job = jobs[job_id]
            if job.runs:
                run = job.runs[-1]
                if run.counted and run.started is not None:
                    found.append((job, run.partition, max(0.0, at - run.started)))
    return found


def _next(state: FederationState) -> list[JobId]:
    """Return the jobs of the next round: new ones and held ones, neither kept out by the other."""
    most = state.terms.round_jobs
    known = [job for job in state.unseen if job in state.held]
    if len(known) < len(state.unseen):  # cancelled, or new again, since the change
        state.unseen = dict.fromkeys(known)
    new = min(len(state.fresh), max(most - len(known), most // 2, 1))
    return [*islice(state.fresh, new), *known[: max(0, most - new)]]


def fail(state: FederationState, event: RoundFailed) -> list[Effect]:
    """Let the jobs of a round that did not come back wait for the next one."""
    state.planning = None
    state.seen_version = 0
    state.swept = 0.0
    if state.late is not None:
        state.late.again()
    state.pause_until = event.at + _PAUSE_S
    return []


def commit(state: FederationState, event: PlanReady) -> list[Effect]:
    """Check each assignment against the present and turn the plan into runs and orders."""
    plan = event.plan
    state.planning = None
    effects: list[Effect] = []
    if plan.frame_id not in state.frames:
        state.frames[plan.frame_id] = plan.frame
        effects.append(FrameSeen(plan.frame_id, plan.frame))
    effects += _assign(state, plan, event.at)
    effects += _foretell(state, plan, event.at)
    held = state.late
    if held is not None and plan.queue is not None and plan.queue.store is held.waiting:
        return effects + _stay(state, held, plan, event.at)
    for rejection in plan.rejections:
        job = state.jobs.get(rejection.job)
        if job is not None and job.state is JobState.QUEUED:
            effects += _reject(state, job, rejection, event.at)
    return effects


def _foretell(state: FederationState, plan: Plan, at: float) -> list[Effect]:
    """Tell those that were looked at for the first time, and wait, when they should start."""
    late = state.policy.late or LateStart()
    held = [one for one in plan.expected if one.job in state.held or one.job in state.fresh]
    sent = at_their_sites(plan.assignments, state.jobs, late)
    told = forecasts.tell(state.forecasts, state.jobs, (*held, *sent), at)
    return [JobTold(job, job.forecast) for job in told if job.forecast is not None]


def _stay(state: FederationState, held: Held, plan: Plan, at: float) -> list[Effect]:
    """Let those stay that a plan by class does not send; those that can never run end."""
    effects: list[Effect] = []
    again = {one.job for one in plan.assignments} & set(held.asked)  # no longer fits: still new
    for job_id in held.asked:
        if job_id in state.fresh and job_id not in again:
            del state.fresh[job_id]
            state.held[job_id] = None
    assert plan.queue is not None, "it is a plan by class"
    for kind, first, permanent, reason, decision in plan.ended:
        for job_id in [*plan.queue.names_from(first)]:
            if job_id in held.waiting and held.waiting.class_of(job_id) == kind:
                rejection = Rejection(job_id, permanent, reason, decision)
                effects += _reject(state, state.jobs[job_id], rejection, at)
    state.sweep_caught += plan.caught
    effects += places.hold(state, plan, plan.alone, at)
    return effects + _tell(state, held, plan, at)


def _tell(state: FederationState, held: Held, plan: Plan, at: float) -> list[Effect]:
    """Take what a plan says of those that stay; say who has another reason now.

    Few jobs that were new are told each; the others hear by their class.
    """
    changed = held.answer(plan, at)
    alone = held.answer_apart(plan.alone, at)
    asked: tuple[JobId, ...] = held.asked
    if len(asked) > MANY:
        changed, asked = held.every_kind(), ()
    effects: list[Effect] = []
    for job_id in (*asked, *sorted(alone.difference(asked))):
        if job_id in state.held:
            job = state.jobs[job_id]
            before = job.reason
            if tell(state, job).reason != before:
                effects.append(JobHeld(job))
    if changed:
        effects.append(ClassesHeld(changed))
    return effects


def _assign(state: FederationState, plan: Plan, at: float) -> list[Effect]:
    waiting = {
        assignment.job: state.jobs[assignment.job]
        for assignment in plan.assignments
        if assignment.job in state.jobs and state.jobs[assignment.job].state is JobState.QUEUED
    }
    wanted = tuple(a for a in plan.assignments if a.job in waiting)
    verdicts: tuple[Reason | None, ...] = (None,) * len(wanted)
    if state.asked != (state.events, at):  # on an unchanged snapshot every assignment stands
        verdicts = recheck(snapshot(state, at), waiting, wanted, state.policy)
    effects: list[Effect] = []
    orders: dict[SiteId, list[Order]] = {}
    for assignment, reason in zip(wanted, verdicts, strict=True):
        job = waiting[assignment.job]
        against = reason or forbidden(state, job, site_of(assignment.partition))
        if against is not None:
            state.held.pop(job.id, None)
            state.fresh[job.id] = None
            job.reason = sentence(against)
            continue
        run = _run(state, job, assignment, at)
        entry = paying.reserve(state, job, run, at) if state.books.kept else None
        if isinstance(entry, str):
            state.held.pop(job.id, None)
            state.fresh[job.id] = None
            job.reason = entry
            continue
        effects.append(_place(state, job, run, assignment, entry))
        orders.setdefault(run.site, []).append(StartRun(run.token, job.id, run.fenced))
    for site, starts in sorted(orders.items()):
        effects.append(SendToSite(site, (*lease_of(state, site), *starts)))
    return effects


def _run(state: FederationState, job: Job, assignment: Assignment, at: float) -> Run:
    site = site_of(assignment.partition)
    waits = assignment.expected_start_s > state.terms.fence_after_s
    return Run(
        token=run_token(job.id, len(job.runs) + 1),
        attempt=len(job.runs) + 1,
        partition=assignment.partition,
        site=site,
        placed=at,
        lease_until=at + state.terms.lease_s + state.terms.margin_s,
        expected_start_s=assignment.expected_start_s,
        journal=state.sites[site].journal,
        fenced=waits and state.sites[site].fences and not job.spec.requeue,
    )


def _place(
    state: FederationState, job: Job, run: Run, assignment: Assignment, entry: Entry | None
) -> Effect:
    site, at = run.site, run.placed
    job.runs.append(run)
    job.state, job.reason = JobState.PLACED, "placed; on its way to the site"
    state.decide(job, assignment.decision, at)
    state.dequeue(job.id)
    state.sites[site].runs[run.token] = job.id
    state.sites[site].uncounted[run.token] = None
    state.sites[site].sent[run.token] = at
    data: dict[str, str | int | float] = {
        "partition": run.partition,
        "token": run.token,
        "expected_start_s": round(run.expected_start_s, 3),
    }
    if run.grant:
        data["grant"] = run.grant
    return runs.changed(state, job, "placed", at, data, () if entry is None else (entry,))


def _reject(state: FederationState, job: Job, rejection: Rejection, at: float) -> list[Effect]:
    state.decide(job, rejection.decision, at)
    if rejection.permanent:
        reason = never(state, job, rejection.reason, rejection.decision, at)
        return [runs.finish(state, job, JobState.INFEASIBLE, at, reason)]
    state.fresh.pop(job.id, None)
    state.held[job.id] = None
    reason = waits(state, job, rejection.reason, rejection.decision, at)
    if job.reason == reason:
        return []  # a long queue that stays as it is has no news for anybody
    job.reason = reason
    return [JobHeld(job)]
