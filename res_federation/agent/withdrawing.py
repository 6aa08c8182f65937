"""Taking runs back that surely have not begun: because the broker wants it, or nobody answers.

A run is withdrawn in the place where it stands: one that was never handed over just ends; of any
other the batch system's wrapper must be kept from beginning (its fence, or the batch system's own
queue), and that comes first and is proved.  What may have begun stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from res_federation.agent.batch import BatchSystem
from res_federation.agent.held import Held, Holdings
from res_federation.agent.journal import Phase
from res_federation.agent.observe import ended_unbegun
from res_federation.errors import FederationError
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState

WITHDRAWN = "withdrawn before it began"


class Withdrawing:
    """Gives runs back to the broker."""

    def __init__(self, holdings: Holdings, batch: BatchSystem) -> None:
        """Take back runs of *holdings* from *batch*."""
        self._holdings = holdings
        self._batch = batch

    def want(self, tokens: Iterable[RunToken]) -> None:
        """Take these runs back; a token that is not held, or is over, is left out."""
        for token in tokens:
            held = self._holdings.runs.get(token)
            if held is not None and held.phase is not Phase.ENDED:
                held.unwanted = True
        self.carry_out()

    def carry_out(self) -> None:
        """Take back what is not wanted any more and is not to be arranged first.

        A run that stands in the queue passes its place on before it leaves.

        Raises:
            ResourceExhausted: If the disk does not let it be written down.

        """
        over: list[RunObservation] = []
        for held in self._holdings.runs.values():
            stands = held.phase is not Phase.INTENDED
            if not held.unwanted or (stands and held.partition in self._holdings.arrangements):
                continue
            held.unwanted = False
            if held.phase is not Phase.ENDED and None not in held.cancels:
                self.give_back(held, WITHDRAWN, over)
        self._holdings.ended(over)

    def give_back(self, held: Held, why: str, over: list[RunObservation]) -> bool:
        """Withdraw a run whose payload surely has not begun; tell whether that could be proved.

        How it ended is added to *over*: the caller writes it down.
        """
        if not self._unbegun(held):
            return False
        ended = ended_unbegun(
            held.token, JobState.CANCELLED, why, self._holdings.now(), refused=False
        )
        over.append(replace(ended, withdrawn=True))
        return True

    def _unbegun(self, held: Held) -> bool:
        """Let no payload of a run begin any more, if surely none has; tell whether that is so."""
        if held.phase is Phase.INTENDED:
            made = self._holdings.directory(held.token).path.is_dir()
            if not made or not self._batch.fences:
                return True  # nobody was ever given any of it
        try:
            proved = self._batch.withdraw(held.token)
        except FederationError:  # its directory is gone, or cannot be written: no proof
            return False
        if proved:
            self._holdings.leftovers.add(held.token)
        return proved
