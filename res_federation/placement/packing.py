"""A decision as a few bytes: kept with every job, unpacked when somebody asks why.

Layout: frame id (8 bytes), chosen row (int32, -1 for none), then 18 bytes a row of the frame: the
code (int16), then for a row where the job could go start, transfer, idle accelerator and run (4
float32, NaN for one that did not count), for any other one needed and have (2 int32, 8 bytes of
nothing).  Each other term that said anything follows in 18 bytes more: -1 less its place among
`OTHERS` (int16), row (int32), seconds (float32).  All little-endian, as `_ROW` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsBytes

import numpy as np

from res_federation.model.reason import Code, Reason
from res_federation.placement.decide import Decided
from res_federation.placement.decide_late import Round, terms_of, triples
from res_federation.placement.kernels import Floats
from res_federation.placement.terms import IDLE_ACCELERATOR, RUN, START, STATIC, TRANSFER

FRAME_BYTES = 8
_ROW = np.dtype([("code", "<i2"), ("numbers", "<i4", (4,))], align=False)
TERMS = (START, TRANSFER, IDLE_ACCELERATOR, RUN)
OTHERS = tuple(name for name in STATIC if name not in TERMS)
_OTHERS = [STATIC.index(name) for name in OTHERS]


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
    head = of.rows.frame_id + np.array(row, "<i4").tobytes()
    if row < 0:
        return head + packed.tobytes()
    could = np.flatnonzero((told[:, 0] == Code.FITS) | (told[:, 0] == Code.LEFT_FOR_OTHERS))
    ranked_by = terms_of(of, kind)
    slots = np.full((len(could), len(TERMS)), np.nan, "<f4")
    slots[:, 0] = 0.0
    for slot, name in enumerate(TERMS):
        if name in STATIC:
            slots[:, slot] = ranked_by[could, STATIC.index(name)]
    packed["numbers"][could] = slots.view("<i4")
    return head + packed.tobytes() + others(could.tolist(), ranked_by)


def others(rows: Sequence[int], terms: Floats) -> bytes:
    """Return the records of the terms of *rows* that have no place of their own.

    A term that says nothing of any is left out, and so is what is not known of a row.

    Args:
        rows: Where the job could go.
        terms: (rows, len(STATIC)) seconds, of all rows.

    """
    told = [(place, column) for place, column in enumerate(_OTHERS) if terms[rows, column].any()]
    found = [
        (-1 - place, row, terms[row, column])
        for row in rows
        for place, column in told
        if not np.isnan(terms[row, column])
    ]
    records = np.zeros(len(found), _ROW)
    for record, (code, row, seconds) in zip(records, found, strict=True):
        record["code"], record["numbers"][0] = code, row
        record["numbers"][1] = np.array(seconds, "<f4").view("<i4")
    return records.tobytes()


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
        + _more(decided, job)
        for job in range(jobs)
    ]  # fmt: skip


def _more(decided: Decided, job: int) -> bytes:
    if decided.static is None or decided.shape is None:
        return b""
    could = np.flatnonzero(decided.verdicts[job, :, 0] == Code.FITS)
    return others(could.tolist(), decided.static[decided.shape[job]])


def frame_of(decision: SupportsBytes) -> bytes:
    """Return the identifier of the frame that a decision refers to."""
    return bytes(decision)[:FRAME_BYTES]


def rows_with(decision: SupportsBytes, code: Code) -> list[int]:
    """Return the rows that a decision has this code for."""
    codes = np.frombuffer(bytes(decision), _ROW, -1, FRAME_BYTES + 4)["code"]
    return [int(row) for row in np.flatnonzero(codes[codes >= 0] == code)]


def unpack(decision: SupportsBytes) -> tuple[int, tuple[RowVerdict, ...]]:
    """Return the chosen row (-1 for none) and every row's verdict, in the frame's order."""
    decision = bytes(decision)
    chosen = int(np.frombuffer(decision, "<i4", 1, FRAME_BYTES)[0])
    records = np.frombuffer(decision, _ROW, -1, FRAME_BYTES + 4)
    more: dict[int, list[tuple[str, float]]] = {}
    for record in records[records["code"] < 0]:
        row, seconds = int(record["numbers"][0]), float(record["numbers"][1:2].view("<f4")[0])
        more.setdefault(row, []).append((OTHERS[-1 - int(record["code"])], round(seconds, 3)))
    rows = records[records["code"] >= 0]
    return chosen, tuple(_verdict(row, more.get(place, ())) for place, row in enumerate(rows))


def _verdict(row: np.void, more: Sequence[tuple[str, float]]) -> RowVerdict:
    code, numbers = Code(int(row["code"])), row["numbers"]
    seconds = numbers.view("<f4")
    left = code is Code.LEFT_FOR_OTHERS and not np.isnan(seconds[0])
    if code is not Code.FITS and not left:
        return RowVerdict(Reason(code, int(numbers[0]), int(numbers[1])), ())
    terms = [
        (name, round(float(value), 3))
        for name, value in zip(TERMS, seconds, strict=True)
        if not np.isnan(value)
    ]
    return RowVerdict(Reason(code), (*terms, *more))
