"""A trace as blocks of whole lines, unpacked on the way, with bounds on lines and on the whole."""

from __future__ import annotations

import errno
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from res_federation.errors import InvalidArgument

STDIN: Final = "-"
LIMIT_BYTES: Final = 1 << 30
"""How large a trace may be when unpacked, unless told otherwise: some ten million jobs."""
LONGEST_LINE: Final = 1 << 20
"""Bytes of the longest line that is read: real ones have some hundred."""
_PIECE: Final = 1 << 20
_BLOCK: Final = 4 << 20
_GZIP: Final = b"\x1f\x8b"
_OTHER_PACKERS: Final = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines.

    Attributes:
        data: Their bytes; only the last line of the file may lack its newline.
        line: Number of the first of them, from 1.

    """

    data: bytes
    line: int


def name_of(path: Path | str) -> str:
    """Return what a trace is called: its file's name without the endings that say how to read."""
    name = Path(path).name if str(path) != STDIN else "standard input"
    for ending in (".gz", ".swf", ".sacct", ".events", ".csv", ".txt", ".jsonl"):
        name = name.removesuffix(ending) or name
    return name


def blocks(path: Path | str, limit_bytes: int = LIMIT_BYTES) -> Iterator[Block]:
    """Read a file, or standard input for ``-``, in blocks of whole lines; gzip is unpacked.

    Memory stays at some blocks whatever the file is. All is read before a result may be used:
    what is wrong at the end is raised at the end.

    Raises:
        InvalidArgument: No regular file that can be read, an empty or damaged one, one that
            unpacks to more than *limit_bytes*, or one with a line over `LONGEST_LINE`.

    """
    shown = "standard input" if str(path) == STDIN else str(path)
    with _open(path, shown) as file:
        yield from _whole_lines(_bounded(_unpacked(file, shown), shown, limit_bytes), shown)


def _open(path: Path | str, shown: str) -> BinaryIO:
    if str(path) == STDIN:
        try:
            return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        except (AttributeError, ValueError, OSError):  # closed, or a directory
            raise InvalidArgument(f"{shown}: cannot be read", way_out="pipe a trace in") from None
    try:
        # Without O_NONBLOCK the opening of a FIFO would wait for somebody to write into it.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        way_out = "is the path right?" if error.errno == errno.ENOENT else ""
        raise InvalidArgument(
            f"{shown}: {(error.strerror or 'cannot be read').lower()}", way_out=way_out
        ) from None
    except ValueError:
        raise InvalidArgument(f"{shown!r} is no file name") from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        way_out = "name one file in it" if stat.S_ISDIR(mode) else "pipe it in, and give '-'"
        raise InvalidArgument(f"{shown}: is {what}", way_out=way_out)
    return os.fdopen(number, "rb")


def _pieces(file: BinaryIO, shown: str) -> Iterator[bytes]:
    while True:
        try:
            piece = file.read(_PIECE)
        except OSError as error:
            raise InvalidArgument(f"{shown}: {error.strerror}") from None
        if not piece:
            return
        yield piece


def _unpacked(file: BinaryIO, shown: str) -> Iterator[bytes]:
    raw = _pieces(file, shown)
    first = next(raw, b"")
    if not first:
        raise InvalidArgument(f"{shown}: is empty", way_out="give a file with jobs")
    for magic, packer in _OTHER_PACKERS.items():
        if first.startswith(magic):
            raise InvalidArgument(
                f"{shown}: is packed with {packer}", way_out=f"unpack it: {packer} -d, or use gzip"
            )
    if first.startswith(_GZIP):
        yield from _gunzipped(first, raw, shown)
        return
    yield first
    yield from raw


def _gunzipped(first: bytes, rest: Iterator[bytes], shown: str) -> Iterator[bytes]:
    """Unpack gzip members, one after the other; padding of zeros after the last is allowed."""
    unpack, packed = zlib.decompressobj(31), first
    begun = True
    while True:
        if not packed:
            packed = next(rest, b"")
            if not packed:
                break
        if not begun:
            packed = packed.lstrip(b"\0")
            if not packed:
                continue
            unpack, begun = zlib.decompressobj(31), True
        try:
            out = unpack.decompress(packed, _PIECE)
        except zlib.error as error:
            raise InvalidArgument(
                f"{shown}: the gzip data is damaged ({error})", way_out="fetch the file anew"
            ) from None
        if out:
            yield out
        if unpack.eof:
            packed, begun = unpack.unused_data, False
        else:
            packed = unpack.unconsumed_tail
    if begun:
        raise InvalidArgument(
            f"{shown}: the gzip data ends too early, jobs are missing",
            way_out="fetch the file anew",
        )


def _bounded(pieces: Iterator[bytes], shown: str, limit: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise InvalidArgument(
                f"{shown}: has more than {limit:,} bytes when unpacked",
                way_out="--limit-bytes allows more",
            )
        yield piece


def _whole_lines(pieces: Iterator[bytes], shown: str) -> Iterator[Block]:
    line, held, size = 1, list[bytes](), 0
    tail = 0  # bytes of the line that is not over yet
    for each in pieces:
        piece = each
        if line == 1 and not held:
            piece = piece.removeprefix(_BOM)
        last = piece.rfind(b"\n")
        tail = tail + len(piece) if last < 0 else len(piece) - last - 1
        held.append(piece)
        size += len(piece)
        if tail > LONGEST_LINE or size >= _BLOCK:
            data = b"".join(held)
            cut = data.rfind(b"\n") + 1
            newlines = _check_lines(data, line, shown)
            if cut:
                yield Block(data[:cut], line)
            line += newlines
            held, size = [data[cut:]], len(data) - cut
    data = b"".join(held)
    _check_lines(data, line, shown)
    if data:
        yield Block(data, line)


def _check_lines(data: bytes, line: int, shown: str) -> int:
    """Return how many newlines there are, once no line between them is too long."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(data)) - 1
    longest = int(lengths.argmax())
    if lengths[longest] > LONGEST_LINE:
        raise InvalidArgument(
            f"{shown}: line {line + longest} is longer than {LONGEST_LINE:,} bytes",
            way_out="is this a trace? it should have a line for each job",
        )
    return len(ends)
