"""`Federation`: the federation for plain Python; `FederationClient` has the same words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import grpc

from res_federation.api.v1 import jobs_pb2, sites_pb2
from res_federation.api.v1.jobs_pb2_grpc import JobServiceStub
from res_federation.api.v1.sites_pb2_grpc import SiteServiceStub
from res_federation.client import requests
from res_federation.client.accounting import Accounting
from res_federation.client.address import CHANNEL_OPTIONS, broker_address
from res_federation.client.audit import AuditLog
from res_federation.client.patience import (
    BULK_S,
    CALL_S,
    PATIENCE_S,
    STREAM_S,
    Endurance,
    code_of,
)
from res_federation.client.site_view import SiteView, site_from_message
from res_federation.model.identifiers import JobId
from res_federation.model.job import Job, JobSpec
from res_federation.model.plan import Explanation
from res_federation.security.credentials import find
from res_federation.wire.jobs import explanation_from_message, job_from_message
from res_federation.wire.specs import spec_to_message

T = TypeVar("T")


def _say_nothing() -> None:
    """Do nothing about an outage."""


class Federation:
    """A connection to the broker. Every method raises the classes of `res_federation.errors`.

    Every call waits through an outage of the broker of up to *patience_s* seconds and asks again;
    a submission always carries a key, so that one that is repeated returns the same job.

    Args:
        address: ``HOST:PORT``; by default ``RESFED_BROKER``, else ``127.0.0.1:7443``.
        patience_s: Seconds of outage to wait through; 0 for none.
        on_outage: Called once for each outage that lasts longer than a moment.

    """

    def __init__(
        self,
        address: str = "",
        *,
        patience_s: float = PATIENCE_S,
        on_outage: Callable[[], None] = _say_nothing,
    ) -> None:
        """Set up the channel; nothing is sent before the first call."""
        self.address = broker_address(address)
        self._patience_s = patience_s
        self._on_outage = on_outage
        self._credentials = find(self.address)
        self._connect()

    def _connect(self) -> None:
        self._channel = self._credentials.channel(self.address, CHANNEL_OPTIONS)
        self._jobs = JobServiceStub(self._channel)
        self._sites = SiteServiceStub(self._channel)
        self.accounting = Accounting(self._channel, self._call)
        self.audit = AuditLog(self._channel, self._call, self._endurance)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    # --- submitting

    def submit(self, spec: JobSpec, *, request_id: str = "") -> Job:
        """Submit a job; when this returns, it is on the broker's disk.

        Args:
            spec: What to run: `res_federation.client.scripts.job_from_script` reads a script.
            request_id: The same key of the same user returns the same job; by default a new one.

        """
        request = requests.create(spec, request_id)
        return job_from_message(self._call(lambda s: self._jobs.CreateJob(request, timeout=s)))

    def submit_many(self, specs: Iterable[JobSpec]) -> list[JobId]:
        """Submit many jobs; return their identifiers in order, all of them on disk."""
        ids: list[JobId] = []
        for batch in requests.create_batches(specs):
            answer = self._call(
                lambda s, batch=batch: self._jobs.CreateJobs(iter(batch), timeout=s),  # type: ignore[misc]
                BULK_S,
            )
            ids += requests.identifiers(answer)
        return ids

    def dry_run(self, spec: JobSpec) -> Explanation:
        """Say where a job would go, without submitting it."""
        request = jobs_pb2.DryRunJobRequest(spec=spec_to_message(spec))
        answer = self._call(lambda s: self._jobs.DryRunJob(request, timeout=s))
        return explanation_from_message(answer)

    # --- looking

    def job(self, job: str, *, with_script: bool = False) -> Job:
        """Return one job; raises NotFound."""
        request = jobs_pb2.GetJobRequest(name=requests.job_name(job), with_script=with_script)
        return job_from_message(self._call(lambda s: self._jobs.GetJob(request, timeout=s)))

    def jobs(
        self,
        text: str = "",
        *,
        state: str = "",
        user: str = "",
        site: str = "",
        name: str = "",
        active: bool = False,
        project: str = "",
    ) -> Iterator[Job]:
        """Yield jobs, newest first, page by page.

        Args:
            text: A filter in the words of the API (``state=RUNNING AND site=csuc``).
            state: Only jobs in this state.
            user: Only this user's.
            site: Only those whose newest run is at this site.
            name: Only those with this name.
            active: Only those that have not ended.
            project: Only those that name this project.

        """
        request = requests.listing(
            text, state=state, user=user, site=site, name=name, active=active, project=project
        )
        while True:
            answer = self._call(lambda s: self._jobs.ListJobs(request, timeout=s))
            yield from (job_from_message(job) for job in answer.jobs)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def explain(self, job: str) -> Explanation:
        """Say why a job is where it is."""
        request = jobs_pb2.ExplainJobRequest(name=requests.job_name(job))
        answer = self._call(lambda s: self._jobs.ExplainJob(request, timeout=s))
        return explanation_from_message(answer)

    def watch(self, jobs: Iterable[str] = (), *, timeout: float | None = None) -> Iterator[Job]:
        """Yield jobs as they change; named ones as they are now first, and until all have ended.

        Args:
            jobs: Which; none means every job, without end. What changes during an outage of the
                broker is told afterwards for named jobs only.
            timeout: Seconds after which to stop, or None.

        """
        request = requests.watching(jobs)
        open_names = set(request.names)
        told: dict[str, tuple[int, str]] = {}
        until = None if timeout is None else time.monotonic() + timeout
        endurance = self._endurance()
        while (left := _left(until)) is None or left > 0:
            stream = self._jobs.WatchJobs(request, timeout=min(STREAM_S, left or STREAM_S))
            try:
                for answer in stream:
                    endurance.well()
                    job = job_from_message(answer.job)
                    news = (job.revision, job.reason)
                    if told.get(job.id) != news:
                        if open_names:
                            told[job.id] = news
                        yield job
                    if request.names and job.state.final:
                        open_names.discard(f"jobs/{job.id}")
                        if not open_names:
                            return
                time.sleep(endurance.pause_after_hanging_up())
            except grpc.RpcError as error:
                if code_of(error) is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._pause(endurance.pause_after(error, time.monotonic()))
            finally:
                stream.cancel()

    def wait(self, jobs: Iterable[str], *, timeout: float | None = None) -> list[Job]:
        """Wait until all of *jobs* have ended; return them as they are then, in order.

        After *timeout* seconds those that have not ended are returned as they are.
        """
        order = [requests.job_name(job).removeprefix("jobs/") for job in jobs]
        known: dict[str, Job] = {}
        if order:
            for job in self.watch(order, timeout=timeout):
                known[job.id] = job
        return [known[job] if job in known else self.job(job) for job in order]

    # --- acting

    def cancel(self, job: str, task: int | None = None) -> Job:
        """Cancel a job, or one task of an array; return the job as it is now."""
        request = requests.cancelling(job, task)
        return job_from_message(self._call(lambda s: self._jobs.CancelJob(request, timeout=s)))

    def share(self, job: str, *, user: str = "", project: str = "") -> Job:
        """Let a user (``SUBJECT@ISSUER``) or a project see a job whole; return it as it is now.

        They see its script and its output, and cannot change it. Its owner may do this, and the
        lead of its project; raises PermissionDenied for others.
        """
        request = requests.sharing(job, user, project)
        return job_from_message(self._call(lambda s: self._jobs.ShareJob(request, timeout=s)))

    def unshare(self, job: str, *, user: str = "", project: str = "") -> Job:
        """Take that back, at once; what is not shared is no error."""
        request = requests.unsharing(job, user, project)
        return job_from_message(self._call(lambda s: self._jobs.UnshareJob(request, timeout=s)))

    def output(
        self,
        job: str,
        task: int | None = None,
        *,
        stderr: bool = False,
        follow: bool = False,
        offset: int = 0,
    ) -> Iterator[bytes]:
        """Yield what a job printed, from *offset* bytes on; with *follow*, until it has ended."""
        endurance = self._endurance()
        while True:
            request = requests.reading(job, task, stderr=stderr, follow=follow, offset=offset)
            stream = self._jobs.ReadOutput(request, timeout=None if follow else BULK_S)
            try:
                for piece in stream:
                    endurance.well()
                    data = piece.data[max(0, offset - piece.offset) :]
                    offset = max(offset, piece.offset + len(piece.data))
                    if data:
                        yield data
            except grpc.RpcError as error:
                self._pause(endurance.pause_after(error, time.monotonic()))
            else:
                return
            finally:
                stream.cancel()

    # --- sites

    def sites(self) -> tuple[SiteView, ...]:
        """Return every member's site, by identifier."""
        request = sites_pb2.ListSitesRequest()
        views: list[SiteView] = []
        while True:
            answer = self._call(lambda s: self._sites.ListSites(request, timeout=s))
            views += [site_from_message(site) for site in answer.sites]
            if not answer.next_page_token:
                return tuple(views)
            request.page_token = answer.next_page_token

    def site(self, site: str) -> SiteView:
        """Return one site; raises NotFound."""
        request = sites_pb2.GetSiteRequest(name=requests.site_name(site))
        return site_from_message(self._call(lambda s: self._sites.GetSite(request, timeout=s)))

    def drain(self, site: str, reason: str = "") -> SiteView:
        """Let a site take no new jobs; what is there goes on."""
        request = sites_pb2.DrainSiteRequest(name=requests.site_name(site), reason=reason)
        return site_from_message(self._call(lambda s: self._sites.DrainSite(request, timeout=s)))

    def resume(self, site: str) -> SiteView:
        """Let a site take new jobs again."""
        request = sites_pb2.ResumeSiteRequest(name=requests.site_name(site))
        return site_from_message(self._call(lambda s: self._sites.ResumeSite(request, timeout=s)))

    def watch_capacity(self, sites: Iterable[str] = ()) -> Iterator[SiteView]:
        """Yield sites as they report, come or go; no *sites* means all."""
        request = requests.capacity_watching(sites)
        endurance = self._endurance()
        while True:
            stream = self._sites.WatchCapacity(request)
            try:
                for answer in stream:
                    endurance.well()
                    yield site_from_message(answer.site)
                time.sleep(endurance.pause_after_hanging_up())
            except grpc.RpcError as error:
                self._pause(endurance.pause_after(error, time.monotonic()))
            finally:
                stream.cancel()

    def _pause(self, seconds: float) -> None:
        """Wait, then dial anew if the broker that comes back is signed by another authority."""
        time.sleep(seconds)
        found = find(self.address)
        if found.ca_pem != self._credentials.ca_pem or found.source != self._credentials.source:
            old, self._credentials = self._channel, found
            self._connect()
            old.close()

    def _endurance(self) -> Endurance:
        return Endurance(self.address, self._patience_s, self._on_outage)

    def _call(self, ask: Callable[[float], T], attempt_s: float = CALL_S) -> T:
        endurance = self._endurance()
        while True:
            try:
                return ask(attempt_s)
            except grpc.RpcError as error:
                self._pause(endurance.pause_after(error, time.monotonic()))


def _left(until: float | None) -> float | None:
    return None if until is None else until - time.monotonic()
