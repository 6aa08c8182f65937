"""The federation in virtual time: production's `handle` and `place` over virtual sites.

At one second: completions; what users submit at sites; orders that arrive; ONE pass of each site
that changed; reports; what users submit to the federation; rounds.  An order that takes no time
reaches its site within the second, and the site makes its pass over what is new.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from res_federation.control.effects import (
    ArrangeRuns,
    BeginRuns,
    CancelRun,
    ForgetRuns,
    JobChanged,
    RenewLeases,
    RunRound,
    SendToSite,
    StartRun,
    WakeAt,
    WithdrawRuns,
)
from res_federation.control.events import Event, JobSubmitted, PlanReady, SiteReported, Ticked
from res_federation.control.machine import handle
from res_federation.control.state import FederationState
from res_federation.model.capacity import CapacityReport
from res_federation.model.job import RunObservation
from res_federation.model.job_state import FINAL, JobState
from res_federation.model.order import Arrange, Begin, Cancel, Forget, Order, Start, Withdraw
from res_federation.model.plan import Plan
from res_federation.simulator.clockwork import Clockwork, Phase
from res_federation.simulator.demand import Demand
from res_federation.simulator.federation_rules import Record, Rules
from res_federation.simulator.held_jobs import Held
from res_federation.simulator.virtual_site import VirtualSite
from res_federation.simulator.virtual_site_partition import VirtualPartition

JOURNAL = "replay"
MOST_ROUNDS_A_SECOND = 1000
"""Rounds within one second before the replay calls itself stuck; a real one needs a handful."""

Planner = Callable[[RunRound], Plan]
What = Callable[[int], None]
Said = tuple[CapacityReport, tuple[RunObservation, ...]]


class Engine:
    """Drives state, sites and time until nothing is to come."""

    def __init__(
        self,
        state: FederationState,
        demand: Demand,
        home: list[int],
        planner: Planner,
        rules: Rules,
    ) -> None:
        """Keep the parts; the sites are added before `run`.

        Args:
            state: The broker's.
            demand: The jobs.
            home: For each job the partition at which its user submits it, -1: the federation.
            planner: Carries out a round.
            rules: How old news is, and what sites do.

        """
        self.state, self.demand, self.home = state, demand, home
        self.planner, self.rules = planner, rules
        self.clock: Clockwork[What] = Clockwork()
        self.sites: dict[str, VirtualSite] = {}
        jobs = len(demand.submit)
        self.record = Record([-1] * jobs, [-1] * jobs, [-1] * jobs)
        self.parts: list[tuple[VirtualSite, VirtualPartition]] = []
        self._order: dict[str, int] = {}
        self._events: list[tuple[int, What]] = []
        self._mine: list[int] = []
        self._changed: dict[str, VirtualSite] = {}
        self._beating: set[str] = set()
        self._rounds: list[RunRound] = []
        self._post: list[tuple[VirtualSite, list[Order]]] = []
        self._alarm: int | None = None
        self.rounds = 0

    def add(self, site: VirtualSite) -> None:
        """Let a site take part; the order is that in which sites make their passes."""
        self._order[site.site.id] = len(self.sites)
        self.sites[site.site.id] = site
        self.parts += [(site, part) for part in site.parts]

    # --- time

    def run(self) -> Record:
        """Play everything out and return what became of the jobs.

        Nothing here is made in rings, so nobody looks for rings meanwhile: a sixth of the time.
        """
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._play()
        finally:
            if collecting:
                gc.enable()

    def _play(self) -> Record:
        submit = self.demand.submit
        first = submit[0] if submit else 0
        self.start(first)
        job, jobs = 0, len(submit)
        while True:
            now = self.clock.next_at
            if job < jobs and (now is None or submit[job] <= now):
                now = submit[job]
            if now is None:
                return self.record
            self._events = self.clock.pop(now)
            if self._events:
                self._happen(now, Phase.WORLD)
            while job < jobs and submit[job] == now:
                self.arrive(job, now)
                job += 1
            if self._events:
                self._happen(now, Phase.ORDERS)
            self.make_passes(now)
            if self._events:
                self._happen(now, Phase.BEAT)
            self.report(now)
            if self._events:
                self._happen(now, Phase.REPORT)
            if self._mine:
                self._submit(now)
            if self._events:
                self._happen(now, Phase.TICK)
            self._settle(now)

    def start(self, now: int, /) -> None:
        """Let every site tell the broker all that it has."""
        for site in self.sites.values():
            self._tell(site, now, full=True)

    def _happen(self, now: int, last: Phase) -> None:
        """Let happen what is due at this second up to a phase; nothing new is ever due at once."""
        events, done = self._events, 0
        for phase, what in events:
            if phase > last:
                break
            done += 1
            what(now)
        if done:
            del events[:done]

    def _settle(self, now: int) -> None:
        """Let rounds and orders that take no time have their effect within this second."""
        rounds = 0
        while self._rounds or self._post:
            if self._rounds:
                rounds += 1
                assert rounds <= MOST_ROUNDS_A_SECOND, f"rounds without end at second {now}"
                self._round(self._rounds.pop(0), now)
                continue
            post, self._post = self._post, []
            for site, orders in post:
                self._deliver(site, orders, now)
            self.make_passes(now)
            self.report(now)

    # --- sites

    def arrive(self, job: int, now: int) -> None:
        """Let a user submit a job: to the site that is its home, or to the federation."""
        place = self.home[job]
        if place < 0:
            self._mine.append(job)
            return
        site, part = self.parts[place]
        self._changed[site.site.id] = site
        assert site.submit(job, part, now) is not None, f"job {job} never fits at home"

    def begun(self, site: VirtualSite, held: Held, now: int) -> None:
        """Note that a payload began, and let it end in its time."""
        job, record = held.job, self.record
        assert record.start[job] < 0, f"job {job} begins twice"
        record.place[job], record.start[job] = held.part.place, now
        runtime, state = self.demand.runtime[job], JobState.COMPLETED
        if self.rules.kill and runtime > self.demand.limit[job]:
            runtime, state = self.demand.limit[job], JobState.TIMEOUT
        key = held.key

        def end(at: int) -> None:
            if site.complete(key, at, state) is not None:
                record.end[job] = at
                self._changed[site.site.id] = site

        self.clock.push(now + runtime, Phase.COMPLETION, end)

    def _deliver(self, site: VirtualSite, orders: list[Order], now: int) -> None:
        if site.silent_since is None:
            site.obey(orders, now)
            self._changed[site.site.id] = site

    def make_passes(self, now: int, /) -> None:
        """Let each site that changed make one pass, in the order of the federation."""
        if len(self._changed) == 1:
            (site,) = self._changed.values()
            site.make_pass(now)
        elif self._changed:
            for name in sorted(self._changed, key=self._order.__getitem__):
                self._changed[name].make_pass(now)

    def report(self, now: int, /) -> None:
        """Send the reports that are due; the others wait for their beat."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        interval = self.rules.report_interval_s
        for name in sorted(changed):
            site = changed[name]
            if site.silent_since is not None or not site.touched:
                continue
            if not interval or (site.urgent and self.rules.ends_at_once) or site.asking:
                self._tell(site, now)
            elif name not in self._beating:
                self._beating.add(name)
                late = self._order[name] * interval // len(self._order)  # no two sites beat as one
                at = now + interval - (now - late) % interval
                self.clock.push(at, Phase.BEAT, self._beat(site))

    def _beat(self, site: VirtualSite) -> What:
        def beat(now: int) -> None:
            self._beating.discard(site.site.id)
            if site.touched and site.silent_since is None:
                self._tell(site, now)

        return beat

    def _tell(self, site: VirtualSite, now: int, *, full: bool = False) -> None:
        self._send_report(site.report(now, full=full), site.fences, now, full)

    def _send_report(self, said: Said, fences: bool, now: int, full: bool) -> None:
        figures, runs = said
        delay = self.rules.report_delay_s

        def arrive(at: int) -> None:
            self.tell(SiteReported(float(at), figures, runs, JOURNAL, full, fences=fences))

        if delay:
            self.clock.push(now + delay, Phase.REPORT, arrive)
        else:
            arrive(now)

    # --- what happens from outside

    def touch(self, site: VirtualSite) -> None:
        """Let a site report at the end of this second, if it has anything to tell."""
        self._changed[site.site.id] = site

    def last_words(self, site: VirtualSite, now: int) -> None:
        """Play the last beat before a site falls silent: from here on its report grows old."""
        said = site.report(now, full=True, time_to_live_s=self.rules.time_to_live_s)
        figures, runs = said
        self.tell(SiteReported(float(now), figures, runs, JOURNAL, True, fences=site.fences))

    def say_all(self, site: VirtualSite, now: int) -> None:
        """Let a site tell the broker all that it has."""
        self._tell(site, now, full=True)

    # --- the broker

    def _submit(self, now: int) -> None:
        jobs, self._mine, demand = self._mine, [], self.demand
        for job in jobs:
            self.tell(JobSubmitted(float(now), demand.ids[job], demand.spec(job)))

    def tell(self, event: Event) -> None:
        """Let the broker handle an event, and carry out what follows."""
        effects = handle(self.state, event)
        if self.rules.check:
            self.state.check()
        for effect in effects:
            if isinstance(effect, JobChanged):
                if effect.outcome is not None:
                    self.record.told[self.demand.number[effect.job.id]] = effect.outcome
                if effect.job.state in FINAL:
                    self._ended(effect)
            elif isinstance(effect, SendToSite):
                self._send(effect, int(event.at))
            elif isinstance(effect, RunRound):
                self._rounds.append(effect)
            elif isinstance(effect, WakeAt):
                self._wake(effect.at, event)

    def _ended(self, effect: JobChanged) -> None:
        job = self.demand.number[effect.job.id]
        if self.record.start[job] < 0:
            self.record.why[job] = effect.job.state.value.lower()

    def _round(self, effect: RunRound, now: int) -> None:
        self.rounds += 1
        plan = self.planner(effect)
        if self.rules.round_s:
            self.clock.push(
                now + self.rules.round_s,
                Phase.PLAN,
                lambda at: self.tell(PlanReady(float(at), plan)),
            )
        else:
            self.tell(PlanReady(float(now), plan))

    def _send(self, effect: SendToSite, now: int) -> None:
        """Turn orders into what an agent hears, as the broker's outbox does."""
        orders: list[Order] = []
        for order in effect.orders:
            match order:
                case RenewLeases():
                    pass  # a site that hears is a site that is told
                case StartRun():
                    job = self.state.jobs[order.job]
                    run = job.run
                    assert run is not None, f"{order.token} has no run"
                    orders.append(
                        Start(order.token, run.partition, job.spec, order.fenced, order.yields_s)
                    )
                case BeginRuns():
                    orders.append(Begin(order.tokens))
                case ForgetRuns():
                    orders.append(Forget(order.tokens))
                case WithdrawRuns():
                    orders.append(Withdraw(order.tokens))
                case ArrangeRuns():
                    orders.append(Arrange(order.partition, order.tokens))
                case CancelRun():
                    orders.append(Cancel(order.token, order.task))
        if not orders:
            return
        site, delay = self.sites[effect.site], self.rules.order_delay_s
        if delay:
            self.clock.push(now + delay, Phase.ORDERS, lambda at: self._deliver(site, orders, at))
        else:
            self._post.append((site, orders))

    def _wake(self, at: float, event: Event) -> None:
        """Set the alarm.

        The broker ticks every second to see reports and leases grow old.  Here a tick is played
        only while a site is silent: otherwise none can, and the tick would change nothing.
        """
        if isinstance(event, Ticked) and not self._quiet:
            return
        self.tick_at(max(int(event.at) + 1, -int(-at // 1)))

    @property
    def _quiet(self) -> bool:
        """Whether any site is silent."""
        return any(site.silent_since is not None for site in self.sites.values())

    def tick_at(self, when: int) -> None:
        """Let the broker see that time passed at second *when*, at the latest."""
        if self._alarm is None or when < self._alarm:
            self._alarm = when
            self.clock.push(when, Phase.TICK, self._tick)

    def _tick(self, now: int) -> None:
        if self._alarm == now:
            self._alarm = None
            if not self._rounds or self._quiet:  # a round that is asked for is not asked for again
                self.tell(Ticked(float(now)))
