"""What the services stand on: the loop, the store's reading side, and questions to both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import islice, takewhile

from res_federation.accounting.records import Membership
from res_federation.broker.clock import Clock, JobIds
from res_federation.broker.enrolment import Enrolment
from res_federation.broker.loop import Loop
from res_federation.broker.outboxes import Outboxes
from res_federation.broker.outputs import Outputs
from res_federation.broker.sharing import Sharing
from res_federation.broker.watchers import Watch, Watchers
from res_federation.control.capacity import snapshot
from res_federation.control.events import JobSubmitted
from res_federation.control.state import FederationState
from res_federation.control.telling import tell
from res_federation.errors import NotFound
from res_federation.model.identifiers import JobId, RunToken, SiteId, job_of
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.limits import LOCAL_LIMITS
from res_federation.model.order import Piece
from res_federation.model.plan import Explanation, Plan
from res_federation.model.visible import Visible
from res_federation.placement.engine import place
from res_federation.placement.explain import counterfactual, explain
from res_federation.placement.order import in_turn
from res_federation.placement.paying import with_grants
from res_federation.placement.snapshot import Snapshot
from res_federation.security.machine import MachineAccounts
from res_federation.security.pseudonyms import Pseudonyms
from res_federation.security.streams import OpenStreams
from res_federation.store.filters import parse_filter
from res_federation.store.store import Store

_LOOK_AGAIN_S = 1.0
_LOOKED_THROUGH = 5000
"""Waiting jobs that are looked through, the oldest first, when one asks what would help it."""
_ASKED_BESIDE = 64
"""Of these so many are decided with it, each time that a change of it is tried."""


class Federation:
    """The parts of a running broker, put together in `main`."""

    loop: Loop
    enrolment: Enrolment
    machines: MachineAccounts
    pseudonyms: Pseudonyms
    sharing: Sharing
    member_changed: Callable[[Membership], None]
    """Hears of each membership that changed, once it is on disk."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        """Make what needs nothing else; `audit_key` is the public key of the audit log, in PEM."""
        self.store = store
        self.clock = clock
        self.ids = JobIds(clock)
        self.outboxes = Outboxes()
        self.outputs = Outputs(self.outboxes)
        self.audit_key = ""
        self.job_watchers: Watchers[JobId, Job] = Watchers()
        self.site_watchers: Watchers[SiteId, SiteId] = Watchers()
        self.limits = LOCAL_LIMITS
        self.streams = OpenStreams(clock.now)

    @property
    def state(self) -> FederationState:
        """What is known now; only `control` changes it."""
        return self.loop.state

    def check_room(self, events: Sequence[JobSubmitted]) -> None:
        """Check that all jobs of a chunk are within the limits of their user and project.

        Raises:
            ResourceExhausted: Naming the limit; then none of them may be posted.

        """
        keys = self.state.keys
        new = [one for one in events if (one.spec.user, one.idempotency_key) not in keys]
        jobs = Counter((one.spec.user, one.spec.project) for one in new)
        tasks: Counter[tuple[str, str]] = Counter()
        for one in new:
            tasks[one.spec.user, one.spec.project] += one.spec.tasks
        for (user, project), count in jobs.items():
            self.state.live.check_room(self.limits, user, project, count, tasks[user, project])

    async def job(self, uid: JobId) -> Job:
        """Return a job, live or ended; raises NotFound."""
        live = self.state.jobs.get(uid)
        job = await self.store.job(uid) if live is None else tell(self.state, live)
        if job is None:
            raise NotFound(f"there is no job {uid}", way_out="resfed queue --all lists all")
        return job

    def identifier(self, event: JobSubmitted) -> JobId:
        """Return the job that a submission became: an older one when its key was known."""
        key = (event.spec.user, event.idempotency_key)
        return self.state.keys.get(key, event.job) if event.idempotency_key else event.job

    async def submitted(self, event: JobSubmitted) -> Job:
        """Return the job that a submission became."""
        return await self.job(self.identifier(event))

    async def jobs(
        self, text: str, page_size: int, page_token: str, seen: Visible
    ) -> tuple[Sequence[Job], str]:
        """Return a page of jobs, newest first, with the reasons that are not written down."""
        page, token = await self.store.jobs(parse_filter(text), page_size, page_token, seen)
        return [tell(self.state, self.state.jobs.get(job.id, job)) for job in page], token

    async def full_spec(self, job: Job) -> JobSpec:
        """Return the spec with the script's text, which does not stay in memory for ever."""
        if job.spec.script:
            return job.spec
        return replace(job.spec, script=await self.store.script(job.id))

    async def never_seen(self, tokens: Sequence[RunToken]) -> frozenset[RunToken]:
        """Return those tokens whose job the store has never seen."""
        if not tokens:
            return frozenset()
        seen = await self.store.present({job_of(token) for token in tokens})
        return frozenset(token for token in tokens if job_of(token) not in seen)

    async def explain(self, job: Job) -> Explanation:
        """Explain the newest decision; a job that no round has seen yet is decided for show."""
        frame = self.state.frames.get(job.decision[:8])
        if not job.decision or frame is None:
            return await self.dry_run(job)
        now = snapshot(self.state, self.clock.now())
        told = explain(job.id, job.decision, frame, job.decided_at)
        change = await asyncio.to_thread(
            counterfactual, now, job, self.state.policy, self._ahead(job)
        )
        return _paid(replace(told, counterfactual=change), job, now)

    def _ahead(self, job: Job) -> list[Job]:
        """Return the jobs whose turn comes first, up to *job*: for them nodes are kept."""
        if job.state is not JobState.QUEUED or self.state.policy.late is None:
            return []
        waiting = islice((*self.state.held, *self.state.fresh), _LOOKED_THROUGH)
        beside = [self.state.jobs[one] for one in waiting if one != job.id]
        turns = in_turn([*beside, job], self.clock.now(), self.state.policy)
        return list(takewhile(lambda one: one.id != job.id, turns[:_ASKED_BESIDE]))

    async def dry_run(self, job: Job) -> Explanation:
        """Say where *job* would go now, without placing it."""
        now = snapshot(self.state, self.clock.now())
        plan: Plan = await asyncio.to_thread(place, now, (job,), self.state.policy)
        decision = plan.assignments[0].decision if plan.assignments else plan.rejections[0].decision
        change = await asyncio.to_thread(counterfactual, now, job, self.state.policy)
        told = explain(job.id, bytes(decision), plan.frame, now.at)
        return _paid(replace(told, counterfactual=change), job, now)

    async def output(
        self, job: Job, task: int, standard_error: bool, offset: int
    ) -> AsyncIterator[Piece]:
        """Yield what the newest run has printed from *offset* to its present end."""
        run = job.run
        assert run is not None, f"{job.id} has no run"
        while True:
            piece = await self.outputs.read(
                run, task=task, standard_error=standard_error, offset=offset
            )
            if piece.data:
                yield piece
            offset = piece.offset + len(piece.data)
            if piece.end:
                return

    async def pause(self, watch: Watch[JobId, Job]) -> None:
        """Wait until the watched job changes, or long enough to look for more output."""
        try:
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await anext(aiter(watch.changes()))
        except TimeoutError:
            return


def _paid(told: Explanation, job: Job, now: Snapshot) -> Explanation:
    """Return an explanation that says which grants pay, where accounts are kept."""
    return told if now.funds is None else with_grants(told, job, now.rows, now.funds)
