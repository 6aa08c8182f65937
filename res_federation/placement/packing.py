"""A decision as a few bytes: kept with every job, unpacked when somebody asks why.

Layout: frame id (8 bytes), chosen row (int32, -1 for none), then 26 bytes a row of the frame:
code (int16), needed and have (int32), then start, transfer, idle accelerator and run (float32).
All little-endian, as `_ROW` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from res_federation.model.reason import Code, Reason
from res_federation.placement.decide import Decided

FRAME_BYTES = 8
_ROW = np.dtype(
    [("code", "<i2"), ("needed", "<i4"), ("have", "<i4"), ("terms", "<f4", (4,))], align=False
)
TERMS = ("start_s", "transfer_s", "idle_accelerator_s", "run_s")


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """One row as it was decided: a reason, and the terms of its score when it is feasible."""

    reason: Reason
    terms: tuple[tuple[str, float], ...]

    @property
    def score_s(self) -> float | None:
        """Expected completion in seconds, None where it is not feasible."""
        return sum(value for _, value in self.terms) if self.terms else None


def pack(frame_id: bytes, decided: Decided) -> list[bytes]:
    """Return every job's decision as bytes."""
    jobs, rows = decided.verdicts.shape[:2]
    packed = np.zeros((jobs, rows), _ROW)
    packed["code"] = decided.verdicts[:, :, 0]
    packed["needed"] = decided.verdicts[:, :, 1]
    packed["have"] = decided.verdicts[:, :, 2]
    packed["terms"] = decided.terms
    body, size = packed.tobytes(), rows * _ROW.itemsize
    heads = decided.chosen.astype("<i4").tobytes()
    return [
        frame_id + heads[4 * job : 4 * job + 4] + body[size * job : size * (job + 1)]
        for job in range(jobs)
    ]


def frame_of(decision: bytes) -> bytes:
    """Return the identifier of the frame that a decision refers to."""
    return decision[:FRAME_BYTES]


def unpack(decision: bytes) -> tuple[int, tuple[RowVerdict, ...]]:
    """Return the chosen row (-1 for none) and every row's verdict, in the frame's order."""
    chosen = int(np.frombuffer(decision, "<i4", 1, FRAME_BYTES)[0])
    rows = np.frombuffer(decision, _ROW, -1, FRAME_BYTES + 4)
    verdicts = []
    for row in rows:
        reason = Reason(Code(int(row["code"])), int(row["needed"]), int(row["have"]))
        terms: tuple[tuple[str, float], ...] = ()
        if reason.code is Code.FITS:
            terms = tuple(
                (name, round(float(value), 3))
                for name, value in zip(TERMS, row["terms"], strict=True)
            )
        verdicts.append(RowVerdict(reason, terms))
    return chosen, tuple(verdicts)
