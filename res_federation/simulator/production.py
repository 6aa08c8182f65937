"""What a broker did, done again by the same `handle` and `place` from its recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from res_federation.control.effects import RunRound
from res_federation.control.events import Event, JobSubmitted, PlanReady, RoundFailed
from res_federation.control.machine import handle
from res_federation.control.state import FederationState
from res_federation.errors import FederationError, InvalidArgument
from res_federation.model.identifiers import JobId
from res_federation.model.plan import Plan
from res_federation.placement.engine import place
from res_federation.placement.policy import Policy
from res_federation.store.recording import Planned, digest_of, read_recording


@dataclass(frozen=True, slots=True)
class Decision:
    """What one round decided of one job: *partition* is "" where it had to wait or is refused."""

    at: float
    job: JobId
    partition: str
    decision: bytes


@dataclass(slots=True)
class Repeated:
    """A recording, done again.

    Attributes:
        jobs: Jobs that were submitted in it, or lived when it began.
        rounds: Rounds that came back.
        failed_rounds: Rounds that did not.
        decisions: Of every round, in order.
        different: Times of the rounds whose plan is another one now.
        lives: States with which the recording begins anew (a restart of the broker).

    """

    jobs: set[JobId] = field(default_factory=set)
    rounds: int = 0
    failed_rounds: int = 0
    decisions: list[Decision] = field(default_factory=list)
    different: list[float] = field(default_factory=list)
    lives: int = 0


def repeat(path: Path, policy: Policy | None = None) -> Repeated:
    """Handle every event of a recording again, and make every plan again.

    Args:
        path: A recording, as `resfed trace export` writes it.
        policy: Weighs instead of the recorded one; the plans then differ, as they should.

    Raises:
        InvalidArgument: If the file is no whole recording, or a plan has no round.

    """
    found = Repeated()
    state: FederationState | None = None
    pending: Plan | None = None
    for frame in read_recording(path):
        if isinstance(frame, FederationState):
            state, pending = frame, None
            if policy is not None:
                state.policy = policy
            found.lives += 1
            found.jobs |= set(state.jobs)
            continue
        if state is None:
            raise InvalidArgument("begins without a state", field=str(path))
        if isinstance(frame, Planned):
            if pending is None:
                raise InvalidArgument(
                    f"a plan of {frame.at:.3f} has no round before it", field=str(path)
                )
            found.rounds += 1
            if digest_of(pending) != frame.digest:
                found.different.append(frame.at)
            found.decisions += _decided(pending, frame.at)
            event: Event = PlanReady(frame.at, pending)
        else:
            event = frame
            if isinstance(event, JobSubmitted):
                found.jobs.add(event.job)
            found.failed_rounds += isinstance(event, RoundFailed)
        try:
            effects = handle(state, event)
        except FederationError as error:
            raise InvalidArgument(
                f"an event of {event.at:.3f} is refused now: {error}",
                field=str(path),
                way_out="replay it with the version of resfed that recorded it",
            ) from None
        for effect in effects:
            if isinstance(effect, RunRound):
                pending = place(effect.snapshot, effect.jobs, state.policy, sweep=effect.sweep)
    return found


def _decided(plan: Plan, at: float) -> Iterator[Decision]:
    for one in plan.assignments:
        yield Decision(at, one.job, one.partition, bytes(one.decision))
    for other in plan.rejections:
        yield Decision(at, other.job, "", bytes(other.decision))
