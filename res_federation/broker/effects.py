"""Carries out each effect, after it is on disk. One match."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from res_federation.accounting.records import Membership
from res_federation.broker.clock import Clock
from res_federation.broker.outboxes import Outboxes
from res_federation.broker.watchers import Watchers
from res_federation.control.effects import (
    BooksChanged,
    ClassesHeld,
    Effect,
    JobChanged,
    JobHeld,
    RunRound,
    SendToSite,
    SiteSeen,
    WakeAt,
)
from res_federation.control.events import Event, PlanReady, RoundFailed, Ticked
from res_federation.model.audit import AuditEntry
from res_federation.model.identifiers import JobId, SiteId
from res_federation.model.job import Job
from res_federation.model.plan import Plan

log = structlog.get_logger(__name__)

Place = Callable[[RunRound], Plan]
Among = Callable[[frozenset[int], Iterable[JobId] | None], Iterable[Job]]


class Carrier:
    """Turns effects into messages, rounds and alarms."""

    def __init__(
        self,
        *,
        clock: Clock,
        outboxes: Outboxes,
        jobs: Watchers[JobId, Job],
        sites: Watchers[SiteId, SiteId],
        place: Place,
        put: Callable[[Event], None],
        among: Among,
        member: Callable[[Membership], None],
    ) -> None:
        """Keep the parts; *place* runs in a thread of its own, *put* posts what comes back.

        *among* yields the held jobs of some classes, told the newest, among those that are watched.
        *member* hears of memberships that changed.
        """
        self._among = among
        self._member = member
        self._clock = clock
        self._outboxes = outboxes
        self._jobs = jobs
        self._sites = sites
        self._place = place
        self._put = put
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="round")
        self._rounds: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def carry(self, effect: Effect) -> None:
        """Carry out one effect."""
        match effect:
            case JobChanged(job=job) | JobHeld(job=job):
                self._jobs.tell(job.id, job)
            case SendToSite():
                self._outboxes.send(effect.site, effect.orders)
            case SiteSeen():
                self._sites.tell(effect.site, effect.site)
            case ClassesHeld():
                for one in self._among(effect.kinds, self._jobs.watched):
                    self._jobs.tell(one.id, one)
            case RunRound():
                task = asyncio.create_task(self._round(effect))
                self._rounds.add(task)
                task.add_done_callback(self._rounds.discard)
            case BooksChanged(member=Membership() as member):
                self._member(member)
            case WakeAt():
                self._wake(effect.at)
            case AuditEntry(outcome="denied"):
                log.warning(
                    "denied", actor=effect.actor, act=effect.act, target=effect.target,
                    why=effect.reason,
                )  # fmt: skip
            case _:
                pass

    async def _round(self, effect: RunRound) -> None:
        """Run a round off the loop; whatever goes wrong with workers, the jobs only wait."""
        loop = asyncio.get_running_loop()
        try:
            plan = await loop.run_in_executor(self._thread, self._place, effect)
        except Exception as error:  # noqa: BLE001 - a worker may die in any way
            log.warning("round_failed", why=f"{type(error).__name__}: {error}"[:500])
            self._put(RoundFailed(self._clock.now(), type(error).__name__))
        else:
            self._put(PlanReady(self._clock.now(), plan))

    def _wake(self, at: float) -> None:
        """Set the alarm, unless one that is set already goes off before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, at - self._clock.now())
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._put(Ticked(self._clock.now()))

    def close(self) -> None:
        """Let the round in flight go; its jobs are queued on disk."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
