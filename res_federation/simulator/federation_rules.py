"""How old news is in a replayed federation, and what became of the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from res_federation.model import forecast


@dataclass(frozen=True, slots=True)
class Rules:
    """How old news is, and what sites and agents do.

    Attributes:
        report_interval_s: A site with news reports so often, each at seconds of its own; 0 for at
            every change.
        ends_at_once: Whether an end or a refusal is told at once all the same; a run that asks to
            begin always is.
        report_delay_s: From the site to the broker.
        order_delay_s: From the broker into the site's queue.
        round_s: How long a round takes.
        round_interval_s: Least time between the starts of two rounds.
        time_to_live_s: Age past which the broker trusts the report of a silent site no more.
        kill: Whether sites end jobs at their limits.
        fences: Whether agents keep a run that waited from beginning before the broker knows.
        arranges: Whether the federation's waiting runs can take one another's places at sites.
        check: Whether the invariants of the broker's state are asserted after each event.

    """

    report_interval_s: int = 0
    ends_at_once: bool = True
    report_delay_s: int = 0
    order_delay_s: int = 0
    round_s: int = 0
    round_interval_s: int = 0
    time_to_live_s: float = 90.0
    kill: bool = False
    fences: bool = True
    arranges: bool = True
    check: bool = False


@dataclass(slots=True)
class Record:
    """What became of each job, by number.

    Attributes:
        place: Partition, -1 before it began.
        start: Seconds, -1 before.
        end: Seconds, -1 before.
        why: Reason of a job that the federation ended without running it.
        told: Of jobs that had to wait and began: what they were told, and what they waited.

    """

    place: list[int]
    start: list[int]
    end: list[int]
    why: dict[int, str] = field(default_factory=dict)
    told: dict[int, forecast.Outcome] = field(default_factory=dict)


def left_out(record: Record) -> Mapping[str, int]:
    """Return jobs that never ran, by reason."""
    counts: dict[str, int] = {}
    for job, start in enumerate(record.start):
        if start < 0:
            why = record.why.get(job, "still waits at the end")
            counts[why] = counts.get(why, 0) + 1
    return dict(sorted(counts.items()))
