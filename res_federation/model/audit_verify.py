"""Verifies an audit log: every entry, every link, every signed head. No I/O, no trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from res_federation.errors import DataLoss
from res_federation.model.audit_chain import (
    Head,
    Record,
    Tail,
    canonical,
    line_of_head,
    line_of_record,
    link,
    signed_part,
)

Check = Callable[[bytes, bytes], bool]
"""Tells whether a signature (second) of a message (first) is the federation's."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to be whole.

    Attributes:
        first: Number of the first entry.
        tail: The last entry.
        heads: Signed heads among them.
        unsigned: Entries after the last head: nobody vouches that these are the first ones.

    """

    first: int
    tail: Tail
    heads: int
    unsigned: int


class Verifier:
    """Is given records and heads in order, and says at once what is wrong.

    Every method raises DataLoss, which names the number.
    """

    def __init__(self, check: Check, *, first: int = 1, kept: Iterable[Head] = ()) -> None:
        """Begin before entry *first*; *kept* are heads that were kept elsewhere.

        Raises:
            DataLoss: If the signature of a kept head is not the federation's.

        """
        self._check = check
        self._first = first
        self._tail: Tail | None = Tail() if first == 1 else None
        self._head: Head | None = None
        self._heads = 0
        self._kept: dict[int, Head] = {}
        for head in kept:
            self._signature(head, "the kept head")
            other = self._kept.setdefault(head.number, head)
            if other.hash != head.hash:
                raise DataLoss(f"two kept heads tell different histories up to entry {head.number}")

    def record(self, record: Record) -> None:
        """Take the next entry."""
        number = record.number
        tail = self._tail or Tail(self._first - 1, record.previous)
        if number != tail.number + 1:
            raise DataLoss(_out_of_order(number, tail.number + 1))
        if record.previous != tail.hash:
            raise DataLoss(f"entry {number} does not follow the entry before it")
        if not _is_canonical(record.entry):
            raise DataLoss(f"entry {number} was changed: it is not as entries are written")
        self._tail = link(tail, record.entry)
        if record.hash != self._tail.hash:
            raise DataLoss(f"entry {number} was changed: its hash does not fit")
        kept = self._kept.pop(number, None)
        if kept is not None and kept.hash != record.hash:
            raise DataLoss(f"entry {number} is not the one of which a head was kept")

    def head(self, head: Head) -> None:
        """Take the head that was signed of the entry just taken."""
        tail = self._tail
        at = tail.number if tail else 0
        if tail is None or head.number != at:
            raise DataLoss(
                f"head {head.index} is about entry {head.number}, but follows entry {at}"
            )
        if head.hash != tail.hash:
            raise DataLoss(f"head {head.index} was signed of another entry {at} than this one")
        expected = self._head.index + 1 if self._head else head.index
        if self._first == 1 and self._head is None:
            expected = 1
        if head.index != expected:
            raise DataLoss(
                f"head {head.index} follows entry {head.number} where head {expected} belongs"
            )
        self._signature(head, f"head {head.index}")
        self._head, self._heads = head, self._heads + 1

    def line(self, raw: bytes) -> None:
        """Take a line of an export, with or without its end."""
        after = self._tail.number if self._tail else self._first - 1
        record = _read(raw.removesuffix(b"\n"))
        if record is None:
            raise DataLoss(f"the line after entry {after} was changed: it is no record of a log")
        if isinstance(record, Head):
            self.head(record)
        else:
            self.record(record)

    def end(self, *, signed: bool) -> Verified:
        """Say what was verified; where *signed*, the last thing taken must have been a head."""
        tail = self._tail
        if tail is None or tail.number < self._first:
            raise DataLoss(f"there is no entry {self._first}")
        if self._kept:
            head = min(self._kept.values(), key=lambda one: one.number)
            if head.number < self._first:
                raise DataLoss(
                    f"the kept head is about entry {head.number}, before entry {self._first}",
                    way_out="verify an export from entry 1",
                )
            raise DataLoss(
                f"the log ends with entry {tail.number}, but a head of entry {head.number} was"
                " kept: the end was cut off"
            )
        last = self._head.number if self._head else self._first - 1
        if signed and last != tail.number:
            raise DataLoss(f"no signed head follows entry {tail.number}: the end was cut off")
        return Verified(self._first, tail, self._heads, tail.number - last)

    def _signature(self, head: Head, name: str) -> None:
        if not self._check(signed_part(head), head.signature):
            raise DataLoss(
                f"{name} (of entry {head.number}) is not signed with this key",
                way_out="is it the key of this federation?",
            )


def head_in(raw: bytes) -> Head | None:
    """Return the head in a line, however it is spaced, or None where it is none."""
    found = _parsed(raw)
    again = _read(canonical(found)) if isinstance(found, dict) else None
    return again if isinstance(again, Head) else None


def _out_of_order(number: int, expected: int) -> str:
    if number > expected:
        return f"entry {expected} is missing: entry {number} stands in its place"
    return f"entry {number} stands where entry {expected} belongs: it is there twice, or moved"


def _is_canonical(entry: bytes) -> bool:
    found = _parsed(entry)
    return isinstance(found, dict) and canonical(found) == entry


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _read(raw: bytes) -> Record | Head | None:
    """Return what a line says, or None; a line that says it in other bytes is none of ours."""
    found = _parsed(raw)
    if not isinstance(found, dict):
        return None
    try:
        if "head" in found:
            told = found["head"]
            head = Head(
                index=_whole(told["index"]),
                number=_whole(told["number"]),
                hash=bytes.fromhex(told["hash"]),
                at=_whole(told["at"]),
                signature=bytes.fromhex(told["signature"]),
            )
            return head if line_of_head(head) == raw else None
        record = Record(
            number=_whole(found["number"]),
            previous=bytes.fromhex(found["previous"]),
            hash=bytes.fromhex(found["hash"]),
            entry=canonical(found["entry"]),
        )
        return record if line_of_record(record) == raw else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise TypeError(value)
    return value
