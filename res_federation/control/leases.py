"""Time passes: reports grow old, leases run out.

A lease says until when an agent may *begin* a queued run.  When it has run out and the site has
been silent since, the run surely does not begin any more; whether it began in the seconds before
is known only of a fenced run, which cannot begin before the broker has written that down.  So
fenced runs, and jobs whose user allowed a second beginning (``--requeue``), are placed elsewhere;
the others wait for their site, and say so (docs/adr/0007).
"""

from __future__ import annotations

from res_federation.control import runs
from res_federation.control.effects import Effect, RenewLeases, SiteSeen, WakeAt
from res_federation.control.events import Ticked
from res_federation.control.recall import recall
from res_federation.control.state import FederationState, SiteState
from res_federation.model.identifiers import SiteId


def stale(site: SiteState, at: float) -> bool:
    """Tell whether the newest report of *site* is past its time to live."""
    return site.report is not None and at - site.received > site.report.time_to_live_s


def lease_of(state: FederationState, site: SiteId) -> tuple[RenewLeases, ...]:
    """Return the lease that new runs begin with: it counts from the newest report."""
    report = state.sites[site].report
    return () if report is None else (RenewLeases(report.sequence, state.terms.lease_s),)


def suspects_itself(state: FederationState, at: float) -> bool:
    """Tell whether most sites fell silent at once: then the broker is the suspect."""
    heard = [site for site in state.sites.values() if site.report is not None]
    silent = [site for site in heard if stale(site, at) or not site.connected]
    return len(heard) > 2 and len(silent) * 2 > len(heard)


def tick(state: FederationState, event: Ticked) -> list[Effect]:
    """Notice what grew old and wake again in time."""
    effects: list[Effect] = []
    frozen = suspects_itself(state, event.at)
    for site in state.sites.values():
        if not stale(site, event.at) and site.connected:
            continue
        for token in list(site.runs):
            job = state.jobs[site.runs[token]]
            run = job.run
            assert run is not None, f"{token} has no run"
            expired = run.lease_until and event.at > run.lease_until
            if expired and not run.begun and (run.fenced or job.spec.requeue) and not frozen:
                since = event.at - site.received
                effects += runs.lose(
                    state, job, event.at, f"{site.site.id} silent for {since:.0f} s, lease ran out"
                )
    newly = {site.site.id for site in state.sites.values() if stale(site, event.at)}
    if newly != state.stale:
        effects += [SiteSeen(site) for site in sorted(newly ^ state.stale)]
        state.stale = newly
        state.version += 1
    if event.at >= state.books_turn:  # a grant begins or ends to pay
        state.books_turn = state.books.turns(event.at)
        state.version += state.books.bounded
    effects += recall(state, event.at)  # a broker may begin with other classes and sites
    effects.append(WakeAt(event.at + 1.0))
    return effects
