"""What ranks rows for classes that are new: `terms.static_cost` of a few, in one compiled loop.

Where nothing depends on single jobs (data on its way, observed speeds, carbon) a cost is the sum of
what is said of the row alone and of little arithmetic; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Floats, Ints
from res_federation.placement.shapes import ACCELERATOR, ShapeColumns
from res_federation.placement.terms import Considered, parity, pressure, size, static_cost


class Prices(NamedTuple):
    """What costs are made of besides what classes ask for; (rows,) each but the last two.

    Attributes:
        size: Seconds of the term of that name, and so the next two.
        pressure: The same.
        parity: The same.
        grade: How good each one's accelerator is.
        speed: Of its accelerator.
        rates: Seconds for a second of transfer, for a time too slow, for a grade; of an accelerator
            that stands idle; times that are slow.
        caps: Of the first three.

    """

    size: Floats
    pressure: Floats
    parity: Floats
    grade: Ints
    speed: Floats
    rates: Floats
    caps: Floats


def prices(of: Considered) -> Prices | None:
    """Return what `price` needs, None where it does not hold."""
    policy, snapshot = of.policy, of.snapshot
    if policy.late is None or policy.weights.carbon.rate or snapshot.moving or snapshot.factors:
        return None
    rows = len(of.rows.rows)
    weights = (policy.weights.transfer, policy.weights.slow, policy.weights.scarcity)
    by_row = [
        np.nan_to_num(np.broadcast_to(term(of), (1, rows))[0], nan=0.0)
        for term in (size, pressure, parity)
    ]
    rates = (*(one.rate for one in weights), policy.idle_accelerator_s, policy.late.slowest)
    return Prices(
        by_row[0], by_row[1], by_row[2], of.grade, of.rows.speed, np.array(rates, np.float64),
        np.array([one.cap_s for one in weights], np.float64),
    )  # fmt: skip


def cost_of(
    of: Considered, known: Prices | None, columns: ShapeColumns, new: Sequence[int]
) -> Floats:
    """Return (new, rows) seconds in all of some classes, as `static_cost` does."""
    if known is None:
        return static_cost(of.some(new))
    found: Floats = price(
        columns.transfer, columns.reference, columns.tables[:, ACCELERATOR], of.codes,
        of.rows.fixed, known, np.array(new, np.int64),
    )  # fmt: skip
    return found


@compiled
def _capped(seconds: float, cap: float) -> float:
    """Return no more seconds than the cap allows in either direction; what is not known is none."""
    if np.isnan(seconds):
        return 0.0
    return min(max(seconds, -cap), cap)


@compiled
def price(
    transfer: Floats, reference: Floats, table: Ints, codes: Ints, fixed: Ints, known: Prices,
    new: Ints,
) -> Floats:  # fmt: skip
    """Return (new, rows) seconds in all, to the microsecond."""
    rows = fixed.shape[0]
    found = np.empty((new.shape[0], rows))
    for n in range(new.shape[0]):
        c = new[n]
        wants = reference[c] > 0.0
        least = np.int64(1) << 40
        for r in range(rows):
            if codes[table[c], r, 0] == 0 and (not wants or fixed[r, 2] > 0):
                least = min(least, known.grade[r])
        for r in range(rows):
            cost = _capped(transfer[c, r] * known.rates[0], known.caps[0])
            accelerated = fixed[r, 2] > 0
            if not wants and accelerated:
                cost += known.rates[3]
            times = 1.0
            if wants and accelerated:
                times = reference[c] / known.speed[r]
            times /= known.rates[4]
            if times > 1.0:
                cost += _capped(times * known.rates[1], known.caps[1])
            if codes[table[c], r, 0] == 0 and (not wants or accelerated):
                above = float(known.grade[r] - least)
                cost += _capped(above * known.rates[2], known.caps[2])
            cost = cost + known.size[r] + known.pressure[r] + known.parity[r]
            found[n, r] = np.rint(cost * 1e6) / 1e6
    return found
