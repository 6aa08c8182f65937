"""A placement policy: weights and limits, as data. No flag changes what a function is."""

from __future__ import annotations

from dataclasses import dataclass, field

# Training throughput relative to an A100 = 1.0.  An assumption for ranking only: it never kills
# or refuses anything.  Order of magnitude from vendors' dense FP16/BF16 figures and memory
# bandwidth (docs/placement-terms.md has them); what was observed of a project, and a site's own
# measurements in the policy file, replace it.
_SPEED = {
    "k80": 0.1, "p100": 0.25, "t4": 0.25, "v100": 0.45, "v100s": 0.45, "a30": 0.55, "a10": 0.4,
    "l4": 0.4, "a40": 0.6, "l40": 0.9, "l40s": 1.0, "a100": 1.0, "h100": 2.0, "gh200": 2.2,
    "h200": 2.3, "b100": 3.5, "b200": 4.0, "gb200": 4.0, "b300": 4.5, "gb300": 4.5,
    "openbg2": 0.4, "openbg3": 1.0,  # taken for an A10 and an A100, see docs/accelerators.md
    "blackwell": 4.0, "mi250": 0.9, "mi250x": 0.9, "mi300a": 2.0, "mi300x": 2.0,
}  # fmt: skip


SMALL, EMPTIEST = "small", "emptiest"
"""Words of `LateStart.prefer`."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one unit of a term's own measure is worth, and how much the term may say in all.

    Attributes:
        rate: Seconds for one unit; 0 switches the term off.
        cap_s: Most seconds that the term adds (or takes off, where it may).

    """

    rate: float
    cap_s: float


@dataclass(frozen=True, slots=True)
class Weights:
    """The exchange rates of the terms of a score (`placement.terms`).

    The defaults keep an order among partitions where a job can start at once: one that is far too
    slow comes last (a day and more), then each grade of accelerator weighs an hour, then the
    transfer of the input counts as it is, and the size of the cluster settles the rest.

    Attributes:
        transfer: For each second that the input takes to arrive.
        slow: For each time that the accelerator is slower than the policy's `slowest` allows.
        scarcity: For each grade of accelerator above the least that will do.
        size: For each core of the cluster: small machines first, big ones stay free.
        pressure: For each second of work that waits at the site, spread over its nodes.
        carbon: For each kg of CO2 that the job is expected to cause.
        parity: For each 1000 core hours that the member has given more than it has taken.

    """

    transfer: Weight = Weight(1.0, 30 * 86400.0)
    slow: Weight = Weight(86400.0, 30 * 86400.0)
    scarcity: Weight = Weight(3600.0, 20 * 3600.0)
    size: Weight = Weight(0.001, 1800.0)
    pressure: Weight = Weight(0.0, 3600.0)
    carbon: Weight = Weight(0.0, 3600.0)
    parity: Weight = Weight(0.0, 900.0)


@dataclass(frozen=True, slots=True)
class LateStart:
    """How jobs wait at the federation and are sent only where they can start.

    The queue is ordered by (wait + age_s) x processors^width / estimate^length x share^fair_share
    x (1 + (wait / patience_s)^2), the largest first.  Jobs that cannot start hold places, each
    where it is expected to start first: at the federation where nobody else waits, in the site's
    own queue where others do.

    Attributes:
        age_s: Seconds that every job is taken to have waited before it came: the more, the less
            does its own wait weigh against its size.
        width: Exponent of the processors: 0 for wide and narrow jobs alike, 1 for their full width.
        accelerator_width: Processors that one accelerator counts for.
        patience_s: After so long a wait a job counts twice, and then soon ever more: the dial
            against very long single waits; the less, the less does its size count.
        reservations: So many jobs hold a place in each partition where nobody else waits; nodes
            are kept for the first of them as they come free.
        places: So many hold one in a partition with users of its own, whose site lets waiting
            runs of the federation take one another's places.
        fixed_places: So many where it does not.
        yield_s: A place in a queue that is shared is taken so long after it was first wanted, or
            after the last one who had it began: whose machine it is goes before.
        stay: A job leaves its place for another where it is expected to start in less than this
            part of the time.
        settle_s: For so long a run that came to a shared queue is taken back only to start
            elsewhere at once: two guesses of a start do not send it back and forth.
        prefer: Of several partitions where it can start: "small", the one with fewest processors,
            or "emptiest", the one with most of them free.
        slowest: An accelerator on which a job would run for so many times its limit is its last
            resort; of the others the least is taken.
        history: A job is expected to run for its limit times the largest ratio of run time and
            limit among so many of its user's newest ended jobs; 0 for its limit.
        length: Exponent of the expected run time: 0 for long and short jobs alike.
        fair_share: Exponent of the fair share factor of a job's user, from 1 down to 0 with use.
        half_life_s: Seconds after which what a user has used counts half.

    """

    age_s: float = 24 * 3600.0
    width: float = 0.5
    accelerator_width: float = 8.0
    patience_s: float = 48 * 3600.0
    reservations: int = 1
    places: int = 12
    fixed_places: int = 4
    yield_s: float = 3600.0
    stay: float = 0.6
    settle_s: float = 60.0
    prefer: str = SMALL
    slowest: float = 4.0
    history: int = 5
    length: float = 1.0
    fair_share: float = 0.0
    half_life_s: float = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What a round weighs.

    Attributes:
        name: As users and reports write it.
        accelerator_speed: Speed of a family relative to the A100; 1.0 where not listed.
        idle_accelerator_s: Seconds added for a job without accelerators on an accelerated node,
            so that it goes there only when nothing else is about to be free.
        unknown_path_mib_s: Speed assumed for input data where no network path is known.
        unknown_release_s: Seconds until nodes are expected back from somebody of whom no report
            says when he is done.
        max_waiting_per_partition: Runs of the federation that may wait in one partition's queue.
        late: How jobs are held until they can start; None to send each at once, to wait there.
        weights: Exchange rates of the terms of a score.
        seed: Breaks ties, with the job and the partition: blake2b(seed, job, partition).

    """

    name: str = "earliest-start"
    accelerator_speed: dict[str, float] = field(default_factory=lambda: dict(_SPEED))
    idle_accelerator_s: float = 3600.0
    unknown_path_mib_s: float = 10.0
    unknown_release_s: float = 600.0
    max_waiting_per_partition: int = 2000
    late: LateStart | None = None
    weights: Weights = field(default_factory=Weights)
    seed: int = 0
