"""UTC seconds to protobuf timestamps and back; None is an absent message."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(seconds: float) -> Timestamp:
    """Return *seconds* since the epoch as a Timestamp, to the microsecond."""
    micros = round(seconds * 1_000_000)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def from_timestamp(message: Timestamp) -> float:
    """Return seconds since the epoch."""
    return message.seconds + message.nanos / 1e9


def to_duration(seconds: float) -> Duration:
    """Return *seconds* (not negative) as a Duration."""
    micros = round(seconds * 1_000_000)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def from_duration(message: Duration) -> float:
    """Return seconds."""
    return message.seconds + message.nanos / 1e9
