"""Runs where their data may no longer be: a class or a project became stricter, or a site's facts.

What waits at its site is asked back, by the protocol that proves that it did not begin, and is then
placed again.  What has begun is not ended by the broker: it is told, in the audit log, in the
broker's log and by the job itself, and whoever is responsible decides.
"""

from __future__ import annotations

from res_federation.control import runs
from res_federation.control.effects import Effect, Order, SendToSite, WithdrawRuns
from res_federation.control.residency import forbidden
from res_federation.control.state import FederationState, SiteState
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.identifiers import SiteId
from res_federation.model.job import Job, Run
from res_federation.model.sentences import sentence


def recall(state: FederationState, at: float) -> list[Effect]:
    """Look at all runs again if what binds their data has changed; ask back those that wait."""
    if state.obeyed is state.residency:
        return []
    state.obeyed = state.residency
    effects: list[Effect] = []
    orders: dict[SiteId, tuple[Order, ...]] = {}
    for site in state.sites.values():
        back = []
        for job_id in list(site.runs.values()):
            job = state.jobs[job_id]
            run = job.run
            assert run is not None, f"{job_id} is at {site.site.id} without a run"
            effects += _look(state, site, job, run, at)
            if run.barred and run.leaving:
                back.append(run.token)
        if back:
            orders[site.site.id] = (WithdrawRuns(tuple(back)),)
    return [*effects, *(SendToSite(site, said) for site, said in orders.items())]


def _look(state: FederationState, site: SiteState, job: Job, run: Run, at: float) -> list[Effect]:
    """Note whether the data of a run may still be at its site; say what changed."""
    reason = forbidden(state, job, site.site.id)
    why = "" if reason is None else sentence(reason)
    if why == run.barred:
        return []
    run.barred = why
    if not why:
        run.leaving = run.leaving and run.held
        return [runs.changed(state, job, "allowed again", at, {"site": run.site})]
    run.leaving = not run.begun and not job.cancel_asked
    job.reason = barred_words(run)
    return [runs.changed(state, job, "barred", at, {"site": run.site, "reason": why}),
            told(job, run, at)]  # fmt: skip


def barred_words(run: Run) -> str:
    """Say of a run that its data may no longer be where it is."""
    if run.begun:
        return f"runs at {run.site}, where its data may no longer be: {run.barred}"
    return f"asked back from {run.site}, where its data may no longer go: {run.barred}"


def told(job: Job, run: Run, at: float) -> AuditEntry:
    """Return what the audit log is told of a run whose data may no longer be at its site."""
    act = "data.stays" if run.begun else "data.recall"
    data = (("run", run.token), ("site", str(run.site)))
    return AuditEntry(at, "broker", act, job.id, DENIED, barred_words(run), data)
