"""Reservations and maintenance as ``scontrol -o show reservation`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from res_federation.slurm import hostlist, slurm_times
from res_federation.slurm.key_values import number, records, word, words

ARGV = ("scontrol", "-o", "show", "reservation")


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes that are kept for some, for a time.

    Attributes:
        name: ``ReservationName``.
        start: UTC seconds.
        end: UTC seconds.
        nodes: Names of the nodes; () for one of licences or burst buffers alone.
        node_count: How many.
        flags: Such as ``MAINT``, ``IGNORE_JOBS``.
        partition: Whose nodes, or "".
        users: Who may use it.
        accounts: Accounts that may use it.
        licenses: As written, or "".

    """

    name: str
    start: float
    end: float
    nodes: tuple[str, ...] = ()
    node_count: int = 0
    flags: frozenset[str] = frozenset()
    partition: str = ""
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    licenses: str = ""

    @property
    def maintenance(self) -> bool:
        """Whether it is for maintenance."""
        return "MAINT" in self.flags

    def covers(self, at: float) -> bool:
        """Tell whether its nodes are kept at *at*; one that floats is always still to come."""
        return self.start <= at < self.end and "TIME_FLOAT" not in self.flags


def read(text: str, utc_offset_s: int = 0) -> tuple[Reservation, ...]:
    """Read reservations, one line each; one without a start or an end is left out.

    Args:
        text: What `ARGV` printed; "No reservations in the system" is none.
        utc_offset_s: How far the local times of an ISO form are ahead of UTC.

    Raises:
        InvalidArgument: If a list of nodes is none.

    """
    found = (_reservation(fields, utc_offset_s) for fields in records(text, "ReservationName"))
    return tuple(one for one in found if one is not None)


def _reservation(fields: Mapping[str, str], utc_offset_s: int) -> Reservation | None:
    start = slurm_times.read(word(fields, "StartTime"), utc_offset_s)
    end = slurm_times.read(word(fields, "EndTime"), utc_offset_s)
    if start is None or end is None:
        return None
    return Reservation(
        name=fields["ReservationName"],
        start=float(start),
        end=float(end),
        nodes=tuple(hostlist.expand(word(fields, "Nodes"), "reservation")),
        node_count=number(fields, "NodeCnt") or 0,
        flags=frozenset(words(fields, "Flags")),
        partition=word(fields, "PartitionName"),
        users=words(fields, "Users"),
        accounts=words(fields, "Accounts"),
        licenses=word(fields, "Licenses"),
    )
