"""The runs that this site holds: takes orders, drives the work, says how each run stands.

Two loops work side by side: `submitting` talks to the batch system and may have to wait for it,
`watching` looks at files and at what is known, and never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from res_federation.agent.batch import BatchSystem
from res_federation.agent.clock import Clock
from res_federation.agent.held import Checkpoint, Holdings, nothing
from res_federation.agent.identity import Identities, OneAccount
from res_federation.agent.journal import Entry, Journal, Phase
from res_federation.agent.rundir import RunDirectory, task_word
from res_federation.agent.submitting import Submitting
from res_federation.agent.watching import Watching
from res_federation.agent.withdrawing import Withdrawing
from res_federation.errors import FailedPrecondition, FederationError
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.order import (
    Arrange,
    Begin,
    Cancel,
    Forget,
    Order,
    Renew,
    Start,
    Withdraw,
)

_REMEMBERED_REPORTS = 256
_GATHER_S = 0.02


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
        checkpoint: Checkpoint = nothing,
        identities: Identities | None = None,
    ) -> None:
        """Take up what the journal has; nothing is started before `work` runs."""
        self._batch, self._now, self._beat_s = batch, now, beat_s
        self._holdings = Holdings(journal, state, now=now, checkpoint=checkpoint)
        self._withdrawing = Withdrawing(self._holdings, batch)
        self._identities = identities or OneAccount()
        self._submitting = Submitting(self._holdings, batch, self._withdrawing, self._identities)
        self._watching = Watching(self._holdings, batch, self._withdrawing)
        self._log = structlog.get_logger("resfed.agent")
        self._to_submit, self._to_look = asyncio.Event(), asyncio.Event()
        self._sent: dict[int, float] = {}
        self._sequence = int(now() * 1000)
        self.complete = False
        """Whether every run has been looked for since the start."""

    @property
    def news(self) -> asyncio.Event:
        """Set when a report would say something new."""
        return self._holdings.news

    @property
    def problem(self) -> str:
        """Why no run can begin for anybody here, or ""."""
        return self._identities.problem

    # --- reports

    def report(self, at: float, measured_at: float) -> tuple[int, tuple[RunObservation, ...]]:
        """Return the next sequence and all runs; leases of the answer count from *at*.

        Runs that the batch system took after *measured_at* are not counted in the figures that go
        with the report, and say so.
        """
        self._sequence += 1
        self._sent[self._sequence] = at
        if len(self._sent) > _REMEMBERED_REPORTS:
            del self._sent[min(self._sent)]
        runs = [
            held.observation
            if held.accepted_at <= measured_at
            else replace(held.observation, counted=False)
            for held in self._holdings.runs.values()
        ]
        return self._sequence, tuple(runs)

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
                    self._cancel(token, task)
                case Arrange(partition, tokens):
                    self._holdings.arrangements[partition] = tokens
                case Begin(tokens):
                    self._begin(tokens)
                case Forget(tokens):
                    self._forget(tokens)
                case _:
                    pass  # starts and leases are done; what is to be read goes another way
        # last: a run passes its place on before it leaves
        unwanted = [
            each for order in orders if isinstance(order, Withdraw) for each in order.tokens
        ]
        self._withdrawing.want(unwanted)
        if any(not isinstance(order, Renew) for order in orders) or self._holdings.due():
            self._to_submit.set()
            self._to_look.set()

    def _start(self, orders: list[Start], since: int) -> None:
        good: list[Start] = []
        for order in orders:
            try:
                self._holdings.directory(order.token)
            except FederationError as error:
                self._log.warning("order refused", reason=str(error))
            else:
                good.append(order)
        if not good:
            return
        journal = self._holdings.journal
        fresh = set(
            journal.intend(((o.token, o.partition, o.spec, o.fenced) for o in good), self._now())
        )
        self._holdings.checkpoint("intended")
        for order in good:
            if order.token in fresh:
                fresh.discard(order.token)
                entry = Entry(
                    order.token, order.partition, Phase.INTENDED, order.spec, fenced=order.fenced,
                    yields_s=order.yields_s,
                )  # fmt: skip
                self._holdings.take_up(entry, since)
                self.news.set()

    def _cancel(self, token: RunToken, task: int | None) -> None:
        """Let it not begin from now on, and tell the batch system when it can be told."""
        held = self._holdings.runs.get(token)
        if held is None:
            return
        held.cancels.add(task)
        if self._batch.fences and self._directory(token).path.is_dir():
            fence = self._holdings.fence(token)
            with self._contained(token):
                if task is None:
                    fence.cancel_all()
                else:
                    fence.cancel(task_word(task))

    @contextlib.contextmanager
    def _contained(self, token: RunToken) -> Iterator[None]:
        """Let what lies in the way in one run's directory be the trouble of that run alone."""
        try:
            yield
        except FailedPrecondition as error:
            self._log.warning("a run's directory is not as it was left", run=token, why=str(error))

    def _begin(self, tokens: Sequence[RunToken]) -> None:
        for token in tokens:
            held = self._holdings.runs.get(token)
            if held is not None and held.fence_up and None not in held.cancels:
                with self._contained(token):
                    self._holdings.fence(token).let_begin()
                held.fence_up = False
                held.seen = None
                over = replace(held.observation, fenced=False, asks=False, begun=True)
                self._holdings.say(held, over)

    def _renew(self, order: Renew) -> None:
        sent = self._sent.get(order.sequence)
        if sent is None:
            return  # an answer to another life of this agent
        self._watching.lease_s = order.lease_s
        until = sent + order.lease_s
        for held in self._holdings.runs.values():
            if held.known_from > order.sequence or until <= held.lease_until:
                continue
            held.lease_until = until
            if (
                held.phase in (Phase.SUBMITTING, Phase.ACCEPTED)
                and not held.observation.begun
                and until - held.lease_written > order.lease_s / 4
            ):
                with self._contained(held.token):
                    self._directory(held.token).write_lease(until)
                held.lease_written = until

    def _forget(self, tokens: Sequence[RunToken]) -> None:
        runs = self._holdings.runs
        over = [t for t in tokens if t in runs and runs[t].phase is Phase.ENDED]
        if over:
            self._holdings.journal.forget(over, self._now())
            for token in over:
                del runs[token]
            self.news.set()

    # --- work

    async def work(self) -> None:
        """Do what is due, for ever; failures are told once and tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._loop(self._first_then_submit, self._to_submit))
            group.create_task(self._loop(self._look, self._to_look))

    async def _loop(self, step: Callable[[], Awaitable[None]], wake: asyncio.Event) -> None:
        complaint = ""
        while True:
            wake.clear()
            try:
                await step()
                complaint = ""
            except FederationError as error:
                if str(error) != complaint:
                    self._log.error("cannot go on now", reason=str(error))
                complaint = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s):
                    await wake.wait()
                await asyncio.sleep(_GATHER_S)

    async def _listen(self) -> None:
        while True:
            await self._batch.changed()
            self._to_look.set()

    async def _first_then_submit(self) -> None:
        await self._submitting.step()
        self._to_look.set()

    async def _look(self) -> None:
        await self._watching.step()
        self.complete = True

    async def step(self) -> None:
        """Do everything once, in turn.

        Raises:
            FederationError: If the disk or the batch system does not let it go on now.

        """
        await self._submitting.step()
        await self._look()

    def _directory(self, token: RunToken) -> RunDirectory:
        return self._holdings.directory(token)
