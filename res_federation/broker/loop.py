"""The single writer: inbox, `handle`, one transaction, then words to the world.

Whatever came in while a transaction was being written shares the next one (group commit).
Nothing is said, to a user or to a site, before it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from res_federation.broker.auditing import Notes, told_of_books, told_of_job, told_of_site
from res_federation.broker.record import Record
from res_federation.control.effects import (
    BooksChanged,
    Effect,
    FrameSeen,
    JobChanged,
    JobTold,
    SiteChanged,
    WakeAt,
)
from res_federation.control.events import Event
from res_federation.control.machine import handle
from res_federation.control.state import FederationState
from res_federation.errors import (
    AlreadyExists,
    FederationError,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from res_federation.model.audit import AuditEntry
from res_federation.store.step import Step
from res_federation.store.store import Store

log = structlog.get_logger(__name__)

_MOST_WAITING = 200_000
"""Events that may wait in the inbox: more means that the disk does not keep up."""

_AGAIN_S = 1.0
"""Until entries of the audit log that could not be written are tried again."""

Carry = Callable[[Effect], None]


@dataclass(slots=True)
class _Item:
    events: Sequence[Event]
    done: asyncio.Future[None] | None = None
    effects: list[Effect] = field(default_factory=list)


class Loop:
    """Owns the state; everything else posts events to it."""

    def __init__(
        self,
        state: FederationState,
        store: Store,
        carry: Carry,
        reload: Callable[[], Awaitable[FederationState]],
        record: Record | None = None,
    ) -> None:
        """Keep the parts.

        Args:
            state: What is known.
            store: Where a step is written.
            carry: Carries out one effect after it is on disk.
            reload: Reads the state back from the store, after a write that failed.
            record: Keeps what was handled, for replays.

        """
        self.state = state
        self._store = store
        self._carry = carry
        self._reload = reload
        self._record = record
        if record is not None:
            record.begin(state)
        self._notes = Notes()
        self._sign_at: float | None = None
        self._inbox: list[_Item] = []
        self._waiting = 0
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event that nobody waits for."""
        self._add(_Item((event,)))

    async def post(self, *events: Event) -> None:
        """Add events and return when what follows from them is on disk.

        Raises:
            FederationError: If one was refused, or could not be written.
            ResourceExhausted: If the inbox is full.

        """
        if self._waiting + len(events) > _MOST_WAITING:
            raise ResourceExhausted("the broker is behind with writing", way_out="try again")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(_Item(events, done))
        await done

    def note(self, entry: AuditEntry) -> None:
        """Append *entry* to the audit log with the next step; who denies does not wait for it."""
        self._notes.add(entry)
        if self._notes:
            self._wake.set()

    async def sign(self, at: float) -> None:
        """Return when the audit log has a signed head of all that was noted before *at*.

        Raises:
            FederationError: If it could not be written.

        """
        self._notes.roll(at)
        self._sign_at = at
        await self.post()

    async def end(self, entry: AuditEntry) -> None:
        """Write *entry* and all that was noted, and sign: `run` was cancelled before."""
        self._notes.end()
        self._notes.add(entry)
        try:
            await self._store.commit(Step(audit=self._notes.take(), sign_at=entry.at))
        except FederationError as error:
            log.warning("audit_not_ended", why=str(error))

    def _add(self, item: _Item) -> None:
        self._inbox.append(item)
        self._waiting += len(item.events)
        self._wake.set()

    async def run(self) -> None:
        """Handle events for ever. A bug in `handle` ends the process: the log is the truth."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            items, self._inbox, self._waiting = self._inbox, [], 0
            await self._turn(items)

    async def _turn(self, items: list[_Item]) -> None:
        for item in items:
            try:
                for event in item.events:
                    item.effects += handle(self.state, event)
                    if self._record is not None:
                        self._record.add(event, self.state)
            except FederationError as error:
                _settle(item, error)
        effects = [effect for item in items for effect in item.effects]
        step = to_step(effects, self.state.policy.name)
        changes = bool(step)
        notes = self._notes.take()
        step.audit += notes
        step.sign_at, self._sign_at = self._sign_at, None
        if step:
            try:
                await self._store.commit(step)
            except FederationError as error:
                self._notes.give_back(notes)
                self._sign_at = step.sign_at
                asyncio.get_running_loop().call_later(_AGAIN_S, self._wake.set)
                if changes or isinstance(error, Unavailable):
                    await self._recover(items, error)
                    return
                # Only the audit log is behind: no event is to blame, and the state is as it was.
                log.warning("audit_not_written", why=str(error), entries=len(notes))
                for item in items:
                    if not item.events:  # who asked for a head
                        _settle(item, error)
        for item in items:
            _settle(item, None)
        for effect in effects:
            self._carry(effect)

    async def _recover(self, items: list[_Item], error: FederationError) -> None:
        """Forget what could not be written: the state is read back from what is on disk.

        What only one of the items is to blame for must not fail the others: they are tried
        again, each in a step of its own.
        """
        log.warning("step_not_written", why=str(error), items=len(items))
        await self._read_back()
        alone = len(items) == 1 or not isinstance(error, InvalidArgument | AlreadyExists)
        for item in items:
            item.effects.clear()
            if alone:
                _settle(item, error)
            elif item.done is None or not item.done.done():
                await self._turn([item])
        self._carry(WakeAt(0.0))  # the alarm may have been among what was not carried out

    async def _read_back(self) -> None:
        while True:
            try:
                self.state = await self._reload()
                if self._record is not None:
                    self._record.begin(self.state)
            except FederationError as error:
                log.warning("state_not_read_back", why=str(error))
                await asyncio.sleep(1.0)
            else:
                return


def _settle(item: _Item, error: FederationError | None) -> None:
    if item.done is None or item.done.done():
        if error is not None and item.done is None:
            log.warning("event_refused", why=str(error), kind=type(item.events[0]).__name__)
        return
    if error is None:
        item.done.set_result(None)
    else:
        item.done.set_exception(error)


def to_step(effects: Sequence[Effect], policy: str) -> Step:
    """Gather what one transaction writes: each job once, as it stands now; every event.

    What they decide or do goes to the audit log, under *policy*.
    """
    step = Step()
    for effect in effects:
        match effect:
            case JobChanged():
                step.jobs[effect.job.id] = effect.job
                step.entries += effect.entries
                step.events.append(effect)
                if effect.new:
                    step.new.add(effect.job.id)
                if effect.learnt is not None:
                    step.history[effect.job.spec.user] = effect.learnt
                if effect.outcome is not None:
                    step.outcomes[effect.revision] = effect.outcome
                entry = told_of_job(effect, policy)
                if entry is not None:
                    step.audit.append(entry)
            case JobTold():
                step.forecasts[effect.job.id] = effect.forecast
            case SiteChanged():
                step.events.append(effect)
                step.audit.append(told_of_site(effect))
            case BooksChanged():
                step.books.append(effect)
                step.entries += effect.entries
                step.audit.append(told_of_books(effect))
            case AuditEntry():
                step.audit.append(effect)
            case FrameSeen():
                step.frames[effect.id] = effect.partitions
            case _:
                pass
    return step
