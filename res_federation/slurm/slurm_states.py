"""Slurm's job states, long and short, and what each says of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from res_federation.model.job_state import JobState


class Phase(Enum):
    """What a state means for a payload."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    """The payload is over, and Slurm still cleans up."""
    OVER = "over"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SlurmState:
    """A state.

    Attributes:
        word: Slurm's long word.
        phase: What it means.
        end: The federation's state, for one that is over.
        by: Number of the user who cancelled, or "".

    """

    word: str
    phase: Phase
    end: JobState | None = None
    by: str = ""

    @property
    def reason(self) -> str:
        """Say for people what the federation's state leaves out, or "" where it says it all."""
        if self.by:
            return f"cancelled by {self.by}"
        return _REASONS.get(self.word, "")


_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD",
            "CONFIGURING", "POWER_UP_NODE", "EXPEDITING")  # fmt: skip
_RUNNING = ("RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "UPDATE_DB")
_ENDING = ("COMPLETING", "STAGE_OUT")
_OVER = {
    "COMPLETED": JobState.COMPLETED,
    "CANCELLED": JobState.CANCELLED,
    "FAILED": JobState.FAILED,
    "TIMEOUT": JobState.TIMEOUT,
    "NODE_FAIL": JobState.NODE_FAIL,
    "PREEMPTED": JobState.CANCELLED,
    "BOOT_FAIL": JobState.NODE_FAIL,
    "DEADLINE": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "LAUNCH_FAILED": JobState.FAILED,
    "RECONFIG_FAIL": JobState.FAILED,
    "REVOKED": JobState.CANCELLED,
}
_SHORT = {
    "PD": "PENDING", "R": "RUNNING", "S": "SUSPENDED", "CD": "COMPLETED", "CA": "CANCELLED",
    "F": "FAILED", "TO": "TIMEOUT", "NF": "NODE_FAIL", "PR": "PREEMPTED", "BF": "BOOT_FAIL",
    "DL": "DEADLINE", "OOM": "OUT_OF_MEMORY", "CF": "CONFIGURING", "CG": "COMPLETING",
    "LF": "LAUNCH_FAILED", "RQ": "REQUEUED", "RH": "REQUEUE_HOLD", "RS": "RESIZING",
    "RV": "REVOKED", "SI": "SIGNALING", "SE": "SPECIAL_EXIT", "SO": "STAGE_OUT", "ST": "STOPPED",
    "RF": "REQUEUE_FED", "RD": "RESV_DEL_HOLD", "PN": "POWER_UP_NODE", "UD": "UPDATE_DB",
}  # fmt: skip
_REASONS = {
    "PREEMPTED": "preempted by another job",
    "BOOT_FAIL": "its nodes did not boot",
    "DEADLINE": "it could not end before its deadline",
    "LAUNCH_FAILED": "it could not be launched",
    "RECONFIG_FAIL": "its nodes could not be set up",
    "REVOKED": "another cluster of Slurm's own federation runs it",
}
_OVERRULES = frozenset({"REVOKED"})
_BY = re.compile(r"CANCELLED by (\S{1,64})")


@lru_cache(maxsize=256)  # a queue has few different ones
def read(text: str) -> SlurmState:
    """Return the state that *text* names; a word that is not known is UNKNOWN, never guessed.

    Several words (``COMPLETED,COMPLETING``; newer versions list a state and flags) count by the
    state, with ENDING while a job that is over is still being cleaned up, and WAITING once it is to
    run again. A flag that is not known makes the end of a job UNKNOWN: it may not be one.
    """
    text = text.strip()
    by = _BY.fullmatch(text)
    if by:
        return SlurmState("CANCELLED", Phase.OVER, JobState.CANCELLED, by.group(1))
    words = [word for word in re.split(r"[\s,|+]+", text[:200].upper().rstrip("+*")) if word]
    known = [state for word in words if (state := _one(_SHORT.get(word, word))) is not None]
    if not known:
        return SlurmState(text[:64], Phase.UNKNOWN)
    base = known[0]
    for flag in known[1:]:
        if flag.phase is Phase.WAITING or flag.word in _OVERRULES:
            return flag
    if base.phase is Phase.OVER and len(known) < len(words):
        return SlurmState(text[:64], Phase.UNKNOWN)
    if base.phase is Phase.OVER and any(flag.phase is Phase.ENDING for flag in known):
        return SlurmState(base.word, Phase.ENDING, base.end)
    return base


def _one(word: str) -> SlurmState | None:
    if word in _OVER:
        return SlurmState(word, Phase.OVER, _OVER[word])
    for words, phase in ((_WAITING, Phase.WAITING), (_RUNNING, Phase.RUNNING),
                         (_ENDING, Phase.ENDING)):  # fmt: skip
        if word in words:
            return SlurmState(word, phase)
    return None
