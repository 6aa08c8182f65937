"""A decision as a few bytes: kept with every job, unpacked when somebody asks why.

Layout: frame id (8 bytes), chosen row (int32, -1 for none), then 18 bytes a row of the frame: the
code (int16), then for a row that FITS start, transfer, idle accelerator and run (4 float32), for
any other one needed and have (2 int32, 8 bytes of nothing).  All little-endian, as `_ROW` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import SupportsBytes

import numpy as np

from res_federation.model.reason import Code, Reason
from res_federation.placement.decide import Decided
from res_federation.placement.decide_late import Round, terms_at, triples

FRAME_BYTES = 8
_ROW = np.dtype([("code", "<i2"), ("numbers", "<i4", (4,))], align=False)
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


class Decision:
    """A decision of a round over classes: packed when somebody asks."""

    __slots__ = ("_event", "_kind", "_packed", "_round")

    def __init__(self, of: Round, kind: int, event: int) -> None:
        """Take what was decided of class *kind* at an event of a round; -1 for one that sleeps."""
        self._round: Round | None = of
        self._kind, self._event, self._packed = kind, event, b""

    def __bytes__(self) -> bytes:
        """Return the decision as `unpack` reads it."""
        if self._round is not None:
            self._packed, self._round = pack_late(self._round, self._kind, self._event), None
        return self._packed

    def __eq__(self, other: object) -> bool:
        """Tell whether *other* is the same, byte for byte."""
        return isinstance(other, bytes | Decision) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        """Hash as the bytes do."""
        return hash(bytes(self))


def pack_late(of: Round, kind: int, event: int) -> bytes:
    """Return what was decided of a class at an event of a round."""
    told = triples(of, kind, event)
    packed = np.zeros(len(told), _ROW)
    packed["code"], packed["numbers"][:, :2] = told[:, 0], told[:, 1:]
    row = int(of.found.row[event]) if event >= 0 else -1
    if row >= 0:
        terms = np.array(terms_at(of, kind, event), "<f4")
        packed["numbers"][row] = terms.view("<i4")
    head = np.array(row, "<i4").tobytes()
    return of.rows.frame_id + head + packed.tobytes()


def pack(frame_id: bytes, decided: Decided) -> list[bytes]:
    """Return every job's decision as bytes."""
    jobs, rows = decided.verdicts.shape[:2]
    packed = np.empty((jobs, rows), _ROW)
    packed["code"] = decided.verdicts[:, :, 0]
    packed["numbers"] = decided.terms.astype("<f4", copy=False).view("<i4")
    other = packed["code"] != Code.FITS  # these have no terms: their place is free
    for number in range(2):
        told = decided.verdicts[:, :, 1 + number]
        np.copyto(packed["numbers"][:, :, number], told, where=other)
    body, size = packed.tobytes(), rows * _ROW.itemsize
    heads = decided.chosen.astype("<i4").tobytes()
    return [
        frame_id + heads[4 * job : 4 * job + 4] + body[size * job : size * (job + 1)]
        for job in range(jobs)
    ]


def frame_of(decision: SupportsBytes) -> bytes:
    """Return the identifier of the frame that a decision refers to."""
    return bytes(decision)[:FRAME_BYTES]


def unpack(decision: SupportsBytes) -> tuple[int, tuple[RowVerdict, ...]]:
    """Return the chosen row (-1 for none) and every row's verdict, in the frame's order."""
    decision = bytes(decision)
    chosen = int(np.frombuffer(decision, "<i4", 1, FRAME_BYTES)[0])
    rows = np.frombuffer(decision, _ROW, -1, FRAME_BYTES + 4)
    return chosen, tuple(_verdict(row) for row in rows)


def _verdict(row: np.void) -> RowVerdict:
    code, numbers = Code(int(row["code"])), row["numbers"]
    if code is not Code.FITS:
        return RowVerdict(Reason(code, int(numbers[0]), int(numbers[1])), ())
    seconds = numbers.view("<f4")
    terms = tuple(
        (name, round(float(value), 3)) for name, value in zip(TERMS, seconds, strict=True)
    )
    return RowVerdict(Reason(code), terms)
