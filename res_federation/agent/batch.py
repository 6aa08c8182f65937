"""The small interface behind which a batch system sits.

Written with Slurm in mind: a submission has three outcomes, a run is found by its token and not
by a number that the batch system may give away again, and one `observe` looks at everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from res_federation.agent.identity import Identity
from res_federation.model.capacity import License, PartitionCapacity
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
        yields_s: In the queue it stands as if it came so many seconds later, where that can be.
        identity: As whom it runs; None for the batch system's own account.

    """

    token: RunToken
    partition: PartitionId
    spec: JobSpec
    directory: Path
    yields_s: float = 0.0
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch system has it, under this number; *script_sha256* is of what it was given."""

    batch_id: str
    script_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch system surely did not take it; the text is its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Nobody knows: look for the token, never submit again blindly."""

    text: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The batch system surely never had it, and may have it later: it did not answer."""

    text: str


SubmitOutcome = Accepted | Refused | Unsettled | NotSent


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch system knows of one token.

    Attributes:
        token: Which run.
        batch_id: The batch system's own number.
        tasks: Each task that began or ended; a task that waits may be left out. A task in a final
            state with ``started`` None promises that its payload never began.
        reason: Why the rest waits, in the batch system's own words, or "".
        partial: True while it has only a part of the run (some pieces of a long array): submit
            again, and only what is missing is.
        gone: True when the batch system does not know it: what stands here is from its directory.
        returned: True for a run that ended without a payload for a reason that says nothing about
            the site: it may be placed there again.

    """

    token: RunToken
    batch_id: str
    tasks: tuple[TaskOutcome, ...]
    reason: str = ""
    partial: bool = False
    gone: bool = False
    returned: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a batch system knew at one moment.

    Attributes:
        found: Each token that was asked for and is there; one that is absent was surely not
            there at *taken_at*.
        taken_at: UTC seconds.

    """

    found: Mapping[RunToken, Found]
    taken_at: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What the site has.

    Attributes:
        partitions: What each group of like nodes has.
        taken_at: UTC seconds when the figures were taken.
        licenses: What the batch system counts by licence.
        problem: Why the figures are old, or "".
        needs_account: Whether no account to charge is known here.
        arranges: Whether `BatchSystem.arrange` does anything.

    """

    partitions: tuple[PartitionCapacity, ...]
    taken_at: float
    licenses: tuple[License, ...] = ()
    problem: str = ""
    needs_account: bool = False
    arranges: bool = False


class BatchSystem(Protocol):
    """Eight verbs. Each may raise Unavailable when the batch system does not answer.

    Attributes:
        fences: Whether its wrapper obeys a fence in the run's directory.
        settle_grace_s: How long after a submission of unknown outcome, or after an accepted run
            vanished, the batch system may still come up with it.

    """

    fences: bool
    settle_grace_s: float

    async def submit(self, request: RunRequest) -> SubmitOutcome:
        """Submit a run."""
        ...

    async def find(self, tokens: Sequence[RunToken], *, since: float) -> View:
        """Look for runs by token, in a view that is not older than *since* (UTC seconds).

        With *since* 0 it answers from what it knows, at once and without a command.

        Raises:
            Unavailable: If the batch system cannot be sure now (its controller is down or hung):
                an answer in doubt must not be given.

        """
        ...

    async def cancel(self, token: RunToken, task: int | None) -> None:
        """Cancel a run or one task of it; cancelling what has ended is not an error."""
        ...

    def withdraw(self, token: RunToken) -> bool:
        """Let no payload of a run begin any more, if surely none has; tell whether that is so.

        It asks nobody who might not answer. Where it could not be proved nothing is changed.
        What is left in the queue is taken out by `cancel`.

        Raises:
            FederationError: If the disk does not let it be written down.

        """
        ...

    async def arrange(self, partition: PartitionId, tokens: Sequence[RunToken]) -> None:
        """Let these waiting runs stand in this order, in the places that they have together.

        Nobody else's place changes. Runs that do not wait there are left out.

        Raises:
            Unavailable: If the batch system did not do it: all stand as they stood.

        """
        ...

    async def capacity(self) -> Measured:
        """Return what the site has; old figures say so."""
        ...

    async def changed(self) -> None:
        """Return when something may have changed (a job began or ended), or after a beat."""
        ...

    async def close(self) -> None:
        """Let go without ending any job."""
        ...
