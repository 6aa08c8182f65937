"""Agents come and go; operators drain and resume."""

from __future__ import annotations

from res_federation.control.effects import Effect, SiteChanged, SiteSeen
from res_federation.control.events import (
    SiteConnected,
    SiteDisconnected,
    SiteDrained,
    SiteResumed,
)
from res_federation.control.state import FederationState, SiteState
from res_federation.errors import NotFound
from res_federation.model.identifiers import SiteId


def member(state: FederationState, site: SiteId) -> SiteState:
    """Return the member.

    Raises:
        NotFound: If there is none of that name; the message lists those that there are.

    """
    found = state.sites.get(site)
    if found is None:
        raise NotFound(
            f"no member is called '{site}'",
            field="site",
            way_out=f"members: {', '.join(state.sites)}",
        )
    return found


def connect(state: FederationState, event: SiteConnected) -> list[Effect]:
    """Note that an agent opened its stream; raises NotFound.

    Start orders that the old stream may have lost are sent again at the first report.
    """
    site = member(state, event.site)
    site.connected = True
    site.sent.clear()
    state.version += 1
    return [SiteSeen(event.site)]


def disconnect(state: FederationState, event: SiteDisconnected) -> list[Effect]:
    """Note that an agent's stream ended. Its runs stay as they are: silence proves nothing."""
    site = state.sites.get(event.site)
    if site is None or not site.connected:
        return []
    site.connected = False
    state.version += 1
    return [SiteSeen(event.site)]


def drain(state: FederationState, event: SiteDrained) -> list[Effect]:
    """Send no new jobs to a site; raises NotFound."""
    site = member(state, event.site)
    site.drained, site.drain_reason = True, event.reason or f"by {event.by}"
    return _changed(state, site, "drained", event)


def resume(state: FederationState, event: SiteResumed) -> list[Effect]:
    """Send jobs to a site again; raises NotFound."""
    site = member(state, event.site)
    site.drained, site.drain_reason = False, ""
    return _changed(state, site, "resumed", event)


def _changed(
    state: FederationState, site: SiteState, kind: str, event: SiteDrained | SiteResumed
) -> list[Effect]:
    state.version += 1
    return [
        SiteChanged(
            site.site.id,
            state.next_revision(),
            kind,
            event.at,
            site.drained,
            site.drain_reason,
            event.by,
        ),
        SiteSeen(site.site.id),
    ]
