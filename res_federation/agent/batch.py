"""The small interface behind which a batch system sits.

Written with Slurm in mind: a submission has three outcomes, a run is found by its token and not
by a number that the batch system may give away again, and one `observe` looks at everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import JobSpec, TaskOutcome


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a batch system is asked to run.

    Attributes:
        token: Travels in two carriers (job name and comment, on Slurm).
        partition: Where.
        spec: What.
        directory: The run's own directory, made by the agent: script, output, start-once mark,
            lease. Nothing is written outside it.

    """

    token: RunToken
    partition: PartitionId
    spec: JobSpec
    directory: Path


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch system has it, under this number."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch system surely did not take it; the text is its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Nobody knows: look for the token, never submit again blindly."""

    text: str


SubmitOutcome = Accepted | Refused | Unsettled


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch system knows of one token.

    Attributes:
        token: Which run.
        batch_id: The batch system's own number.
        tasks: Each task that began or ended; a task that waits may be left out. A task in a final
            state with ``started`` None promises that its payload never began.
        reason: Why the rest waits, in the batch system's own words, or "".

    """

    token: RunToken
    batch_id: str
    tasks: tuple[TaskOutcome, ...]
    reason: str = ""


class BatchSystem(Protocol):
    """Six verbs. Each may raise Unavailable when the batch system does not answer."""

    async def submit(self, request: RunRequest) -> SubmitOutcome:
        """Submit a run."""
        ...

    async def find(self, tokens: Sequence[RunToken]) -> dict[RunToken, Found]:
        """Look for runs by token; one that is absent from the answer is surely not there.

        Raises:
            Unavailable: If the batch system cannot be sure now (its controller is down or hung):
                an answer in doubt must not be given.

        """
        ...

    async def cancel(self, token: RunToken, task: int | None) -> None:
        """Cancel a run or one task of it; cancelling what has ended is not an error."""
        ...

    async def capacity(self) -> tuple[PartitionCapacity, ...]:
        """Return what each group of like nodes has now."""
        ...

    async def changed(self) -> None:
        """Return when something may have changed (a job began or ended), or after a beat."""
        ...

    async def close(self) -> None:
        """Let go without ending any job."""
        ...
