"""The terms of a score: named, in seconds, each with an exchange rate and a cap.

A term is a pure function over arrays that answers for every shape of job and every row how many
seconds it adds; `policy.Weights` says what one unit of its own measure is worth and how much it
may say in all.  What is not known is NaN: it counts as nothing, and the explanation leaves it out.

The terms here do not change while a round spends capacity.  Expected start (``start_s``) and
run time (``run_s``) are the kernels' own: they depend on what was decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from res_federation.model.identifiers import site_of
from res_federation.model.job import Job
from res_federation.placement import fit
from res_federation.placement.policy import EMPTIEST, Policy, Weight
from res_federation.placement.rows import (
    ACCELERATORS,
    AVAILABLE,
    CORES,
    Floats,
    Ints,
    RowArrays,
    grades,
)  # fmt: skip
from res_federation.placement.shapes import ACCELERATOR, LIMIT, TASKS, Queue
from res_federation.placement.snapshot import Snapshot

START, RUN = "start_s", "run_s"
"""Terms of the kernels."""
TRANSFER, IDLE_ACCELERATOR, SLOW, SCARCITY, SIZE, PRESSURE, CARBON, PARITY = (
    "transfer_s", "idle_accelerator_s", "slow_s", "scarcity_s", "size_s", "pressure_s", "carbon_s",
    "parity_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Considered:
    """What terms look at; nobody changes it.

    Attributes:
        rows: The rows.
        grade: (rows,) how good each one's accelerator is, as `rows.grades` has it.
        numbers: (shapes, 16) as `shapes.Shapes` has it, and so the next two.
        tables: (shapes, 6).
        codes: (tables, rows, 3).
        transfer: (shapes, rows) seconds to bring the input when nothing else moves.
        reference: (shapes,) speed of the accelerator that the limit was written for; 0 for none.
        jobs: One of each shape; there may be room for more shapes in the arrays.
        snapshot: The rest.
        policy: What is weighed.

    """

    rows: RowArrays
    grade: Ints
    numbers: Ints
    tables: Ints
    codes: Ints
    transfer: Floats
    reference: Floats
    jobs: Sequence[Job]
    snapshot: Snapshot
    policy: Policy

    @property
    def zeros(self) -> Floats:
        """A fresh (shapes, rows) of nothing."""
        return np.zeros((len(self.reference), len(self.rows.rows)))

    def some(self, shapes: Sequence[int]) -> Considered:
        """Return the same of *shapes* only; of each there is a job."""
        return replace(
            self, numbers=self.numbers[shapes], tables=self.tables[shapes],
            transfer=self.transfer[shapes], reference=self.reference[shapes],
            jobs=[self.jobs[number] for number in shapes],
        )  # fmt: skip


NOTHING = np.zeros((1, 1))
"""What a term says that is switched off; as every term's answer it goes for (shapes, rows)."""


def of_queue(rows: RowArrays, queue: Queue, snapshot: Snapshot, policy: Policy) -> Considered:
    """Return what terms look at for the shapes of a queue."""
    first: dict[int, Job] = {}
    for shape, job in zip(queue.shape.tolist(), queue.jobs, strict=True):
        first.setdefault(shape, job)
    shapes = queue.shapes
    jobs = [first[number] for number in range(len(first))]
    return Considered(
        rows, grades(rows), shapes.numbers, shapes.tables, shapes.codes, queue.transfer,
        queue.reference, jobs, snapshot, policy,
    )  # fmt: skip


def weighed(measure: Floats, weight: Weight) -> Floats:
    """Return *measure* in seconds, no more of them than the cap allows in either direction."""
    return np.clip(measure * weight.rate, -weight.cap_s, weight.cap_s)


def transfer(of: Considered) -> Floats:
    """Seconds until the input has arrived, links shared with what moves already."""
    seconds = of.transfer
    if of.snapshot.moving:
        seconds = _beside_others(of, seconds.copy())
    return weighed(seconds, of.policy.weights.transfer)


def _beside_others(of: Considered, seconds: Floats) -> Floats:
    distances, load = of.snapshot.distances, of.snapshot.distances.load_of(of.snapshot.moving)
    targets = [site_of(row.partition) for row in of.rows.rows]
    for number, job in enumerate(of.jobs):
        source, mib = job.spec.input_site, job.spec.input_mib
        if mib <= 0 or not source:
            continue
        for column, target in enumerate(targets):
            if seconds[number, column] > 0.0:
                found = distances.transfer_s(source, target, mib, load)
                if found is not None:
                    seconds[number, column] = found
    return seconds


def idle_accelerator(of: Considered) -> Floats:
    """For a job without accelerators on a node that has some."""
    none = of.reference <= 0.0
    there = of.rows.fixed[:, ACCELERATORS] > 0
    return np.where(none[:, None] & there[None, :], float(of.policy.idle_accelerator_s), 0.0)


def slow(of: Considered) -> Floats:
    """Times that the accelerator is slower than `LateStart.slowest` allows."""
    late = of.policy.late
    if late is None:
        return NOTHING
    times = run_factor(of) / late.slowest
    return weighed(np.where(times > 1.0, times, 0.0), of.policy.weights.slow)


def scarcity(of: Considered) -> Floats:
    """Grades of accelerator above the least that will do; none is the least of all grades."""
    if of.policy.late is None:
        return NOTHING
    grade = of.grade
    fits = of.codes[of.tables[:, ACCELERATOR], :, 0] == 0
    wants = of.reference > 0.0
    fits &= ~wants[:, None] | (of.rows.fixed[:, ACCELERATORS] > 0)[None, :]
    least = np.where(fits, grade[None, :], np.iinfo(np.int64).max).min(axis=1, initial=1 << 40)
    above = np.maximum(grade[None, :] - least[:, None], 0)
    return weighed(np.where(fits, above, 0).astype(np.float64), of.policy.weights.scarcity)


def size(of: Considered) -> Floats:
    """Cores of the cluster that are up, where the policy fills small machines first."""
    late = of.policy.late
    if late is None or late.prefer == EMPTIEST:
        return NOTHING
    cores = (of.rows.fixed[:, CORES] * of.rows.fixed[:, AVAILABLE]).astype(np.float64)
    return weighed(np.maximum(cores, 0.0), of.policy.weights.size)[None, :]


def pressure(of: Considered) -> Floats:
    """Seconds of work that waits at the site, spread over its nodes."""
    nodes = np.maximum(of.rows.fixed[:, AVAILABLE], 1)
    return weighed(of.rows.backlog / nodes, of.policy.weights.pressure)[None, :]


def carbon(of: Considered) -> Floats:
    """Kilograms of CO2: share of the node, its power, the run, the grid; NaN where unknown."""
    weight = of.policy.weights.carbon
    if weight.rate == 0.0:
        return NOTHING
    of_row = np.array([_kg_per_node_s(one.node_watts, one.grams_per_kwh) for one in of.rows.rows])
    seconds = of.numbers[:, LIMIT] * of.numbers[:, TASKS]
    return weighed(node_shares(of) * seconds[:, None] * run_factor(of) * of_row[None, :], weight)


def parity(of: Considered) -> Floats:
    """Thousands of core hours that the member has given beyond what it took."""
    given = of.snapshot.parity
    if not given:
        return NOTHING
    balance = np.array([given.get(site_of(one.partition), 0.0) / 1000.0 for one in of.rows.rows])
    return weighed(balance, of.policy.weights.parity)[None, :]


TERMS: dict[str, Callable[[Considered], Floats]] = {
    TRANSFER: transfer,
    IDLE_ACCELERATOR: idle_accelerator,
    SLOW: slow,
    SCARCITY: scarcity,
    SIZE: size,
    PRESSURE: pressure,
    CARBON: carbon,
    PARITY: parity,
}
"""In the order in which they are told."""
STATIC = tuple(TERMS)
"""Names along the last axis of `static_terms`."""


def static_terms(of: Considered) -> Floats:
    """Return (shapes, rows, len(STATIC)) seconds, NaN where something is not known."""
    found = np.empty((*of.zeros.shape, len(TERMS)))
    for number, term in enumerate(TERMS.values()):
        found[:, :, number] = term(of)
    return found


def static_cost(of: Considered) -> Floats:
    """Return (shapes, rows) seconds in all, to the microsecond so that equals stay equal."""
    cost = of.zeros
    for term in TERMS.values():
        cost += np.nan_to_num(term(of), nan=0.0)
    return np.round(cost, 6)


def rest(of: Considered) -> Floats:
    """Return (shapes or 1, rows) the seconds of all but `TRANSFER` and `IDLE_ACCELERATOR`."""
    found = np.zeros((1, len(of.rows.rows)))
    for name, term in TERMS.items():
        if name not in (TRANSFER, IDLE_ACCELERATOR):
            found = found + np.nan_to_num(term(of), nan=0.0)
    return found


def stands_on(snapshot: Snapshot, rows: RowArrays, policy: Policy) -> tuple[object, ...]:
    """Return what costs depend on besides shapes of jobs and what rows are for good."""
    weights = policy.weights
    pressed = rows.backlog.tobytes() if weights.pressure.rate else b""
    power: tuple[object, ...] = ()
    if weights.carbon.rate:
        power = tuple((row.node_watts, row.grams_per_kwh) for row in rows.rows)
    return (
        weights, snapshot.moving, tuple(sorted(snapshot.factors.items())),
        tuple(sorted(snapshot.parity.items())), pressed, power,
    )  # fmt: skip


def run_factor(of: Considered) -> Floats:
    """Return (shapes, rows) how many times longer than its limit's own device a job runs there.

    The policy's table of speeds says it; what was observed of the job's account overrides the
    table for that family.  1 for a job without accelerators, and where the row has none.
    """
    reference = of.reference[:, None]
    there = (reference > 0.0) & (of.rows.fixed[:, ACCELERATORS] > 0)[None, :]
    speed = np.broadcast_to(of.rows.speed[None, :], there.shape)
    if of.snapshot.factors:
        speed = _observed(of, speed.copy())
    return np.where(there, reference / speed, 1.0)


def _observed(of: Considered, speed: Floats) -> Floats:
    families = [row.family for row in of.rows.rows]
    for number, job in enumerate(of.jobs):
        for column, family in enumerate(families):
            found = of.snapshot.factors.get((job.spec.account, family))
            if found is not None and job.spec.account and family:
                speed[number, column] = found
    return speed


def node_shares(of: Considered) -> Floats:
    """Return (shapes, rows) the nodes' worth that one task takes; 0 where it does not lie."""
    laid = fit.lay_out(of.numbers, of.rows.fixed)
    have = of.rows.fixed[None, :, :3].astype(np.float64)
    parts = np.divide(laid[:, :, 4:7], have, out=np.zeros(laid[:, :, 4:7].shape), where=have > 0)
    shares: Floats = np.where(laid[:, :, 0] == 0, laid[:, :, 3] * parts.max(axis=2), 0.0)
    return shares


def _kg_per_node_s(watts: float | None, grams_per_kwh: float | None) -> float:
    if watts is None or grams_per_kwh is None:
        return float("nan")
    return watts * grams_per_kwh / 1000.0 / 3.6e6
