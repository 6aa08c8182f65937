"""The audit log as a chain of hashes: its exact bytes, so that anybody can verify it.

An entry is canonical JSON (RFC 8259, UTF-8): one object with the names in ascending order, no
space, nothing escaped that need not be, times as whole microseconds UTC.  Its hash is
SHA-256(``resfed audit entry 1`` LF | hash before, 32 bytes | number, 8 bytes, big-endian | entry);
the hash before entry 1 is 32 zero bytes.  What is signed of a head is
``resfed audit head 1`` LF | canonical JSON of {at, hash, index, number}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import Any

from res_federation.model.audit import AuditEntry

BEGINNING = bytes(32)
"""The hash before the first entry."""
_ENTRY = b"resfed audit entry 1\n"
_HEAD = b"resfed audit head 1\n"
_MICROSECONDS = 1_000_000
_MOST_CHARACTERS = 1000
"""Of one text of an entry; what is longer is cut, and ends with an ellipsis."""
_UNFIT = re.compile("[\ud800-\udfff]")  # lone surrogates: no text of UTF-8
_dump = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest entry of a chain: number and hash; 0 and zeros where there is none."""

    number: int = 0
    hash: bytes = BEGINNING


@dataclass(frozen=True, slots=True)
class Head:
    """A tail as the federation signed it.

    Attributes:
        index: Of the head, from 1 on without gaps.
        number: Number of the entry that it is about.
        hash: Hash of that entry.
        at: UTC microseconds of the signature.
        signature: Ed25519, 64 bytes.

    """

    index: int
    number: int
    hash: bytes
    at: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place.

    Attributes:
        number: From 1 on without gaps.
        previous: Hash of the entry before.
        hash: Of this one.
        entry: Packed.

    """

    number: int
    previous: bytes
    hash: bytes
    entry: bytes


def microseconds(at: float) -> int:
    """Return UTC seconds as whole microseconds."""
    return round(at * _MICROSECONDS)


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return *value* as the bytes that are hashed, signed and exported."""
    return _dump(value).encode()


def packed(entry: AuditEntry) -> bytes:
    """Return an entry as the bytes that are hashed; what is not UTF-8 becomes U+FFFD."""
    data = entry.data
    if data:
        pairs = sorted(dict(data).items())
        told = ",".join([f"{_quoted(name)}:{_quoted(_cut(value))}" for name, value in pairs])
    else:
        told = ""
    # As `canonical` writes it, in a third of the time: there is one for each job that comes in.
    text = (
        f'{{"act":{_quoted(entry.act)},"actor":{_quoted(_cut(entry.actor))}'
        f',"at":{microseconds(entry.at)},"data":{{{told}}},"outcome":{_quoted(entry.outcome)}'
        f',"reason":{_quoted(_cut(entry.reason))},"target":{_quoted(_cut(entry.target))}}}'
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _UNFIT.sub("\ufffd", text).encode()


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def link(tail: Tail, entry: bytes) -> Tail:
    """Return the tail once *entry*, packed, is appended."""
    number = tail.number + 1
    return Tail(number, sha256(_ENTRY + tail.hash + number.to_bytes(8, "big") + entry).digest())


def signed_part(head: Head) -> bytes:
    """Return the bytes of a head that its signature is about."""
    return _HEAD + canonical(
        {"at": head.at, "hash": head.hash.hex(), "index": head.index, "number": head.number}
    )


def line_of_record(record: Record) -> bytes:
    """Return a record as a line of an export, without its end; canonical JSON as a whole."""
    return (
        b'{"entry":%b,"hash":"%b","number":%d,"previous":"%b"}'
        % (record.entry, record.hash.hex().encode(), record.number, record.previous.hex().encode())
    )  # fmt: skip


def line_of_head(head: Head) -> bytes:
    """Return a head as a line of an export, without its end; canonical JSON."""
    told = {
        "at": head.at,
        "hash": head.hash.hex(),
        "index": head.index,
        "number": head.number,
        "signature": head.signature.hex(),
    }
    return canonical({"head": told})


def entry_of(packed_entry: bytes) -> AuditEntry:
    """Return the entry that was packed."""
    told = json.loads(packed_entry)
    return AuditEntry(
        at=told["at"] / _MICROSECONDS,
        actor=told["actor"],
        act=told["act"],
        target=told["target"],
        outcome=told["outcome"],
        reason=told["reason"],
        data=tuple(sorted(told["data"].items())),
    )
