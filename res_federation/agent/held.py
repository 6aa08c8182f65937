"""What an agent holds: each run with how far it got, on disk before it is acted on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from res_federation.agent.batch import Found
from res_federation.agent.clock import Clock
from res_federation.agent.fences import GO, Fence
from res_federation.agent.identity import Identity
from res_federation.agent.journal import Entry, Journal, Phase
from res_federation.agent.rundir import RunDirectory
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import JobSpec, RunObservation
from res_federation.model.job_state import JobState

Checkpoint = Callable[[str], None]
"""Called between two steps, with the name of the gap; tests end an agent there."""


def nothing(_gap: str) -> None:
    """Go on."""


@dataclass(slots=True)
class Held:
    """One run.

    Attributes:
        token: Which.
        partition: Where it is to run.
        spec: What it runs.
        phase: How far it got, as the journal has it.
        known_from: The first report that has it.
        observation: What the next report says of it.
        lease_until: Until when a payload may begin, UTC seconds.
        lease_written: What of that stands in the run's directory.
        doubt_since: Since when nobody knows whether it was submitted, or None.
        accepted_at: When the batch system took it, as far as this life of the agent knows.
        missing_since: Since when the batch system does not know it, or None.
        fence_up: Whether a fence stands in its directory that does not say ``go``, or is to be put
            up before it is submitted.
        since: When this life of the agent took it up.
        seen: What the batch system was last seen to know of it.
        cancels: Tasks (None for all) that are still to be cancelled at the batch system.
        unwanted: Whether the broker wants it back, if it surely has not begun.
        yields_s: In the queue it stands as if it came so many seconds later.
        identity: As whom it is submitted, looked up just before.
        trouble: What was last said of its directory.

    """

    token: RunToken
    partition: PartitionId
    spec: JobSpec
    phase: Phase
    known_from: int
    observation: RunObservation
    lease_until: float = 0.0
    lease_written: float = 0.0
    doubt_since: float | None = None
    accepted_at: float = 0.0
    missing_since: float | None = None
    fence_up: bool = False
    since: float = 0.0
    seen: Found | None = None
    cancels: set[int | None] = field(default_factory=set)
    unwanted: bool = False
    yields_s: float = 0.0
    identity: Identity | None = None
    trouble: str = ""


class Holdings:
    """All runs of one agent, over its journal."""

    def __init__(
        self, journal: Journal, state: Path, *, now: Clock, checkpoint: Checkpoint = nothing
    ) -> None:
        """Take up what the journal has."""
        self.journal, self.root, self.now, self.checkpoint = (
            journal,
            state / "runs",
            now,
            checkpoint,
        )
        self.news = asyncio.Event()
        """Set when a report would say something new."""
        self.runs: dict[RunToken, Held] = {}
        self.arrangements: dict[PartitionId, tuple[RunToken, ...]] = {}
        """Orders of waiting runs that the batch system is still to be told, the newest each."""
        self.leftovers: set[RunToken] = set()
        """Withdrawn runs of which the batch system may still have a job that cannot begin."""
        for entry in journal.live():
            self.take_up(entry)

    def take_up(self, entry: Entry, since: int = 0) -> None:
        """Hold a run that the journal has."""
        doubtful = entry.phase is Phase.SUBMITTING
        state = JobState.PLACED if entry.phase is not Phase.ACCEPTED else JobState.SUBMITTED
        unknown = doubtful or entry.phase is Phase.ACCEPTED
        held = Held(
            token=entry.token,
            partition=entry.partition,
            spec=entry.spec,
            phase=entry.phase,
            known_from=since,
            observation=entry.observation or RunObservation(entry.token, state, begun=unknown),
            doubt_since=self.now() if doubtful else None,
            since=self.now(),
            yields_s=entry.yields_s,
        )
        if unknown:
            held.lease_until = held.lease_written = self.directory(entry.token).lease()
            fence = self.fence(entry.token)
            held.fence_up = fence.word() not in ("", GO)
            if held.fence_up and fence.unbegun():  # what stood at the fence still does
                held.observation = RunObservation(entry.token, state, fenced=True)
        elif entry.fenced and entry.phase is Phase.INTENDED:
            held.fence_up = True
            held.observation = RunObservation(entry.token, state, fenced=True)
        self.runs[entry.token] = held

    def in_phase(self, *phases: Phase) -> list[Held]:
        """Return the runs in one of *phases*."""
        return [held for held in self.runs.values() if held.phase in phases]

    def due(self) -> list[Held]:
        """Return what was ordered, has a lease that still runs, and is not submitted yet."""
        at = self.now()
        return [held for held in self.in_phase(Phase.INTENDED) if held.lease_until > at]

    def directory(self, token: RunToken) -> RunDirectory:
        """Return a run's directory."""
        return RunDirectory.of(self.root, token)

    def fence(self, token: RunToken) -> Fence:
        """Return a run's fence and marks."""
        return Fence(self.directory(token).path)

    def accepted(self, numbers: dict[RunToken, str], hashes: dict[RunToken, str]) -> None:
        """Write down that the batch system took these."""
        if not numbers:
            return
        at = self.now()
        self.journal.accepted(numbers, at)
        for token in numbers:
            held = self.runs[token]
            held.phase, held.doubt_since, held.accepted_at = Phase.ACCEPTED, None, at
            if held.observation.state is JobState.PLACED:
                seen = RunObservation(
                    token,
                    JobState.SUBMITTED,
                    fenced=held.fence_up,
                    script_sha256=hashes.get(token, ""),
                )
                self.say(held, seen)

    def ended(self, observations: Sequence[RunObservation]) -> None:
        """Write down how these ended."""
        if not observations:
            return
        self.journal.ended(observations, self.now())
        self.checkpoint("ended")
        for observation in observations:
            held = self.runs[observation.token]
            held.phase, held.doubt_since = Phase.ENDED, None
            self.say(held, observation)

    def say(self, held: Held, observation: RunObservation) -> None:
        """Let the next report say *observation* of a run."""
        if observation != held.observation:
            held.observation = observation
            self.news.set()
