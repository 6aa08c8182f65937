"""The runs that this site holds: carries out orders, settles doubts, says how each run stands.

Every step is on disk before it is taken.  A run that was being submitted when the agent died is
looked for by its token and submitted again only if the batch system surely does not have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from res_federation.agent.batch import Accepted, BatchSystem, Refused, RunRequest
from res_federation.agent.clock import Clock
from res_federation.agent.journal import Entry, Journal, Phase
from res_federation.agent.observe import ended_unbegun, observe
from res_federation.agent.rundir import RunDirectory
from res_federation.errors import FederationError
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.job_state import JobState
from res_federation.model.order import Cancel, Forget, Order, Renew, Start

_REMEMBERED_REPORTS = 256
_GATHER_S = 0.02
_MISSING_S = 60.0

Checkpoint = Callable[[str], None]
"""Called between two steps, with the name of the gap; tests end an agent there."""


def _nothing(_gap: str) -> None:
    """Go on."""


@dataclass(slots=True)
class _Held:
    token: RunToken
    partition: PartitionId
    spec: JobSpec
    phase: Phase
    known_from: int
    """The first report that has it."""
    observation: RunObservation
    lease_until: float = 0.0
    lease_written: float = 0.0
    in_doubt: bool = False
    missing_since: float | None = None
    cancels: set[int | None] = field(default_factory=set)


class Runs:
    """What the agent holds. One task calls `work`; orders and reports come from another."""

    def __init__(
        self,
        journal: Journal,
        batch: BatchSystem,
        state: Path,
        *,
        now: Clock,
        beat_s: float = 5.0,
        checkpoint: Checkpoint = _nothing,
    ) -> None:
        """Take up what the journal has; nothing is started before `work` runs."""
        self._journal = journal
        self._batch = batch
        self._root = state / "runs"
        self._now = now
        self._beat_s = beat_s
        self._checkpoint = checkpoint
        self._log = structlog.get_logger("resfed.agent")
        self._wake = asyncio.Event()
        self.news = asyncio.Event()
        """Set when a report would say something new."""
        self._sent: dict[int, float] = {}
        self._sequence = int(now() * 1000)
        self._complaint = ""
        self.complete = False
        """Whether every run has been looked for since the start."""
        self._held = {entry.token: self._take_up(entry) for entry in journal.live()}

    # --- reports

    def report(self, at: float) -> tuple[int, tuple[RunObservation, ...]]:
        """Return the next sequence and all runs; leases of the answer count from *at*."""
        self._sequence += 1
        self._sent[self._sequence] = at
        if len(self._sent) > _REMEMBERED_REPORTS:
            del self._sent[min(self._sent)]
        return self._sequence, tuple([held.observation for held in self._held.values()])

    # --- orders

    def carry_out(self, orders: Sequence[Order]) -> None:
        """Write down what is asked; `work` does the rest.

        Raises:
            ResourceExhausted: If it cannot be written down; then none of the starts happens.

        """
        leases = [order for order in orders if isinstance(order, Renew)]
        # a lease covers what its report held, and the starts that come with it
        since = min((lease.sequence for lease in leases), default=self._sequence + 1)
        self._start([order for order in orders if isinstance(order, Start)], since)
        for lease in leases:
            self._renew(lease)
        for order in orders:
            match order:
                case Cancel(token, task):
                    if token in self._held:
                        self._held[token].cancels.add(task)
                case Forget(tokens):
                    self._forget(tokens)
                case _:
                    pass  # starts and leases are done; what is to be read goes another way
        if any(not isinstance(order, Renew) for order in orders) or self._due():
            self._wake.set()

    def _start(self, orders: list[Start], since: int) -> None:
        good: list[Start] = []
        for order in orders:
            try:
                RunDirectory.of(self._root, order.token)
            except FederationError as error:
                self._log.warning("order refused", reason=str(error))
            else:
                good.append(order)
        if not good:
            return
        fresh = set(
            self._journal.intend(((o.token, o.partition, o.spec) for o in good), self._now())
        )
        self._checkpoint("intended")
        for order in good:
            if order.token in fresh:
                fresh.discard(order.token)
                entry = Entry(order.token, order.partition, Phase.INTENDED, order.spec)
                self._held[order.token] = self._take_up(entry, since)
                self.news.set()

    def _take_up(self, entry: Entry, since: int = 0) -> _Held:
        doubtful = entry.phase is Phase.SUBMITTING
        state = JobState.PLACED if entry.phase is not Phase.ACCEPTED else JobState.SUBMITTED
        unknown = doubtful or entry.phase is Phase.ACCEPTED
        held = _Held(
            token=entry.token,
            partition=entry.partition,
            spec=entry.spec,
            phase=entry.phase,
            known_from=since,
            observation=entry.observation or RunObservation(entry.token, state, begun=unknown),
            in_doubt=doubtful,
        )
        if unknown:
            held.lease_until = held.lease_written = self._directory(entry.token).lease()
        return held

    def _renew(self, order: Renew) -> None:
        sent = self._sent.get(order.sequence)
        if sent is None:
            return  # an answer to another life of this agent
        until = sent + order.lease_s
        for held in self._held.values():
            if held.known_from > order.sequence or until <= held.lease_until:
                continue
            held.lease_until = until
            if (
                held.phase in (Phase.SUBMITTING, Phase.ACCEPTED)
                and not held.observation.begun
                and until - held.lease_written > order.lease_s / 4
            ):
                self._directory(held.token).write_lease(until)
                held.lease_written = until

    def _forget(self, tokens: Sequence[RunToken]) -> None:
        over = [t for t in tokens if t in self._held and self._held[t].phase is Phase.ENDED]
        if over:
            self._journal.forget(over, self._now())
            for token in over:
                del self._held[token]
            self.news.set()

    # --- work

    async def work(self) -> None:
        """Do what is due, for ever; failures are told once and tried again."""
        listener = asyncio.create_task(self._listen())
        try:
            while True:
                await self._try_step()
                try:
                    async with asyncio.timeout(self._beat_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(_GATHER_S)
        finally:
            listener.cancel()

    async def _listen(self) -> None:
        while True:
            await self._batch.changed()
            self._wake.set()

    async def _try_step(self) -> None:
        self._wake.clear()
        try:
            await self.step()
        except FederationError as error:
            if str(error) != self._complaint:
                self._log.error("cannot go on now", reason=str(error))
            self._complaint = str(error)
        else:
            self._complaint = ""

    async def step(self) -> None:
        """Settle doubts, submit what may start, pass cancels on, look at what runs.

        Raises:
            FederationError: If the disk or the batch system does not let it go on now.

        """
        await self._settle()
        self._end_unsubmitted()
        await self._submit()
        await self._pass_cancels()
        await self._look()
        self.complete = True

    def _in(self, phase: Phase) -> list[_Held]:
        return [held for held in self._held.values() if held.phase is phase]

    def _due(self) -> list[_Held]:
        """Return what was ordered, has a lease that still runs, and is not submitted yet."""
        at = self._now()
        return [held for held in self._in(Phase.INTENDED) if held.lease_until > at]

    async def _settle(self) -> None:
        """Find out about runs of which nobody knows whether they were submitted."""
        doubtful = [held for held in self._in(Phase.SUBMITTING) if held.in_doubt]
        if not doubtful:
            return
        found = await self._batch.find([held.token for held in doubtful])
        numbers = {token: each.batch_id for token, each in found.items()}
        self._accepted(numbers)
        for held in doubtful:
            if held.token not in numbers:
                held.in_doubt = False
                held.phase = Phase.INTENDED  # surely not there: it may be submitted
                self._say(held, RunObservation(held.token, JobState.PLACED))

    def _end_unsubmitted(self) -> None:
        """End what was cancelled before it was submitted; a cancelled task waits for the run."""
        at = self._now()
        gone = [held for held in self._in(Phase.INTENDED) if None in held.cancels]
        why = "cancelled before it was submitted"
        self._ended(
            [ended_unbegun(held.token, JobState.CANCELLED, why, at, refused=False) for held in gone]
        )

    async def _submit(self) -> None:
        due = self._due()
        if not due:
            return
        for held in due:
            directory = self._directory(held.token)
            directory.prepare(held.spec)
            directory.write_lease(held.lease_until)
            held.lease_written = held.lease_until
        self._journal.submitting([held.token for held in due], self._now())
        for held in due:
            held.phase, held.in_doubt = Phase.SUBMITTING, True
        self._checkpoint("submitting")
        numbers: dict[RunToken, str] = {}
        refused: list[RunObservation] = []
        try:
            for held in due:
                path = self._directory(held.token).path
                request = RunRequest(held.token, held.partition, held.spec, path)
                outcome = await self._batch.submit(request)
                self._checkpoint("submitted")
                if isinstance(outcome, Accepted):
                    numbers[held.token] = outcome.batch_id
                elif isinstance(outcome, Refused):
                    refused.append(
                        ended_unbegun(
                            held.token, JobState.FAILED, outcome.text, self._now(), refused=True
                        )
                    )
        finally:
            self._accepted(numbers)
            self._ended(refused)
        self._checkpoint("accepted")

    def _accepted(self, numbers: dict[RunToken, str]) -> None:
        if not numbers:
            return
        self._journal.accepted(numbers, self._now())
        for token in numbers:
            held = self._held[token]
            held.phase, held.in_doubt = Phase.ACCEPTED, False
            if held.observation.state is JobState.PLACED:
                self._say(held, RunObservation(token, JobState.SUBMITTED))

    async def _pass_cancels(self) -> None:
        for held in self._in(Phase.ACCEPTED):
            for task in list(held.cancels):
                await self._batch.cancel(held.token, task)
                held.cancels.discard(task)

    async def _look(self) -> None:
        watched = self._in(Phase.ACCEPTED)
        if not watched:
            return
        found = await self._batch.find([held.token for held in watched])
        over: list[RunObservation] = []
        for held in watched:
            if held.token not in found:
                self._missing(held, over)
                continue
            held.missing_since = None
            seen = observe(held.spec, found[held.token])
            if seen.state.final:
                over.append(seen)
            else:
                self._say(held, seen)
        self._ended(over)

    def _missing(self, held: _Held, over: list[RunObservation]) -> None:
        """Wait a while for a run that the batch system does not know, then call it lost."""
        at = self._now()
        held.missing_since = at if held.missing_since is None else held.missing_since
        if at - held.missing_since >= _MISSING_S:
            why = "the batch system accepted it and does not know it any more"
            over.append(RunObservation(held.token, JobState.LOST, reason=why, ended=at, begun=True))

    def _ended(self, observations: list[RunObservation]) -> None:
        if not observations:
            return
        self._journal.ended(observations, self._now())
        self._checkpoint("ended")
        for observation in observations:
            held = self._held[observation.token]
            held.phase, held.in_doubt = Phase.ENDED, False
            self._say(held, observation)

    def _say(self, held: _Held, observation: RunObservation) -> None:
        if observation != held.observation:
            held.observation = observation
            self.news.set()

    def _directory(self, token: RunToken) -> RunDirectory:
        return RunDirectory.of(self._root, token)
