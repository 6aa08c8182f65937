"""`handle`: the whole life of jobs, sites and leases. One match, no logic of its own."""

from __future__ import annotations

from res_federation.control import accounts, leases, reports, rounds, sites, submission
from res_federation.control.effects import Effect
from res_federation.control.events import (
    Event,
    JobCancelled,
    JobSubmitted,
    PlanReady,
    RoundFailed,
    SiteConnected,
    SiteDisconnected,
    SiteDrained,
    SiteReported,
    SiteResumed,
    Ticked,
)
from res_federation.control.state import FederationState


def handle(state: FederationState, event: Event) -> list[Effect]:
    """Apply one event to *state* and say what must now be done.

    Raises:
        FederationError: If a person asked for what cannot be; the state is as it was.

    """
    effects: list[Effect]
    match event:
        case JobSubmitted():
            effects = submission.submit(state, event)
        case JobCancelled():
            effects = submission.cancel(state, event)
        case SiteConnected():
            effects = sites.connect(state, event)
        case SiteReported():
            effects = reports.report(state, event)
        case SiteDisconnected():
            effects = sites.disconnect(state, event)
        case SiteDrained():
            effects = sites.drain(state, event)
        case SiteResumed():
            effects = sites.resume(state, event)
        case PlanReady():
            effects = rounds.commit(state, event)
        case RoundFailed():
            effects = rounds.fail(state, event)
        case Ticked():
            effects = leases.tick(state, event)
        case _:
            effects = accounts.act(state, event)
    if not isinstance(event, JobSubmitted):  # a new job takes nothing from those in a plan
        state.events += 1
    effects += rounds.due(state, event.at, ticked=isinstance(event, Ticked))
    return effects
