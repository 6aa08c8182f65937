"""Policies against one another over several seeds: ratios, and how sure they are.

The replays of one seed draw the same workload and break ties the same way, so that policies are
compared seed by seed.  The figure is the geometric mean of the seeds' ratios; the interval is
Student's, on the logarithms, for 95 %.  With one seed there is no interval, and none is made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
MEASURES = ("mean_wait", "p95_wait", "mean_bounded_slowdown", "utilisation", "makespan")
"""Figures of a summary that policies are compared by."""
OF_ACCELERATORS = ("accelerator_hours_above",)
"""And where a federation has accelerators."""

# Quantiles 0.975 of Student's distribution by degrees of freedom, from 1.
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.95996


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of a policy against the baseline's.

    Attributes:
        ratio: Geometric mean over seeds; None where the baseline's figure is 0.
        low: Lower end of the interval, or None where there is none.
        high: Upper end, or None.
        seeds: How many seeds both have.

    """

    ratio: float | None
    low: float | None
    high: float | None
    seeds: int


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a figure over seeds, and half the width of its interval (None with one seed)."""

    mean: float
    half_width: float | None
    seeds: int


def student(freedom: int) -> float:
    """Return the quantile 0.975 of Student's distribution; *freedom* is at least 1."""
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    cube = _NORMAL**3
    return _NORMAL + (cube + _NORMAL) / (4 * freedom)  # of its expansion about the normal one


def mean_over_seeds(values: Sequence[float]) -> Mean:
    """Return the mean of *values* (at least one) with half the width of Student's interval."""
    mean = math.fsum(values) / len(values)
    return Mean(mean, _half_width(values), len(values))


def _half_width(values: Sequence[float]) -> float | None:
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return student(count - 1) * math.sqrt(variance / count)


def ratio_over_seeds(values: Mapping[int, float], baseline: Mapping[int, float]) -> Ratio:
    """Compare two policies' figures by seed; seeds that only one of them has do not count."""
    seeds = sorted(set(values) & set(baseline))
    pairs = [(values[seed], baseline[seed]) for seed in seeds]
    if not pairs or any(under <= 0 for _, under in pairs):
        same = bool(pairs) and all(over == under for over, under in pairs)
        return Ratio(1.0 if same else None, None, None, len(pairs))
    if any(over <= 0 for over, _ in pairs):  # no logarithm: means alone are compared
        sums = [math.fsum(column) for column in zip(*pairs, strict=True)]
        return Ratio(sums[0] / sums[1], None, None, len(pairs))
    logs = [math.log(over / under) for over, under in pairs]
    mean = math.fsum(logs) / len(logs)
    half = _half_width(logs)
    if half is None:
        return Ratio(math.exp(mean), None, None, 1)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


def baseline_of(policies: Sequence[str]) -> str:
    """Return the policy that the others are compared with: Slurm's, where it is among them."""
    return "slurm-federation" if "slurm-federation" in policies else policies[0]
