"""UTC seconds to protobuf timestamps and back; None is an absent message."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from res_federation.errors import InvalidArgument

_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
"""Years 1 to 9999, as protobuf defines a timestamp."""
_LONGEST_S = 315_576_000_000
"""Ten thousand years, as protobuf defines a duration."""


def to_timestamp(seconds: float) -> Timestamp:
    """Return *seconds* since the epoch as a Timestamp, to the microsecond."""
    micros = round(seconds * 1_000_000)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def from_timestamp(message: Timestamp) -> float:
    """Return seconds since the epoch; raises InvalidArgument for what is no timestamp."""
    if not (_FIRST_S <= message.seconds <= _LAST_S and 0 <= message.nanos < 10**9):
        raise InvalidArgument(f"{message.seconds} s and {message.nanos} ns is no time")
    return message.seconds + message.nanos / 1e9


def to_duration(seconds: float) -> Duration:
    """Return *seconds* (not negative) as a Duration."""
    micros = round(seconds * 1_000_000)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def from_duration(message: Duration) -> float:
    """Return seconds; raises InvalidArgument for what is no duration."""
    if not (abs(message.seconds) <= _LONGEST_S and abs(message.nanos) < 10**9):
        raise InvalidArgument(f"{message.seconds} s and {message.nanos} ns is no duration")
    return message.seconds + message.nanos / 1e9
