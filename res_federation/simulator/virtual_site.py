"""A site as its agent and its Slurm present it: takes orders, runs jobs, reports.

The agent's part of the protocol is here in full: a run is taken once whatever is repeated, a
fenced run asks before its payload begins, an end is told until it is forgotten, and what cannot be
asked for a whole lease is given back.  Only the disk and the wire are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from res_federation.model.capacity import CapacityReport, WaitingJob
from res_federation.model.identifiers import RunToken, job_of
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Arrange, Begin, Cancel, Forget, Order, Start, Withdraw
from res_federation.model.site import Site
from res_federation.simulator.demand import Demand
from res_federation.simulator.held_jobs import Held, seen
from res_federation.simulator.site_order import SiteOrder
from res_federation.simulator.virtual_site_partition import MakeQueue, VirtualPartition

FENCE_AFTER_S = 20
"""An agent fences a run that has waited so long in the site's queue."""
LASTING_S = 1e12
"""Time to live of reports while a site is well: its beats are not played out one by one."""

_UNANSWERED = "its broker has not answered for a whole lease"

Begun = Callable[["VirtualSite", "Held", int], None]


class VirtualSite:
    """One member. Times are whole seconds; the engine calls, nothing here waits."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that sites differ in
        self,
        site: Site,
        demand: Demand,
        first_place: int,
        make_queue: MakeQueue,
        *,
        begun: Begun,
        order: SiteOrder,
        fences: bool = True,
        arranges: bool = True,
        lease_s: int = 900,
    ) -> None:
        """Build an idle site.

        Args:
            site: What it declares.
            demand: What each job asks for.
            first_place: Index of its first partition among all.
            make_queue: Makes the local scheduler of a partition.
            begun: Told of each payload that begins.
            order: Ranks the jobs of this site.
            fences: Whether its agent can keep a run from beginning before it is let.
            arranges: Whether its waiting runs can take one another's places.
            lease_s: How long a fenced run waits for the word before it is given back.

        """
        self.site, self.demand, self._begun = site, demand, begun
        self.fences, self.arranges, self.lease_s = fences, arranges and fences, lease_s
        self.parts = [
            VirtualPartition(part, first_place + number, make_queue(part))
            for number, part in enumerate(site.partitions)
        ]
        self._by_id = {part.declared.id: part for part in self.parts}
        self.held: dict[int, Held] = {}
        self.runs: dict[RunToken, Held] = {}
        self._seen: set[RunToken] = set()
        self._news: dict[RunToken, Held | RunObservation] = {}
        self.ended: dict[RunToken, RunObservation] = {}
        self.dirty: dict[VirtualPartition, None] = {}
        """Partitions whose queue is to be passed over at this second."""
        self.touched = False
        """Whether a report would say something new."""
        self.urgent = False
        """Whether there is an end or a refusal to tell."""
        self.asking = False
        """Whether a run has its nodes and waits for the word."""
        self.silent_since: int | None = None
        """Since when it and the broker do not hear one another."""
        self._order, self._ranked = order, 0
        self._sequence = self._keys = 0

    # --- what users and the broker ask

    def submit(
        self,
        job: int,
        part: VirtualPartition,
        now: int,
        token: RunToken | None = None,
        *,
        fenced: bool = False,
        yields: int = 0,
    ) -> Held | None:
        """Put a job into the queue of a partition; None if it never fits there.

        It stands there as if it had come *yields* seconds later.
        """
        demand = self.demand
        it = part.size(demand.kind[job], demand.requests[demand.kind[job]])
        if it is None:
            return None
        limit = demand.limit[job]
        cores, accelerators = it.nodes * it.cores_per_node, it.nodes * it.accelerators_per_node
        held = Held(
            self._next_key(), job, part, token,
            limit, (it.nodes, cores, accelerators), now + yields, fenced,
        )  # fmt: skip
        self.held[held.key] = held
        held.size = it.nodes if part.pool else it
        since = held.submitted
        rank = self._order.rank(job, since, now)
        part.enqueue(held.key, held.size, limit, now, since, rank)
        part.pending_core_s += cores * limit
        part.pending_accelerator_s += accelerators * limit
        part.entries[held.key] = WaitingJob(it.nodes, cores, accelerators, limit, token)
        part.others += token is None
        self._mark(part)
        return held

    def _next_key(self) -> int:
        self._keys += 1
        return self._keys

    def obey(self, orders: Sequence[Order], now: int) -> None:
        """Carry out what the broker orders."""
        for order in orders:
            match order:
                case Start():
                    self._start(order, now)
                case Begin():
                    for token in order.tokens:
                        self._let_begin(token, now)
                case Forget():
                    for token in order.tokens:
                        self.ended.pop(token, None)
                case Cancel():
                    self._cancel(order.token, now)
                case Withdraw():
                    for token in order.tokens:
                        self._take_back(token, now)
                case Arrange():
                    self._arrange(order)
                case _:
                    pass  # leases: what they bound is settled when the site falls silent

    def _start(self, order: Start, now: int) -> None:
        token = order.token
        if token in self._seen:
            return
        self._seen.add(token)
        part = self._by_id.get(order.partition)
        job = self.demand.number[job_of(token)]
        held = None
        if part is not None and part.up:
            held = self.submit(
                job, part, now, token, fenced=order.fenced and self.fences,
                yields=int(order.yields_s),
            )  # fmt: skip
        if held is None:
            refusal = RunObservation(
                token, JobState.FAILED, reason="never fits here", ended=float(now), refused=True
            )
            self._over(token, refusal)
            return
        self.runs[token] = held
        self._news[token] = held

    def _let_begin(self, token: RunToken, now: int) -> None:
        held = self.runs.get(token)
        if held is None or not held.fenced:
            return
        held.fenced = False
        if held.given >= 0:
            self._begin(held, now)

    def _cancel(self, token: RunToken, now: int) -> None:
        held = self.runs.get(token)
        if held is None:
            return
        self.leave(held, now)
        begun = held.begun >= 0
        self._over(
            token,
            RunObservation(
                token, JobState.CANCELLED, ended=float(now), begun=begun, withdrawn=not begun
            ),
        )

    def _take_back(self, token: RunToken, now: int) -> None:
        """Withdraw a run that has not begun; its wrapper may wait for the word already."""
        held = self.runs.get(token)
        if held is not None and held.fenced and held.begun < 0:
            self._withdraw(held, now, "withdrawn as asked")

    def _arrange(self, order: Arrange) -> None:
        part = self._by_id.get(order.partition)
        found = [self.runs.get(token) for token in order.tokens]
        waiting = [held for held in found if held is not None and held.given < 0]
        if part is None or not self.arranges or any(held.part is not part for held in waiting):
            return
        part.arrange([held.key for held in waiting])
        ages = sorted(held.submitted for held in waiting)
        for held, age in zip(waiting, ages, strict=True):
            held.submitted = age  # a place is as old as it is, whoever stands in it
        self._mark(part)

    # --- what happens by itself

    def make_pass(self, now: int) -> None:
        """Make one scheduling pass over each partition that changed.

        A run that may not begin any more gives its nodes back at once, and the pass goes on.
        """
        if not self.dirty:
            return
        if self._order.by_rank and now >= self._ranked + self._order.period_s:
            self._ranked = now
            for part in self.parts:
                self._queue_again(part, now)
        for part in self.parts:
            while part in self.dirty:
                del self.dirty[part]
                for key in part.start(now):
                    self._give(self.held[key], now)

    def _give(self, held: Held, now: int) -> None:
        part = held.part
        part.pending_core_s -= held.amounts[1] * held.limit
        part.pending_accelerator_s -= held.amounts[2] * held.limit
        part.hold(now + held.limit, held.amounts)
        part.changed()
        part.entries.pop(held.key, None)
        held.given = now
        if held.token is None or not self._asks(held, now):
            self._begin(held, now)

    def _asks(self, held: Held, now: int) -> bool:
        """Tell whether a run that has its nodes must ask first, and let it ask."""
        assert held.token is not None
        if not self.fences:
            return False
        if not held.fenced and now - held.submitted <= FENCE_AFTER_S:
            return False
        held.fenced = True
        if self.silent_since is not None and now >= self.silent_since + self.lease_s:
            self._withdraw(held, now, _UNANSWERED)
            return True
        self._news[held.token] = held
        self.touched = self.asking = True
        return True

    def _begin(self, held: Held, now: int) -> None:
        held.begun = now
        if held.token is not None:
            self._news[held.token] = held
            self.touched = True
        self._begun(self, held, now)

    def complete(self, key: int, now: int, state: JobState = JobState.COMPLETED) -> Held | None:
        """End a job that runs; None if it has left already."""
        held = self.held.get(key)
        if held is None:
            return None
        self.leave(held, now)
        if held.token is not None:
            done = state is JobState.COMPLETED
            self._over(
                held.token,
                RunObservation(
                    held.token, state, started=float(held.begun), ended=float(now),
                    exit_code=0 if done else 1, begun=True,
                ),
            )  # fmt: skip
        return held

    def give_back(self, now: int) -> None:
        """Give back the runs that ask and get no answer: their lease has run out."""
        for held in list(self.runs.values()):
            if held.fenced and held.given >= 0:
                self._withdraw(held, now, _UNANSWERED)

    def _withdraw(self, held: Held, now: int, why: str) -> None:
        assert held.token is not None, "a local job asks nobody"
        self.leave(held, now)
        self._over(
            held.token,
            RunObservation(
                held.token, JobState.CANCELLED, reason=why, ended=float(now), withdrawn=True
            ),
        )

    def fail(self, held: Held, now: int, state: JobState) -> None:
        """End what holds nodes because the nodes are gone."""
        self.leave(held, now)
        if held.token is None:
            return
        begun = held.begun >= 0
        self._over(
            held.token,
            RunObservation(
                held.token, state, ended=float(now), begun=begun, withdrawn=not begun,
                started=float(held.begun) if begun else None,
            ),
        )  # fmt: skip

    def resize(self, part: VirtualPartition, nodes: int) -> None:
        """Add nodes to a partition, or take them away as they come free."""
        part.resize(nodes)
        self._mark(part)

    def come_back(self, parts: Sequence[VirtualPartition], now: int) -> None:
        """Queue again, as it was, what maintenance kept from beginning."""
        for part in parts:
            if part.over(now):
                self._queue_again(part, now)
            self._mark(part)

    def _queue_again(self, part: VirtualPartition, now: int) -> None:
        """Queue all that waits in the order in which it came, with ranks as of now."""
        for held in self.held.values():
            if held.part is part and held.given < 0:
                part.cancel(held.key)
                rank = self._order.rank(held.job, held.submitted, now)
                part.enqueue(held.key, held.size, held.limit, now, held.submitted, rank)
        if part.waiting:
            self.dirty[part] = None

    def leave(self, held: Held, now: int) -> None:
        """Take a job out of the queue or off its processors."""
        part = held.part
        del self.held[held.key]
        part.entries.pop(held.key, None)
        part.others -= held.token is None
        if held.token is not None:
            self.runs.pop(held.token, None)
        if held.given >= 0:
            part.queue.finish(held.key, now)
            self._order.used(held.job, held.amounts[1] * (now - held.given), now)
            part.let_go(held.given + held.limit, held.amounts)
        else:
            part.cancel(held.key)
            part.pending_core_s -= held.amounts[1] * held.limit
            part.pending_accelerator_s -= held.amounts[2] * held.limit
        self._mark(part)

    def _mark(self, part: VirtualPartition) -> None:
        part.changed()
        self.dirty[part] = None
        self.touched = True

    def _over(self, token: RunToken, observation: RunObservation) -> None:
        self.ended[token] = self._news[token] = observation
        self.touched = self.urgent = True

    # --- reports

    def report(
        self, now: int, *, full: bool = False, time_to_live_s: float = LASTING_S
    ) -> tuple[CapacityReport, tuple[RunObservation, ...]]:
        """Return the figures, and how runs stand: all of them, or only those with news."""
        self._sequence += 1
        figures = CapacityReport(
            self.site.id, self._sequence, float(now), time_to_live_s,
            tuple([part.capacity() for part in self.parts]), arranges=self.arranges,
        )  # fmt: skip
        news: list[Held | RunObservation] = list(self._news.values())
        if full:
            news = [*self.runs.values(), *self.ended.values()]
        told = tuple([seen(one) if isinstance(one, Held) else one for one in news])
        self._news.clear()
        self.touched = self.urgent = self.asking = False
        return figures, told
