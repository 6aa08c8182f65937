"""Everything that a broker's `handle` was given, on disk, so that production can be replayed.

A recording is a file of frames in gzip members: the whole state with which it begins, then every
event in the order in which it was handled.  A plan is not written: a replay makes it anew, and
compares it with the digest that stands in its place.  Reports are written as what changed since the
site's one before.  Scripts are left out: no decision looks at them.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from res_federation.control.events import (
    Event,
    Exchanged,
    GrantClosed,
    GrantMade,
    JobCancelled,
    JobSubmitted,
    LimitsSet,
    MembershipSet,
    PlanReady,
    PoolSaved,
    ProjectSaved,
    RoundFailed,
    SiteConnected,
    SiteDisconnected,
    SiteDrained,
    SiteReported,
    SiteResumed,
    Ticked,
    UsageImported,
)
from res_federation.control.state import FederationState
from res_federation.errors import InvalidArgument
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.identifiers import JobId, RunToken, SiteId
from res_federation.model.job import RunObservation
from res_federation.model.plan import Plan
from res_federation.store import nameless

RECORDINGS = "recordings"
"""Name of the directory of recordings in the broker's home."""
SUFFIX = ".resfed"
MAGIC = b"resfed recording 1\n"
_LENGTH = struct.Struct(">I")
_FLUSH_BYTES = 1 << 18
_SEGMENT_BYTES = 64 << 20
_MOST_BYTES = 1 << 30

_encode = msgspec.msgpack.Encoder().encode
_KINDS: dict[str, type[Any]] = {
    "submitted": JobSubmitted,
    "cancelled": JobCancelled,
    "connected": SiteConnected,
    "disconnected": SiteDisconnected,
    "drained": SiteDrained,
    "resumed": SiteResumed,
    "failed": RoundFailed,
    "ticked": Ticked,
    "pool": PoolSaved,
    "project": ProjectSaved,
    "member": MembershipSet,
    "grant": GrantMade,
    "grant closed": GrantClosed,
    "usage": UsageImported,
    "exchanged": Exchanged,
    "limits": LimitsSet,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Planned:
    """A round came back at this time with a plan of this digest."""

    at: float
    digest: bytes
    jobs: int


@dataclass(frozen=True, slots=True)
class _Change:
    """A report as what changed since the one before: partitions by place, runs by token."""

    event: SiteReported
    count: int
    partitions: tuple[tuple[int, PartitionCapacity], ...]
    runs: tuple[RunObservation, ...]
    order: tuple[RunToken, ...] | None


def digest_of(plan: Plan) -> bytes:
    """Return what names a plan: every decision byte for byte, in order.

    Of a plan by class: of every job that is sent, that ends, or that has an answer of its own; what
    the others hear follows from the same scores.
    """
    made = blake2b(digest_size=16)
    made.update(plan.frame_id)
    for job, decision in (
        *((one.job, one.decision) for one in plan.assignments),
        *((one.job, one.decision) for one in plan.alone),
        *_ended(plan),
    ):
        made.update(job.encode())
        made.update(bytes(decision))
    return made.digest()


def _ended(plan: Plan) -> list[tuple[JobId, bytes]]:
    """Return the jobs of a plan by class that can never run, by name."""
    return sorted(
        (job, bytes(one.decision))
        for one in plan.ended
        if plan.queue is not None
        for job in plan.queue.names_from(one.first)
    )


class Recorder:
    """Writes recordings below a directory, a new file for each life of the state."""

    def __init__(self, directory: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        """Write below *directory*, which keeps at most about *most_bytes*: the oldest files go."""
        self._directory, self._most = directory, most_bytes
        self._file: BinaryIO | None = None
        self._buffer: list[bytes] = []
        self._size = self._written = 0
        self._seen: dict[SiteId, SiteReported] = {}

    def begin(self, state: FederationState, at: float) -> None:
        """Begin a file with the whole *state*; raises OSError."""
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        path = self._directory / f"{int(at * 1000):015d}{SUFFIX}"
        self._file = path.open("xb")
        self._seen = {}
        jobs = {
            job: replace(one, spec=replace(one.spec, script="")) for job, one in state.jobs.items()
        }
        bare = replace(state, jobs=jobs, late=None, shared=None, known=None, obeyed=None)
        self._add("state", _encode(bare))

    def _make_room(self) -> None:
        files = sorted(self._directory.glob(f"*{SUFFIX}"))
        sizes = [file.stat().st_size for file in files]
        while files and sum(sizes) > self._most - _SEGMENT_BYTES:
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)

    @property
    def full(self) -> bool:
        """Tell whether it is time for a new file; a broker begins one between two rounds."""
        return self._written >= _SEGMENT_BYTES

    def add(self, event: Event) -> None:
        """Write one event down, soon; raises OSError."""
        if self._file is None:
            return
        match event:
            case PlanReady(at, plan):
                jobs = plan.size
                self._add("planned", _encode(Planned(at, digest_of(plan), jobs)))
            case SiteReported():
                self._add("reported", _encode(self._change(event)))
            case JobSubmitted():
                event = replace(event, spec=replace(event.spec, script=""))
                self._add("submitted", _encode(event))
            case _:
                self._add(_NAMES[type(event)], _encode(event))

    def _change(self, event: SiteReported) -> _Change:
        site = event.report.site
        before = self._seen.get(site)
        self._seen[site] = event
        old = before.report.partitions if before is not None else ()
        new = event.report.partitions
        held = {run.token: run for run in before.runs} if before is not None else {}
        same = before is not None and [*held] == [run.token for run in event.runs]
        return _Change(
            replace(event, report=replace(event.report, partitions=()), runs=()),
            len(new),
            tuple((at, part) for at, part in enumerate(new) if at >= len(old) or old[at] != part),
            tuple(run for run in event.runs if held.get(run.token) != run),
            None if same else tuple(run.token for run in event.runs),
        )

    def _add(self, kind: str, payload: bytes) -> None:
        frame = _encode((kind, payload))
        self._buffer.append(_LENGTH.pack(len(frame)) + frame)
        self._size += len(frame)
        if self._size >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what was added to the operating system; raises OSError."""
        if self._file is None or not self._buffer:
            return
        start = MAGIC if self._written == 0 else b""
        data = gzip.compress(start + b"".join(self._buffer), compresslevel=1, mtime=0)
        self._buffer, self._size = [], 0
        self._file.write(data)
        self._file.flush()
        self._written += len(data)

    def close(self) -> None:
        """Write the rest and let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                self.flush()
            self._file.close()
        self._file, self._buffer, self._size, self._written = None, [], 0, 0


def read_recording(path: Path) -> Iterator[FederationState | Event | Planned]:
    """Yield what a recording holds: states, events, and what stands for plans, in order.

    Raises:
        InvalidArgument: If the file is not a recording, or ends in the middle of a frame.

    """
    seen: dict[SiteId, SiteReported] = {}
    for number, (kind, payload) in enumerate(_frames(path), start=1):
        try:
            if kind == "state":
                seen = {}
                yield _state.decode(payload)
            elif kind == "planned":
                yield _planned.decode(payload)
            elif kind == "reported":
                event = _whole(_change.decode(payload), seen)
                seen[event.report.site] = event
                yield event
            else:
                found: Event = _decoders[kind].decode(payload)
                yield found
        except (msgspec.DecodeError, KeyError, IndexError) as error:
            raise InvalidArgument(
                f"frame {number} cannot be read: {error}",
                field=str(path),
                way_out="export it with the version of resfed that recorded it",
            ) from None


_state = msgspec.msgpack.Decoder(FederationState)
_planned = msgspec.msgpack.Decoder(Planned)
_change = msgspec.msgpack.Decoder(_Change)
_frame = msgspec.msgpack.Decoder(tuple[str, bytes])
_decoders = {name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()}


def _whole(change: _Change, seen: dict[SiteId, SiteReported]) -> SiteReported:
    before = seen.get(change.event.report.site)
    parts: Sequence[PartitionCapacity] = before.report.partitions if before is not None else ()
    changed = dict(change.partitions)
    partitions = tuple(changed[at] if at in changed else parts[at] for at in range(change.count))
    held = {run.token: run for run in before.runs} if before is not None else {}
    held |= {run.token: run for run in change.runs}
    order = tuple(held) if change.order is None else change.order
    runs = tuple(held[token] for token in order)
    return replace(
        change.event, report=replace(change.event.report, partitions=partitions), runs=runs
    )


def is_recording(path: Path) -> bool:
    """Tell whether a file begins as a recording does; what cannot be read is none."""
    if not path.is_file():
        return False
    try:
        with gzip.open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, EOFError, zlib.error):
        return False


def _frames(path: Path) -> Iterator[tuple[str, bytes]]:
    broken = InvalidArgument(
        "the recording ends in the middle of a frame",
        field=str(path),
        way_out="export it anew: resfed trace export",
    )
    try:
        with gzip.open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InvalidArgument("is not a recording of resfed", field=str(path))
            while head := file.read(_LENGTH.size):
                if len(head) < _LENGTH.size:
                    raise broken
                (size,) = _LENGTH.unpack(head)
                body = file.read(size)
                if len(body) < size:
                    raise broken
                yield _frame.decode(body)
    except (EOFError, zlib.error):
        raise broken from None
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidArgument(f"cannot be read: {error}", field=str(path)) from None


@dataclass(frozen=True, slots=True)
class Exported:
    """What `export` wrote: files and frames, and whether the newest file was still being written.

    *anonymous* names who asked for what was left out.
    """

    recordings: int
    frames: int
    cut: bool


def export(directory: Path, out: BinaryIO, *, anonymous: bool = False) -> Exported:
    """Write every recording below *directory* into one, the oldest first.

    Args:
        directory: The broker's recordings.
        out: Where to.
        anonymous: Leave out who submitted, names of jobs and keys; no decision looks at them.

    Raises:
        InvalidArgument: If there is none, or one that a broker is done with is damaged.

    """
    files = sorted(directory.glob(f"*{SUFFIX}"))
    if not files:
        raise InvalidArgument(
            "there is no recording",
            field=str(directory),
            way_out="name the broker's home: --home DIR",
        )
    frames = 0
    cut = False
    for file in files:
        packed = [MAGIC] if frames == 0 else []
        try:
            for kind, payload in _frames(file):
                frame = _encode((kind, _without_names(kind, payload) if anonymous else payload))
                packed.append(_LENGTH.pack(len(frame)) + frame)
                frames += 1
        except InvalidArgument:
            if file != files[-1]:
                raise
            cut = True
        out.write(gzip.compress(b"".join(packed), mtime=0))
    return Exported(len(files), frames, cut)


def _without_names(kind: str, payload: bytes) -> bytes:
    if kind == "state":
        return _encode(nameless.state(_state.decode(payload)))
    if kind in _decoders:
        return _encode(nameless.event(_decoders[kind].decode(payload)))
    return payload
