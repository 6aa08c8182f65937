"""Simple policies that choose once, when a job comes: what federations do without much thought.

They look at the sites as they are at that second, not as reports tell: no such policy could know
more.  `handle` commits what they choose as it commits any plan.  `earliest-start` is not here: it
is `place` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from res_federation.control.effects import RunRound
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.plan import Assignment, Plan, Rejection
from res_federation.model.reason import Code, Reason
from res_federation.placement.rows import draw
from res_federation.placement.snapshot import Row
from res_federation.simulator.demand import Demand
from res_federation.simulator.virtual_site_partition import VirtualPartition

Choose = Callable[[JobId, Sequence[VirtualPartition]], VirtualPartition]
"""Takes one of the partitions where a job fits; there is at least one."""


class Chooser:
    """Carries out rounds: every job of one goes to the partition that the rule takes."""

    def __init__(
        self, rule: str, demand: Demand, partitions: Sequence[VirtualPartition], seed: int
    ) -> None:
        """Take a rule by name: random, round-robin, shortest-queue, least-load."""
        self._demand, self._partitions, self._seed = demand, partitions, seed
        self._choose: Choose = {
            "random": self._random,
            "round-robin": self._next,
            "shortest-queue": self._shortest,
            "least-load": self._least,
        }[rule]
        self._turn = 0
        self._now = 0
        self._sent: dict[PartitionId, tuple[int, int]] = {}

    def __call__(self, effect: RunRound) -> Plan:
        """Choose for the jobs of a round, one after the other."""
        snapshot = effect.snapshot
        rows = {row.partition: row for row in snapshot.rows}
        self._now, self._sent = int(snapshot.at), {}
        assignments: list[Assignment] = []
        rejections: list[Rejection] = []
        for job in effect.jobs:
            number = self._demand.number[job.id]
            fits = [part for part in self._partitions if self._fits(number, part)]
            why = [self._closed(number, part, rows[part.declared.id]) for part in fits]
            able = [part for part, code in zip(fits, why, strict=True) if code is Code.FITS]
            if able:
                part = self._choose(job.id, able)
                name = part.declared.id
                jobs, work = self._sent.get(name, (0, 0))
                amount = self._demand.procs[number] * self._demand.limit[number]
                self._sent[name] = (jobs + 1, work + amount)
                assignments.append(Assignment(job.id, name, -1, False, 0.0, b""))
            else:
                problem = why[0] if fits else Code.TOO_FEW_NODES
                rejections.append(Rejection(job.id, not fits, Reason(problem), b""))
        return Plan(snapshot.version, (), b"choosers", tuple(assignments), tuple(rejections))

    def _fits(self, job: int, part: VirtualPartition) -> bool:
        kind, most = self._demand.kind[job], part.declared.max_time_s
        in_time = most is None or self._demand.limit[job] <= most
        return in_time and part.size(kind, self._demand.requests[kind]) is not None

    def _closed(self, job: int, part: VirtualPartition, row: Row) -> Code:
        """Tell why a partition takes no such jobs now, as the broker knows it."""
        kind = self._demand.kind[job]
        it = part.size(kind, self._demand.requests[kind])
        if row.problem is Code.FITS and it is not None and it.nodes > row.available:
            return Code.NODES_UNAVAILABLE
        return row.problem

    def _random(self, job: JobId, fits: Sequence[VirtualPartition]) -> VirtualPartition:
        return fits[draw(job, self._seed) % len(fits)]

    def _next(self, _job: JobId, fits: Sequence[VirtualPartition]) -> VirtualPartition:
        """Go round all partitions; one where the job does not fit is passed over."""
        places = {part.place: part for part in fits}
        while True:
            part = places.get(self._turn)
            self._turn = (self._turn + 1) % len(self._partitions)
            if part is not None:
                return part

    def _shortest(self, _job: JobId, fits: Sequence[VirtualPartition]) -> VirtualPartition:
        return min(fits, key=self._queue_length)

    def _queue_length(self, part: VirtualPartition) -> int:
        return part.waiting + self._sent.get(part.declared.id, (0, 0))[0]

    def _least(self, _job: JobId, fits: Sequence[VirtualPartition]) -> VirtualPartition:
        return min(fits, key=self._load)

    def _load(self, part: VirtualPartition) -> float:
        """Return the seconds that all cores would need for what runs and waits, by the limits."""
        sent = self._sent.get(part.declared.id, (0, 0))[1]
        return (part.running_core_s(self._now) + part.pending_core_s + sent) / part.cores
