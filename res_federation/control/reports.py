"""An exchange comes in: capacity, and every run that the site's agent holds.

The agent's report is the truth about its site: whatever was lost on the way heals here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from res_federation.control import runs
from res_federation.control.answers import believable, was_given
from res_federation.control.effects import (
    BeginRuns,
    CancelRun,
    Effect,
    ForgetRuns,
    Order,
    RenewLeases,
    SendToSite,
    SiteSeen,
    StartRun,
    WithdrawRuns,
)
from res_federation.control.events import SiteReported
from res_federation.control.plausible import believed, from_the_future
from res_federation.control.recall import barred_words, told
from res_federation.control.sites import member
from res_federation.control.state import FederationState, SiteState
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.identifiers import RunToken, job_of
from res_federation.model.job import Job, RunObservation

MOST_TOLD = 200
"""Of one site so much is told of what is not believed, in the life of a broker."""


def report(state: FederationState, event: SiteReported) -> list[Effect]:
    """Take in one exchange and answer it with orders; raises NotFound for a stranger."""
    site = member(state, event.report.site)
    newer = site.report is None or event.report.sequence > site.report.sequence
    if not newer and event.journal == site.journal and site.connected:
        site.ignored += 1  # within a stream exchanges overtake nobody: it says nothing new
        why = "the sequence of its report is from the past"
        return warn(site, event.at, "report", why)
    if from_the_future(event.report, event.at):
        site.ignored += 1
        why = "the sequence of its report is from the future"
        return warn(site, event.at, "report", why)
    plausible, doubts = believed(event.report, site.declared, event.at)
    effects: list[Effect] = []
    if doubts != site.doubts:
        site.doubts = doubts
        for doubt in doubts[:MOST_TOLD]:
            effects += warn(site, event.at, "report", doubt)
    if plausible is not event.report:
        event = replace(event, report=plausible)
    if site.report is None or site.report.partitions != event.report.partitions:
        state.version += 1
    if not site.connected:
        site.connected = True
        state.version += 1
    full = event.complete or event.journal != site.journal
    site.report, site.received, site.journal = event.report, event.at, event.journal
    site.fences = event.fences
    for part in event.report.partitions:
        if part.others:
            site.others[part.id] = event.at

    orders: list[Order] = [RenewLeases(event.report.sequence, state.terms.lease_s)]
    held: set[RunToken] = set()
    gone: list[RunToken] = []
    for observation in event.runs:
        held.add(observation.token)
        effects += _hold(state, site, event, observation, orders, gone)
    effects += _missing(state, site, event, site.runs if full else site.uncounted, held, orders)
    if gone:
        orders.append(ForgetRuns(tuple(gone)))
    return [*effects, SendToSite(site.site.id, tuple(orders)), SiteSeen(site.site.id)]


def _hold(
    state: FederationState,
    site: SiteState,
    event: SiteReported,
    observation: RunObservation,
    orders: list[Order],
    gone: list[RunToken],
) -> list[Effect]:
    """Follow one run that the agent holds; add what it must be told to *orders* and *gone*."""
    job = state.jobs.get(job_of(observation.token))
    if observation.token not in site.runs or job is None:
        # Ended here, withdrawn, or never ours: what ended may go, what lives must not go on.
        # A token that the store has never seen belongs to another federation: hands off.
        if observation.token in event.strangers:
            return []
        if job is not None and not was_given(job, observation.token, site.site.id):
            # of a run of another site, or of one that never was: nothing of it is believed
            return warn(site, event.at, observation.token, "it was never given this run")
        if observation.state.final:
            gone.append(observation.token)
        else:
            orders.append(CancelRun(observation.token))
        return []
    run = job.run
    assert run is not None, f"{job.id} has no run"
    plausible, why = believable(job, run, observation, event.at)
    effects = warn(site, event.at, observation.token, why) if why else []
    if plausible is None:
        return effects
    observation = plausible
    begun = run.begun
    effects += runs.observe(state, job, observation, event.at)
    if run.barred and run.begun and not begun and not run.state.final:  # too late to ask it back
        job.reason = job.reason if job.cancel_asked else barred_words(run)
        effects.append(told(job, run, event.at))
    order = _answer(job, observation)
    if observation.state.final:
        gone.append(observation.token)
    elif order is not None:
        orders.append(order)
    run = job.run
    if run is not None and not run.begun:
        run.lease_until = event.at + state.terms.lease_s + state.terms.margin_s
    return effects


def _answer(job: Job, observation: RunObservation) -> Order | None:
    """Return what the agent is told of a run that it holds, if anything."""
    token, run = observation.token, job.run
    unbegun = run is not None and not run.begun
    if job.cancel_asked:
        return CancelRun(token)
    if run is not None and run.barred and unbegun:
        return WithdrawRuns((token,))
    if observation.asks:
        return BeginRuns((token,))
    if run is not None and run.leaving and unbegun:
        return WithdrawRuns((token,))  # the first order may have been lost
    return None


def warn(site: SiteState, at: float, target: str, why: str) -> list[Effect]:
    """Put what is not believed into the audit log: once each, and not without end."""
    key = f"{target}: {why}"
    if key in site.warned or len(site.warned) >= MOST_TOLD:
        return []
    site.warned[key] = None
    return [AuditEntry(at, f"site:{site.site.id}", "site.report", target, DENIED, why)]


def _missing(
    state: FederationState,
    site: SiteState,
    event: SiteReported,
    expected: Iterable[RunToken],
    held: set[RunToken],
    orders: list[Order],
) -> list[Effect]:
    """Deal with runs that should be at the site and are not in the set.

    Of a set that is not complete only runs that were never confirmed can be missed: those alone are
    *expected* then, unless the journal is another one than before.
    An order that was lost is repeated, but only to the journal that it was first sent to: that
    one would know if the payload had begun.  A new journal knows nothing, so nothing is repeated.
    """
    effects: list[Effect] = []
    for token in [token for token in expected if token not in held]:
        job = state.jobs[site.runs[token]]
        run = job.run
        assert run is not None, f"{token} has no run"
        replaced = bool(run.journal) and run.journal != event.journal
        if replaced:
            why = f"{site.site.id} lost the run: its agent's state is a new one"
            effects += runs.lose(state, job, event.at, why)
        elif not run.confirmed:
            if event.at - site.sent.get(token, 0.0) >= state.terms.resend_s:
                site.sent[token] = event.at
                orders.append(StartRun(token, job.id, run.fenced))
                run.lease_until = event.at + state.terms.lease_s + state.terms.margin_s
                if job.cancel_asked:
                    orders.append(CancelRun(token))
                elif run.barred:  # whether the order came or not, the answer will prove it
                    orders.append(WithdrawRuns((token,)))
        elif event.complete:
            why = f"{site.site.id} lost the run: its agent does not hold it"
            effects += runs.lose(state, job, event.at, why)
    return effects
