"""How each task of a run stands: what the wrapper wrote, and what Slurm says, put together.

The wrapper's files prove what the payload did; Slurm's word is needed for how it was ended from
outside (time limit, memory, node, cancel) and for what waits.
"""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from res_federation.agent.batch import Found
from res_federation.agent.fences import Begun, Exit, Fence
from res_federation.agent.rundir import RunDirectory, task_word
from res_federation.errors import FailedPrecondition
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.slurm.slurm_states import Phase, SlurmState

_SETTLES_S = 30.0
"""How long after a payload's end its job may still be ending at Slurm."""
_STRAY_S = 60.0
_OWN_ENDS = (None, JobState.COMPLETED, JobState.FAILED)
"""Of these the wrapper's file knows more than Slurm."""
_ASKED = (signal.SIGTERM, signal.SIGKILL)
"""What Slurm sends: the payload may die of it before the shell around it has had its own."""
_NOT_BEGUN = {
    "cancelled": "cancelled before it began",
    "lease-expired": "its lease ran out in the queue",
    "unanswered": "it had its nodes, and the federation did not say that it may begin",
    "failed": "its working directory was not there",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What Slurm knows of one task (or of tasks that wait together).

    Attributes:
        number: Slurm's number.
        state: Slurm's state.
        reason: Slurm's reason.
        exit_code: As Slurm has it.
        ended: UTC seconds, or None.
        nodes: Where, as Slurm writes it.

    """

    number: int
    state: SlurmState
    reason: str = ""
    exit_code: int | None = None
    ended: float | None = None
    nodes: str = ""


@dataclass(slots=True)
class TaskBook:
    """The tasks of one run, those that are over kept."""

    token: RunToken
    spec: JobSpec
    path: Path
    over: dict[int, TaskOutcome]
    returned: bool = False
    shaken: bool = False
    """Whether the controller was started only lately."""
    looked_at: float = 0.0
    """When the records were taken, UTC seconds."""
    settling: bool = False
    """Whether Slurm is still to say how a payload that is over was ended."""

    @classmethod
    def read(cls, token: RunToken, path: Path) -> TaskBook:
        """Take up a run from its directory.

        Raises:
            FailedPrecondition: If its directory does not say what it runs.

        """
        try:
            spec = RunDirectory(path).spec()
        except (OSError, msgspec.DecodeError) as error:
            raise FailedPrecondition(
                f"the directory of run {token} does not say what it runs: {error}",
                way_out="restore it from a backup, or cancel the job",
            ) from None
        return cls(token, spec, path, {})

    def look(
        self, records: Mapping[int, Record], waiting: Sequence[Record], number: str, now: float
    ) -> Found:
        """Return how the run stands.

        Args:
            records: By array index (-1 without an array), for tasks that Slurm lists by themselves.
            waiting: Tasks that wait together.
            number: Slurm's number of the run.
            now: UTC seconds.

        """
        names = _names(self.path)
        fence = Fence(self.path)
        self.settling = False
        live: dict[int, TaskOutcome] = {}
        for index in self.spec.array or (-1,):
            if index in self.over:
                continue
            found = self._task(index, fence, names, records.get(index), now)
            if found is not None and found.state.final:
                self.over[index] = found
            elif found is not None:
                live[index] = found
        both = self.over | live
        reason = next((r.reason for r in waiting if r.reason not in ("", "None")), "")
        began = any(task.started is not None for task in both.values())
        return Found(
            self.token,
            number,
            tuple([both[index] for index in sorted(both)]),
            reason,
            returned=self.returned and not began,
        )

    def _task(
        self, index: int, fence: Fence, names: set[str], record: Record | None, now: float
    ) -> TaskOutcome | None:
        word = task_word(index)
        over = fence.exit(word) if f"exit.{word}" in names else None
        if over is not None and over.started is None:
            self.returned = self.returned or over.cause != "cancelled"
            why = _NOT_BEGUN.get(over.cause, over.cause)
            return TaskOutcome(index, JobState.CANCELLED, ended=over.ended, reason=why)
        mark = fence.begun(word) if f"begun.{word}" in names else None
        if mark is None:
            if record is None and self._cancelled(word, fence, names):
                return TaskOutcome(
                    index, JobState.CANCELLED, ended=now, reason=_NOT_BEGUN["cancelled"]
                )
            return None if record is None else self._never_began(index, record, names)
        if over is not None and self._settles(over, record, now):
            self.settling = True
            return TaskOutcome(
                index, JobState.RUNNING, batch_id=mark.number, started=over.started,
                nodes=mark.nodes,
            )  # fmt: skip
        if over is not None:
            return _ended(index, over, mark, record)
        return _running(index, mark, record, now, again=f"again.{word}" in names)

    def _settles(self, over: Exit, record: Record | None, now: float) -> bool:
        if not _doubtful(over) or now - over.ended >= _SETTLES_S:
            return False
        if record is None:  # one that was taken after the end would show it
            return self.looked_at < over.ended + 1.0
        return record.state.phase is not Phase.OVER

    def _never_began(self, index: int, record: Record, names: set[str]) -> TaskOutcome | None:
        if record.state.phase is not Phase.OVER or record.state.end is None:
            return None
        end, reason = record.state.end, _said(record)
        if end is JobState.COMPLETED:  # it says so of a wrapper that found its directory gone
            end = JobState.FAILED
        if record.state.word == "CANCELLED" and self.shaken and "cancel" not in names:
            # A controller that was killed gives numbers away again, and ends the new job when the
            # old one of its number ends: nobody wanted that.
            self.returned = True
            reason = f"{reason}, whose controller had just been restarted"
        return TaskOutcome(
            index, end, batch_id=str(record.number), ended=record.ended, reason=reason
        )

    def _cancelled(self, word: str, fence: Fence, names: set[str]) -> bool:
        """Tell whether a task was cancelled before it began: Slurm drops such without a line.

        The mark is looked for after the word that forbids it was seen.
        """
        return f"cancel.{word}" in names and fence.begun(word) is None


def _names(path: Path) -> set[str]:
    try:
        return set(os.listdir(path))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return set()


def _said(record: Record) -> str:
    """Return Slurm's state, with who and why as far as it tells."""
    if record.state.by:
        return f"{record.state.word} at the site by {_name(record.state.by)}"
    reason = "" if record.reason in ("", "None") else f" ({record.reason})"
    return f"{record.state.word}{reason}"


def _name(user: str) -> str:
    """Return the name of a local account by its number, or the number where it has none."""
    try:
        return pwd.getpwuid(int(user)).pw_name
    except (KeyError, ValueError, OverflowError):
        return user


def _signal(code: int) -> int:
    return code - 128 if 128 < code <= 128 + 64 else 0


def _doubtful(over: Exit) -> bool:
    """Tell whether a payload may have been ended from outside, which only Slurm can say."""
    return over.code != 0 or over.asked_to_end


def _ended(index: int, over: Exit, mark: Begun, record: Record | None) -> TaskOutcome:
    state = record.state if record is not None else None
    end = JobState.FAILED if over.code else JobState.COMPLETED
    reason = "NonZeroExitCode" if over.code else ""
    theirs = state.end if state is not None and state.phase is Phase.OVER else None
    if theirs is JobState.CANCELLED and not over.asked_to_end and _signal(over.code) not in _ASKED:
        theirs = None  # it had ended by itself before anybody cancelled anything
    if _doubtful(over) and record is not None and theirs not in _OWN_ENDS:
        end, reason = theirs or end, _said(record)
    return TaskOutcome(
        index=index,
        state=end,
        exit_code=over.code,
        signal=_signal(over.code),
        batch_id=mark.number,
        started=over.started,
        ended=over.ended,
        nodes=mark.nodes,
        reason=reason,
    )


def _running(
    index: int, mark: Begun, record: Record | None, now: float, *, again: bool
) -> TaskOutcome:
    """Say how a payload stands that began and wrote no end."""
    runs = TaskOutcome(
        index, JobState.RUNNING, batch_id=mark.number, started=mark.at or now, nodes=mark.nodes
    )
    if record is None or record.state.phase is not Phase.OVER or record.state.end is None:
        return runs
    ended = record.ended if record.ended is not None else now
    if again:
        if now - ended < _STRAY_S:
            return runs  # Slurm forgot that it runs and started it once more: the first goes on
        end, reason = JobState.LOST, "Slurm forgot that it ran, and its end was not written"
    else:
        end, reason = record.state.end, _said(record)
    return TaskOutcome(
        index=index,
        state=end,
        exit_code=record.exit_code,
        batch_id=mark.number,
        started=runs.started,
        ended=ended,
        nodes=mark.nodes,
        reason=reason,
    )
