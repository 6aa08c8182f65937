"""Everything that waits for the batch system: settle doubts, submit, pass cancels on.

Every step is on disk before it is taken.  A run that was being submitted when the agent died, or
whose submission had an unknown outcome, is looked for by its token, and submitted again only when
the batch system surely does not have it and the grace has passed.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import assert_never

import structlog

from res_federation.agent.batch import (
    Accepted,
    BatchSystem,
    NotSent,
    Refused,
    RunRequest,
    SubmitOutcome,
    Unsettled,
    View,
)
from res_federation.agent.held import Held, Holdings
from res_federation.agent.identity import Identities
from res_federation.agent.journal import Phase
from res_federation.agent.observe import ended_unbegun
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.withdrawing import Withdrawing
from res_federation.errors import FailedPrecondition, FederationError, PermissionDenied, Unavailable
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState

_AT_ONCE = 4
"""Submissions in flight: more would only queue before the controller's lock."""


class Submitting:
    """The slow half of an agent's work; see `watching` for the quick one."""

    def __init__(
        self,
        holdings: Holdings,
        batch: BatchSystem,
        withdrawing: Withdrawing,
        identities: Identities,
    ) -> None:
        """Work on *holdings* through *batch*, as whom *identities* say."""
        self._holdings, self._identities = holdings, identities
        self._batch = batch
        self._withdrawing = withdrawing
        self._uncancelled: set[RunToken] = set()
        self._log = structlog.get_logger("resfed.agent")

    async def step(self) -> None:
        """Do once what is due.

        Raises:
            FederationError: If the disk or the batch system does not let it go on now.

        """
        try:
            await self._settle()
            self._end_unsubmitted()
            await self._submit()
            await self._arrange()
        except FederationError:
            self._holdings.arrangements.clear()  # nobody stays for a place that cannot be passed on
            self._withdrawing.carry_out()
            raise
        self._withdrawing.carry_out()
        await self._pass_cancels()
        await self._clear_away()

    async def _settle(self) -> None:
        """Find out about runs of which nobody knows whether they were submitted."""
        holdings = self._holdings
        doubtful = [h for h in holdings.in_phase(Phase.SUBMITTING) if h.doubt_since is not None]
        if not doubtful:
            return
        view = await self._batch.find([h.token for h in doubtful], since=holdings.now())
        here = [h for h in doubtful if h.phase is Phase.SUBMITTING]  # nobody withdrew it meanwhile
        whole = {
            h.token: view.found[h.token].batch_id
            for h in here
            if h.token in view.found and not (_gone(view, h) or view.found[h.token].partial)
        }
        holdings.accepted(whole, {})
        for held in here:
            since = held.doubt_since
            if held.token in whole or since is None:
                continue
            partial = held.token in view.found and not _gone(view, held)
            if partial or view.taken_at - since >= self._batch.settle_grace_s:
                held.doubt_since = None
                held.phase = Phase.INTENDED  # surely not there: it may be submitted
                placed = RunObservation(held.token, JobState.PLACED, fenced=held.fence_up)
                holdings.say(held, placed)

    def _end_unsubmitted(self) -> None:
        """End what was cancelled before it was submitted; a cancelled task waits for the run."""
        at = self._holdings.now()
        gone = [held for held in self._holdings.in_phase(Phase.INTENDED) if None in held.cancels]
        why = "cancelled before it was submitted"
        self._holdings.ended(
            [ended_unbegun(held.token, JobState.CANCELLED, why, at, refused=False) for held in gone]
        )

    async def _submit(self) -> None:
        holdings = self._holdings
        due = holdings.due()
        if not due:
            return
        due = [held for held in due if self._prepared(held)]
        holdings.journal.submitting([held.token for held in due], holdings.now())
        for held in due:
            held.phase, held.doubt_since = Phase.SUBMITTING, holdings.now()
        holdings.checkpoint("submitting")
        queue = list(reversed(due))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(queue))):
                    group.create_task(self._hand_over(queue))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the others would say the same
        holdings.checkpoint("accepted")

    def _prepared(self, held: Held) -> bool:
        """Write a run's directory; one that cannot be written down is refused, the others go on."""
        directory = self._holdings.directory(held.token)
        if not self._identified(held, directory):
            return False
        try:
            directory.prepare(held.spec)
        except (ValueError, TypeError) as error:
            at, why = self._holdings.now(), f"cannot be written down: {error}"
            over = ended_unbegun(held.token, JobState.FAILED, why, at, refused=True)
            self._holdings.ended([over])
            return False
        except FailedPrecondition as error:  # in a directory that its account has had before
            self._say(held, f"cannot be written down: {error}")
            return False
        return self._leased(held, directory)

    def _leased(self, held: Held, directory: RunDirectory) -> bool:
        try:
            if held.fence_up:
                self._holdings.fence(held.token).put_up()
            directory.write_lease(held.lease_until)
        except FailedPrecondition as error:
            self._say(held, f"cannot be written down: {error}")
            return False
        held.lease_written = held.lease_until
        return True

    def _identified(self, held: Held, directory: RunDirectory) -> bool:
        """Look up as whom a run is to run; one that is nobody's here is refused."""
        try:
            held.identity = self._identities.of(held.spec)
            account = held.identity.account
            if account is None or directory.can_be_of(account.uid):
                return True
            why = "this site maps its user to another local account than before"
        except PermissionDenied as error:
            why = str(error)
        over: list[RunObservation] = []
        if self._withdrawing.give_back(held, why, over):
            refused = [
                replace(each, state=JobState.FAILED, refused=True, withdrawn=False) for each in over
            ]
            self._holdings.ended(refused)
        else:  # a part of it was submitted, under the mapping as it was then
            self._say(held, f"not submitted yet: {why}")
        return False

    async def _hand_over(self, queue: list[Held]) -> None:
        """Submit one after another; what is not reached stays in doubt and is looked for."""
        while queue:
            held = queue.pop()
            if not _on_its_way(held):
                continue  # withdrawn before its turn came
            path = self._holdings.directory(held.token).path
            request = RunRequest(
                held.token, held.partition, held.spec, path, held.yields_s, held.identity
            )
            try:
                outcome = await self._batch.submit(request)
            except (
                ValueError,
                TypeError,
                LookupError,
                FailedPrecondition,
            ) as error:  # a fault of ours with this one run
                self._log.error("submission_failed", run=held.token, why=repr(error))
                held.doubt_since = self._holdings.now()
                self._say(held, f"not known yet whether it was submitted: {error!r}")
                continue  # the next ones are none the worse for it
            except FederationError:
                self._take_back(queue)
                raise
            self._holdings.checkpoint("submitted")
            if not _on_its_way(held):
                continue  # withdrawn while it was on its way: the fence holds it
            self._settle_one(held, outcome, queue)

    def _settle_one(self, held: Held, outcome: SubmitOutcome, queue: list[Held]) -> None:
        at = self._holdings.now()
        match outcome:
            case Accepted(number, script):
                self._holdings.accepted({held.token: number}, {held.token: script})
            case Refused(text):
                over = ended_unbegun(held.token, JobState.FAILED, text, at, refused=True)
                self._holdings.ended([over])
            case Unsettled(text):
                held.doubt_since = at
                self._say(held, f"not known yet whether it was submitted: {text}")
                self._take_back(queue)  # the next ones would only be in doubt too
            case NotSent(text):
                self._take_back([held])
                self._take_back(queue)
                self._say(held, f"not submitted yet: {text}")
                raise Unavailable(text)
            case _:
                assert_never(outcome)

    def _take_back(self, queue: list[Held]) -> None:
        """Let those that were not handed over wait for the next step."""
        for held in queue:
            if _on_its_way(held):  # nobody withdrew it meanwhile
                held.phase, held.doubt_since = Phase.INTENDED, None
        queue.clear()

    def _say(self, held: Held, reason: str) -> None:
        self._holdings.say(held, replace(held.observation, reason=reason))

    async def _arrange(self) -> None:
        """Pass on in which order runs are to wait, once; the broker says it again if it matters."""
        wanted = self._holdings.arrangements
        for partition, tokens in list(wanted.items()):
            try:
                await self._batch.arrange(partition, tokens)
            except FederationError as error:
                self._log.warning("not arranged", partition=partition, reason=str(error))
            finally:
                if wanted.get(partition) is tokens:  # nothing newer came meanwhile
                    del wanted[partition]

    async def _clear_away(self) -> None:
        """Take what was withdrawn out of the batch system's queue: it could not begin anyway."""
        leftovers = self._holdings.leftovers
        while leftovers:
            token = leftovers.pop()
            try:
                await self._batch.cancel(token, None)
            except FederationError:
                leftovers.add(token)
                raise

    async def _pass_cancels(self) -> None:
        """Cancel at the batch system; what it does not take now comes last the next time.

        Each is cancelled as its own account: that one's trouble must not be that of the others.
        """
        trouble: FederationError | None = None
        wanted = [held for held in self._holdings.in_phase(Phase.ACCEPTED) if held.cancels]
        for held in sorted(wanted, key=lambda held: held.token in self._uncancelled):
            try:
                for task in list(held.cancels):
                    await self._batch.cancel(held.token, task)
                    held.cancels.discard(task)
                self._uncancelled.discard(held.token)
            except FederationError as error:
                if held.token in self._uncancelled:
                    raise
                self._uncancelled.add(held.token)
                trouble = error
        if trouble is not None:
            raise trouble


def _gone(view: View, held: Held) -> bool:
    found = view.found.get(held.token)
    return found is None or found.gone


def _on_its_way(held: Held) -> bool:
    """Tell whether a run is still being handed over: others may have withdrawn it meanwhile."""
    return held.phase is Phase.SUBMITTING
