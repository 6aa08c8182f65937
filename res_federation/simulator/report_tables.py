"""The tables of a report, as rows of plain text; numbers with thousands, times readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from res_federation.simulator.report_figures import Treatment
from res_federation.simulator.report_files import Found
from res_federation.simulator.span import span
from res_federation.simulator.statistics_of_seeds import (
    MEASURES,
    OF_ACCELERATORS,
    Ratio,
    mean_over_seeds,
    ratio_over_seeds,
)

FIGURE_COLUMNS = (
    "Policy", "Seeds", "Jobs", "Mean wait", "Median wait", "95 % wait", "Longest wait",
    "Bounded slowdown", "Utilisation", "Makespan", "Dropped",
)  # fmt: skip
ACCELERATOR_COLUMNS = (
    "Policy", "Accelerator-hours", "On a model above the least", "Share", "Left idle by others",
    "Mean wait",
)  # fmt: skip
RATIO_COLUMNS = (
    "Policy", "Mean wait", "95 % wait", "Bounded slowdown", "Utilisation", "Makespan",
)  # fmt: skip
TREATMENT_COLUMNS = (
    "Jobs", "Processor-hours", "Share of them", "Mean wait", "95 % wait", "Bounded slowdown",
)  # fmt: skip


def by_policy(found: Sequence[Found]) -> dict[str, list[Found]]:
    """Return the replays of each policy, in the order in which policies come."""
    policies: dict[str, list[Found]] = {}
    for each in found:
        policies.setdefault(each.policy, []).append(each)
    return policies


def figure_rows(found: Sequence[Found]) -> list[list[str]]:
    """Return a row for each policy: means over its seeds, with half the width of the interval."""
    rows = []
    for policy, replays in by_policy(found).items():
        dropped = [sum((each.summary.get("dropped") or {}).values()) for each in replays]
        rows.append(
            [
                policy,
                f"{len(replays)}",
                _mean(replays, "jobs", _count),
                _mean(replays, "mean_wait", span),
                _mean(replays, "p50_wait", span),
                _mean(replays, "p95_wait", span),
                _mean(replays, "max_wait", span),
                _mean(replays, "mean_bounded_slowdown", lambda value: f"{value:,.2f}"),
                _mean(replays, "utilisation", lambda value: f"{value:.1%}"),
                _mean(replays, "makespan", span),
                f"{sum(dropped) / len(dropped):,.0f}",
            ]
        )
    return rows


def has_accelerators(found: Sequence[Found]) -> bool:
    """Tell whether the federation of these replays has accelerators."""
    return any(each.summary.get("accelerator_hours") is not None for each in found)


def accelerator_rows(found: Sequence[Found]) -> list[list[str]]:
    """Return a row for each policy, in the order of `ACCELERATOR_COLUMNS`."""
    return [
        [
            policy,
            _mean(replays, "accelerator_hours", _count),
            _mean(replays, "accelerator_hours_above", lambda value: f"{value:,.1f}"),
            _mean(replays, "accelerator_above_share", lambda value: f"{value:.2%}"),
            _mean(replays, "accelerator_idle_hours", lambda value: f"{value:,.1f}"),
            _mean(replays, "mean_wait", span),
        ]
        for policy, replays in by_policy(found).items()
    ]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _mean(replays: Sequence[Found], key: str, words: Any) -> str:
    values = numbers(replays, key)
    if len(values) < len(replays):
        return "-"
    mean = mean_over_seeds(list(values.values()))
    if not mean.half_width:  # one seed, or the same in all
        return str(words(mean.mean))
    return f"{words(mean.mean)} ± {words(mean.half_width)}"


def numbers(replays: Sequence[Found], key: str) -> dict[int, float]:
    """Return one figure by seed; replays that do not have it are left out."""
    return {
        each.seed: float(each.summary[key])
        for each in replays
        if isinstance(each.summary.get(key), int | float)
    }


def ratios(found: Sequence[Found], baseline: str) -> dict[str, dict[str, Ratio]]:
    """Return policy -> figure -> ratio to *baseline*, which is one of the policies."""
    policies = by_policy(found)
    measures = (*MEASURES, *(OF_ACCELERATORS if has_accelerators(found) else ()))
    under = {key: numbers(policies[baseline], key) for key in measures}
    return {
        policy: {key: ratio_over_seeds(numbers(replays, key), under[key]) for key in measures}
        for policy, replays in policies.items()
    }


def ratio_words(ratio: Ratio) -> str:
    """Write ``0.83 (0.79 - 0.88)``, without the interval where there is none."""
    if ratio.ratio is None:
        return "-"
    text = f"{ratio.ratio:.3g}"
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text} ({ratio.low:.3g} - {ratio.high:.3g})"


def ratio_rows(found: Mapping[str, Mapping[str, Ratio]], baseline: str) -> list[list[str]]:
    """Return a row for each policy but the baseline."""
    return [
        [policy, *(ratio_words(figures[key]) for key in MEASURES)]
        for policy, figures in found.items()
        if policy != baseline
    ]


def ratio_document(ratio: Ratio) -> dict[str, float | int | None]:
    """Return a ratio for programs."""
    return {"ratio": ratio.ratio, "low": ratio.low, "high": ratio.high, "seeds": ratio.seeds}


def treatment_rows(found: Sequence[Treatment]) -> list[list[str]]:
    """Return a row for each site or group: its name, then `TREATMENT_COLUMNS`."""
    total = sum(each.hours for each in found) or 1.0
    return [
        [
            each.name,
            f"{each.jobs:,}",
            f"{each.hours:,.0f}",
            f"{each.hours / total:.1%}",
            span(each.mean_wait),
            span(each.p95_wait),
            f"{each.slowdown:,.2f}",
        ]
        for each in found
    ]


def method(seeds: int) -> str:
    """Say how the intervals were made."""
    if seeds < 2:
        return "One seed: there is no interval, since nothing is known of other draws."
    return (
        f"Geometric mean of the ratios of {seeds} seeds, each seed's replay against the baseline's"
        " of the same seed; in parentheses Student's 95 % interval on their logarithms."
    )
