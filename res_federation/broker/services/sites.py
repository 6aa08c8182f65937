"""`SiteService`: what members have, and whether they take jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from res_federation.api.v1 import sites_pb2, sites_pb2_grpc
from res_federation.broker.federation import Federation
from res_federation.broker.services import answers
from res_federation.control.events import SiteDrained, SiteResumed
from res_federation.control.leases import stale
from res_federation.control.sites import member
from res_federation.control.state import SiteState
from res_federation.errors import InvalidArgument
from res_federation.model.capacity import CapacityReport
from res_federation.model.forecast import ForecastError
from res_federation.model.identifiers import SiteId, site_id
from res_federation.model.job_state import JobState
from res_federation.model.principal import Role
from res_federation.security.caller import caller, permit
from res_federation.security.ownership import checked_site
from res_federation.security.permissions import Permit
from res_federation.wire.governance import governance_to_message
from res_federation.wire.sites import error_to_message, partition_to_message, report_to_message
from res_federation.wire.times import to_timestamp


class SiteService(sites_pb2_grpc.SiteServiceServicer):
    """Planners and operators come in here."""

    def __init__(self, federation: Federation) -> None:
        """Serve *federation*."""
        self._federation = federation

    @answers.unary
    async def ListSites(  # noqa: N802
        self,
        request: sites_pb2.ListSitesRequest,
        context: Any,  # noqa: ARG002
    ) -> sites_pb2.ListSitesResponse:
        """Return the members by identifier; a page token is the last identifier returned."""
        names = [name for name in self._federation.state.sites if name > request.page_token]
        if request.page_size < 0:
            raise InvalidArgument("must not be negative", field="page_size")
        page = names[: request.page_size or None]
        return sites_pb2.ListSitesResponse(
            sites=[self._message(name) for name in page],
            next_page_token=page[-1] if len(page) < len(names) else "",
        )

    @answers.unary
    async def GetSite(self, request: sites_pb2.GetSiteRequest, context: Any) -> sites_pb2.Site:  # noqa: N802, ARG002
        """Return one member."""
        return self._message(self._known(request.name))

    @answers.stream
    async def WatchCapacity(  # noqa: N802
        self,
        request: sites_pb2.WatchCapacityRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[sites_pb2.WatchCapacityResponse]:
        """Stream members as they are now, then as they report."""
        names = [self._known(name) for name in request.names]
        with self._federation.site_watchers.watch(names) as watch:
            for name in names or list(self._federation.state.sites):
                yield sites_pb2.WatchCapacityResponse(site=self._message(name))
            async for name in watch.changes():
                yield sites_pb2.WatchCapacityResponse(site=self._message(name))

    @answers.unary
    async def DrainSite(self, request: sites_pb2.DrainSiteRequest, context: Any) -> sites_pb2.Site:  # noqa: N802, ARG002
        """Send no new jobs to a member."""
        name, now = self._administered(request.name), self._federation.clock.now()
        await self._federation.loop.post(SiteDrained(now, name, caller().user, request.reason))
        return self._message(name)

    @answers.unary
    async def ResumeSite(  # noqa: N802
        self,
        request: sites_pb2.ResumeSiteRequest,
        context: Any,  # noqa: ARG002
    ) -> sites_pb2.Site:
        """Send jobs to a member again."""
        name, now = self._administered(request.name), self._federation.clock.now()
        await self._federation.loop.post(SiteResumed(now, name, caller().user))
        return self._message(name)

    def _administered(self, name: str) -> SiteId:
        checked_site(permit(), site_id(name.removeprefix("sites/")))
        return self._known(name)

    def _known(self, name: str) -> SiteId:
        return member(self._federation.state, site_id(name.removeprefix("sites/"))).site.id

    def _message(self, name: SiteId) -> sites_pb2.Site:
        state = self._federation.state
        known = state.sites[name]
        site, jobs = known.site, state.jobs
        running = sum(1 for job in known.runs.values() if jobs[job].state is JobState.RUNNING)
        return sites_pb2.Site(
            name=f"sites/{site.id}",
            uid=site.id,
            display_name=site.name,
            machine=site.machine,
            city=site.city,
            latitude=site.latitude,
            longitude=site.longitude,
            state=self._state(known),
            report_time=to_timestamp(known.received) if known.report else None,
            waiting_jobs=len(known.runs) - running,
            running_jobs=running,
            partitions=[partition_to_message(partition) for partition in site.partitions],
            capacity=self._capacity(known),
            drain_reason=known.drain_reason,
            batch=site.batch,
            governance=governance_to_message(site.governance),
            forecasts=error_to_message(state.forecasts.errors.get(name, ForecastError())),
        )

    def _capacity(self, known: SiteState) -> sites_pb2.CapacityReport | None:
        if known.report is None:
            return None
        message = report_to_message(_told(known.report, known))
        if not _knows_jobs(permit(), known.site.id):
            # which job of the federation waits where is for those who see all of them
            for part in message.partitions:
                for waiting in part.queue:
                    waiting.token = ""
        return message

    def _state(self, known: SiteState) -> sites_pb2.SiteState.ValueType:
        if not known.site.batch and known.report is None:
            return sites_pb2.SITE_STATE_NO_BATCH
        if known.drained:
            return sites_pb2.SITE_STATE_DRAINED
        if not known.connected or known.report is None:
            return sites_pb2.SITE_STATE_DISCONNECTED
        if known.report.problem or stale(known, self._federation.clock.now()):
            return sites_pb2.SITE_STATE_STALE
        return sites_pb2.SITE_STATE_READY


def _told(report: CapacityReport, known: SiteState) -> CapacityReport:
    """Return the report with what of it is not believed as a problem, for people."""
    if not known.doubts or report.problem:  # with a problem of its own nothing is sent there
        return report
    more = f"; and {len(known.doubts) - 3} more" if len(known.doubts) > 3 else ""
    doubts = f"not all is believed: {'; '.join(known.doubts[:3])}{more}"
    return replace(report, problem=doubts)


def _knows_jobs(mine: Permit, site: SiteId) -> bool:
    who = mine.principal
    return mine.everything or Role.OPERATOR in who.roles or site in who.sites
