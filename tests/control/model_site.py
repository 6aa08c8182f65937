"""A site and its agent as a few lines of plain state: what the protocol asks of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from res_federation.control.effects import (
    BeginRuns,
    CancelRun,
    ForgetRuns,
    Order,
    StartRun,
    WithdrawRuns,
)
from res_federation.control.events import SiteReported
from res_federation.model.capacity import CapacityReport, FreeNodes, PartitionCapacity
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.site import Site


@dataclass
class ModelSite:
    """Holds runs by token, begins each at most once, and tells all that it holds."""

    site: Site
    held: dict[RunToken, RunObservation] = field(default_factory=dict)
    seen: set[RunToken] = field(default_factory=set)
    begun: list[RunToken] = field(default_factory=list)
    fenced: set[RunToken] = field(default_factory=set)
    sequence: int = 0
    journal: str = "first"
    clock: Callable[[], float] = lambda: 2.0
    ran: dict[RunToken, float] = field(default_factory=dict)
    gives_back: bool = False

    def obey(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            match order:
                case StartRun(token, _, fenced):
                    self.start(token, fenced)
                case CancelRun(token, None):
                    held = self.held.get(token)
                    if held and not held.state.final:
                        self.end(token, JobState.CANCELLED)
                case BeginRuns(tokens):
                    for token in tokens:
                        if token in self.held and self.held[token].asks:
                            self.fenced.discard(token)
                            self.begin(token)
                case WithdrawRuns(tokens):
                    self.give_back(tokens if self.gives_back else ())
                case ForgetRuns(tokens):
                    for token in tokens:
                        if token in self.held and self.held[token].state.final:
                            del self.held[token]
                case _:
                    pass

    def give_back(self, tokens: tuple[RunToken, ...]) -> None:
        """Withdraw those that wait, as a real agent does at once."""
        for token in tokens:
            held = self.held.get(token)
            if held and held.state is JobState.SUBMITTED:
                self.fenced.discard(token)
                self.withdraw(token)

    def start(self, token: RunToken, fenced: bool) -> None:
        if token not in self.seen:
            self.seen.add(token)
            self.held[token] = RunObservation(token, JobState.SUBMITTED)
            if fenced:
                self.fence(token)

    def fence(self, token: RunToken) -> None:
        self.fenced.add(token)
        self.held[token] = RunObservation(token, JobState.SUBMITTED, fenced=True)

    def begin(self, token: RunToken) -> None:
        if token in self.fenced:
            self.held[token] = RunObservation(token, JobState.SUBMITTED, fenced=True, asks=True)
            return
        self.begun.append(token)
        now = self.clock()
        self.held[token] = RunObservation(token, JobState.RUNNING, begun=True, started=now)

    def refuse(self, token: RunToken) -> None:
        self.held[token] = RunObservation(token, JobState.FAILED, reason="no", refused=True)

    def withdraw(self, token: RunToken) -> None:
        self.held[token] = RunObservation(
            token, JobState.CANCELLED, withdrawn=True, ended=self.clock()
        )

    def end(self, token: RunToken, state: JobState = JobState.COMPLETED) -> None:
        begun, started = self.held[token].state is JobState.RUNNING, self.held[token].started
        if begun and started is not None:
            self.ran[token] = self.clock() - started
        self.held[token] = RunObservation(
            token, state, begun=begun, started=started if begun else None, ended=self.clock(),
            exit_code=0 if state is JobState.COMPLETED else 1,
        )  # fmt: skip

    def wipe(self) -> None:
        """Lose the state directory."""
        self.journal += "'"
        self.held.clear()
        self.seen.clear()
        self.fenced.clear()

    def report(self, at: float) -> SiteReported:
        self.sequence += 1
        used = sum(1 for run in self.held.values() if not run.state.final)
        parts = tuple(
            PartitionCapacity(
                id=partition.id,
                shape=partition.shape,
                nodes=partition.nodes or 0,
                available=partition.nodes or 0,
                free=(
                    FreeNodes(
                        max(0, (partition.nodes or 0) - used),
                        partition.shape.cores or 0,
                        partition.shape.memory_mib or -1,
                        partition.shape.accelerators,
                    ),
                ),
            )
            for partition in self.site.partitions
        )
        report = CapacityReport(self.site.id, self.sequence, at, 30.0, parts)
        return SiteReported(at, report, tuple(self.held.values()), self.journal, fences=True)
