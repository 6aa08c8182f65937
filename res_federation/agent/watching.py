"""The quick half of an agent's work: how runs stand, who asks to begin, what must be given back.

It looks at files and at what the batch system was last seen to hold, and runs no command: a payload
that asks to begin never waits behind a controller that hangs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import structlog

from res_federation.agent.batch import BatchSystem, Found
from res_federation.agent.fences import OVER
from res_federation.agent.held import Held, Holdings
from res_federation.agent.journal import Phase
from res_federation.agent.observe import observe
from res_federation.agent.withdrawing import Withdrawing
from res_federation.errors import FailedPrecondition
from res_federation.model.job import RunObservation, TaskOutcome
from res_federation.model.job_state import JobState

MISSING_S = 60.0
"""How long a run may be missing at the batch system before it is called lost."""
FENCE_AFTER_S = 20.0
"""A run that waits in the site's queue for longer than this is fenced."""
_DARK_LEAST_S = 5.0


class Watching:
    """Looks at what the batch system has of what the agent holds."""

    def __init__(self, holdings: Holdings, batch: BatchSystem, withdrawing: Withdrawing) -> None:
        """Look at *holdings* through *batch*."""
        self._holdings = holdings
        self._withdrawing = withdrawing
        self._batch = batch
        self._log = structlog.get_logger("resfed.agent")
        self._since = holdings.now()
        self.lease_s = 0.0
        """The length of the newest lease; 0 before the first."""

    async def step(self) -> None:
        """Look once.

        Raises:
            FederationError: If the disk does not let it go on now.

        """
        watched = self._holdings.in_phase(Phase.ACCEPTED)
        if watched or self._holdings.in_phase(Phase.SUBMITTING, Phase.INTENDED):
            view = await self._batch.find([held.token for held in watched], since=0.0)
            over: list[RunObservation] = []
            for held in watched:
                found = view.found.get(held.token)
                if found is not None and not found.gone:
                    if found is held.seen and not self._fence_due(held):
                        continue
                    held.seen = found
                    with self._contained(held):
                        self._follow(held, found, over)
                elif view.taken_at > max(held.accepted_at, self._since):
                    with self._contained(held):
                        self._missing(held, found, over)
            self._holdings.ended(over)
            self._give_back_in_the_dark(view.taken_at)

    @contextlib.contextmanager
    def _contained(self, held: Held) -> Iterator[None]:
        """Let what lies in the way in one run's directory be the trouble of that run alone."""
        try:
            yield
        except FailedPrecondition as error:
            held.seen = None
            if held.trouble != str(error):
                self._log.warning("a run cannot be followed", run=held.token, why=str(error))
            held.trouble = str(error)

    def _follow(self, held: Held, found: Found, over: list[RunObservation]) -> None:
        held.missing_since = None
        seen = observe(held.spec, found)
        seen = replace(seen, script_sha256=held.observation.script_sha256)
        if seen.state.final:
            over.append(self._proved(held, seen))
            return
        if self._batch.fences:
            seen = self._fenced(held, seen)
        self._holdings.say(held, seen)

    def _fence_due(self, held: Held) -> bool:
        """Tell whether a run has waited so long in the site's queue that it is to be fenced."""
        if held.fence_up or held.observation.begun or held.spec.requeue or not self._batch.fences:
            return False
        return self._holdings.now() - max(held.accepted_at, self._since) > FENCE_AFTER_S

    def _proved(self, held: Held, seen: RunObservation) -> RunObservation:
        """Say that an end was without a payload only when no wrapper can begin one any more."""
        if seen.begun or not self._batch.fences:
            return seen
        fence = self._holdings.fence(held.token)
        given_back = fence.withdrawn()  # and this agent, or the one before, could not write it down
        try:
            proved = fence.withdraw(OVER)
        except FailedPrecondition:  # its own account keeps us from it
            proved = False
        if not proved:
            return replace(seen, begun=True, refused=False, withdrawn=False)
        return replace(seen, refused=False, withdrawn=True) if given_back else seen

    def _fenced(self, held: Held, seen: RunObservation) -> RunObservation:
        """Put a fence before a run that waits, and tell when it asks to begin."""
        fence = self._holdings.fence(held.token)
        if seen.begun:
            if held.fence_up:  # a task slipped through before the fence stood: let the others too
                fence.let_begin()
                held.fence_up = False
            return seen
        if self._fence_due(held):
            held.fence_up = True
            fence.put_up()
        if not held.fence_up or not fence.unbegun():
            return seen
        return replace(seen, fenced=True, asks=fence.asking())

    def _missing(self, held: Held, found: Found | None, over: list[RunObservation]) -> None:
        """Wait a while for a run that the batch system does not know; then give it back or end it.

        Slurm's controller, killed hard, forgets what it had accepted in its last seconds.
        """
        at = self._holdings.now()
        held.missing_since = at if held.missing_since is None else held.missing_since
        gone_s = at - held.missing_since
        if self._batch.fences and gone_s >= self._batch.settle_grace_s:
            why = f"the batch system accepted it and has not known it for {gone_s:.0f} s"
            if self._withdrawing.give_back(held, why, over):
                return
        if gone_s >= MISSING_S:
            over.append(self._lost(held, found, at))

    def _lost(self, held: Held, found: Found | None, at: float) -> RunObservation:
        """Say how each task ended as far as anything was written, and that the rest is lost."""
        why = "the batch system accepted it and does not know it any more"
        if found is None or not found.tasks:
            return RunObservation(held.token, JobState.LOST, reason=why, ended=at, begun=True)
        with self._contained(held):
            self._holdings.fence(held.token).cancel_all()
        known = {task.index: task for task in found.tasks}
        tasks = [_with_end(index, known.get(index), why, at) for index in held.spec.array or (-1,)]
        seen = observe(held.spec, replace(found, tasks=tuple(tasks)))
        return replace(seen, begun=True, refused=False, withdrawn=False)

    def _give_back_in_the_dark(self, seen_at: float) -> None:
        """Give back what has waited through a whole lease in which the batch system was silent."""
        if not self.lease_s:
            return
        at, least = self._holdings.now(), max(self.lease_s, _DARK_LEAST_S)
        over: list[RunObservation] = []
        for held in self._holdings.in_phase(Phase.ACCEPTED, Phase.SUBMITTING, Phase.INTENDED):
            dark_s = at - max(seen_at, held.since)
            if dark_s < least:
                continue
            why = f"its batch system has not answered for {dark_s:.0f} s"
            if held.phase is Phase.INTENDED or self._batch.fences:
                self._withdrawing.give_back(held, why, over)
        self._holdings.ended(over)


def _with_end(index: int, task: TaskOutcome | None, why: str, at: float) -> TaskOutcome:
    """Return a task that is over as it is, any other as lost, with what is known of it."""
    if task is None:
        return TaskOutcome(index, JobState.LOST, ended=at, reason=f"{why}; it did not begin")
    if task.state.final:
        return task
    where = f"; it began as job {task.batch_id} on {task.nodes}, and no end was written"
    return replace(task, state=JobState.LOST, ended=at, reason=why + where)
