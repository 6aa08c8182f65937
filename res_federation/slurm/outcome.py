"""What became of a submission, from what sbatch said: the table was measured on Slurm 22.05.8.

Only texts that are known to prove something count; every other one leaves the outcome unknown.
"""

from __future__ import annotations

import re
from enum import Enum


class Outcome(Enum):
    """What is known of a submission."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The controller looked at it and does not want it."""
    NOT_SENT = "not sent"
    """The controller surely never had it: it may be tried again."""
    UNKNOWN = "unknown"


_NUMBER = re.compile(r"^(\d{1,10})(?:;[^\n]*)?$", re.MULTILINE)
_REFUSALS = (
    "Requested node configuration is not available",
    "Invalid partition name specified",
    "Invalid feature specification",
    "Invalid node name specified",
    "Required partition not available (inactive or drain)",
    "Invalid account or account/partition combination specified",
    "Invalid qos specification",
    "Job violates accounting/QOS policy",
    "Requested time limit is invalid",
    "Invalid generic resource (gres) specification",
    "More processors requested than permitted",
    "Requested partition configuration not available now",
    "Node count specification invalid",
    "Invalid license specification",
    "Memory required by task is not available",
    "Access/permission denied",
    "Invalid job array specification",
    "Invalid dependency specification",
    "Requested reservation is invalid",
    "User's group not permitted to use this partition",
    "Invalid Trackable RESource (TRES) specification",
)
"""sbatch ends with ``Batch job submission failed: `` and one of these."""
_UNREAD = ("unrecognized option", "Invalid --", "invalid option", "Invalid directive",
           "requires an argument", "Invalid numeric value")  # fmt: skip
"""sbatch itself does not take the options: exit status 255, nothing was sent."""
_UNSENT = (
    "Unable to open file",
    "This does not look like a batch script",
    "Unable to contact slurm controller (connect failure)",
    "Protocol authentication error",
    "cannot stat file",
    "can't be reached now, or it is an invalid entry for --cluster",
    "There is a problem talking to the database",
)


def of_submission(code: int | None, out: str, err: str) -> tuple[Outcome, str]:
    """Return what a submission came to, with its number or the text that says why.

    Args:
        code: Exit status of sbatch; None when it was killed because it did not answer.
        out: What it wrote to standard output (``--parsable``).
        err: What it wrote to standard error.

    """
    text = _last_line(err)
    if code == 0:
        found = _NUMBER.search(out)
        return (Outcome.ACCEPTED, found.group(1)) if found else (Outcome.UNKNOWN, "no job number")
    if code == 127:
        return Outcome.NOT_SENT, text or "sbatch: not found"
    if code == 126:  # the system would not start sbatch with what this job says
        return Outcome.REFUSED, text or "the system would not start sbatch with it"
    if code is None or "sleeping and retrying" in err:
        return Outcome.UNKNOWN, text or "sbatch did not answer"
    if code == 255 and any(word in err for word in _UNREAD):
        return Outcome.REFUSED, text
    if code == 1:
        failed = text.partition("Batch job submission failed: ")[2]
        if failed and any(failed.startswith(refusal) for refusal in _REFUSALS):
            return Outcome.REFUSED, failed
        if any(word in text for word in _UNSENT):
            return Outcome.NOT_SENT, text
    return Outcome.UNKNOWN, text or f"sbatch ended with {code} and said nothing"


def _last_line(err: str) -> str:
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1].removeprefix("sbatch: error: ")[:400] if lines else ""
