"""The plots that hold policies against one another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from res_federation.simulator import plots_style as style
from res_federation.simulator.statistics_of_seeds import Ratio

TITLES = {
    "mean_wait": "Mean wait",
    "p95_wait": "95 % wait",
    "mean_bounded_slowdown": "Slowdown",
    "utilisation": "Utilisation",
    "makespan": "Makespan",
}


def against(ratios: Mapping[str, Mapping[str, Ratio]], baseline: str) -> Figure:
    """Draw each policy's figures as ratios to the baseline's, with intervals.

    Args:
        ratios: Policy -> figure -> ratio.
        baseline: The policy that all are compared with.

    """
    policies = list(ratios)
    figure = style.figure(1.3 + 0.34 * len(policies))
    grid = figure.subplots(1, len(TITLES), sharey=True, squeeze=False)[0]
    places = np.arange(len(policies))
    for axes, (measure, title) in zip(grid, TITLES.items(), strict=True):
        low, high = _limits([ratios[policy][measure] for policy in policies])
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.axvline(1.0, color=style.ink(), linewidth=0.9)
        for place, policy in enumerate(policies):
            _point(axes, place, ratios[policy][measure])
        axes.set_title(title, fontsize=9)
        marks = _marks(low, high)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(marks, [f"{mark:,.4g}" for mark in marks])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
    grid[0].set_yticks(places, [style.short(policy) for policy in policies])
    grid[0].set_ylim(len(policies) - 0.5, -0.5)
    figure.supxlabel(f"times {style.short(baseline)} (1 = the same)", fontsize=9)
    return figure


def _point(axes: object, place: int, ratio: Ratio) -> None:
    if ratio.ratio is None or ratio.ratio <= 0:
        return
    colour, marker = style.COLOURS[0], "o"
    if ratio.low is not None and ratio.high is not None:
        axes.plot([ratio.low, ratio.high], [place, place], "-", color=colour, linewidth=2.2)  # type: ignore[attr-defined]
    else:
        marker = "D"
    axes.plot([ratio.ratio], [place], marker, color=colour, markersize=6)  # type: ignore[attr-defined]


_ROUND = (1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1e3, 1e4, 1e5, 1e6)


def _marks(low: float, high: float) -> list[float]:
    """Return round ratios between *low* and *high* that stand apart: 1, its neighbours, theirs."""
    apart = math.log(high / low) * 0.21
    found = [1.0]
    for direction in (1, -1):
        last = 0.0
        for each in (direction * math.log(ratio) for ratio in _ROUND):
            inside = math.log(low) < each < math.log(high)
            if inside and abs(each - last) > apart:
                found.append(float(f"{math.exp(each):.2g}"))
                last = math.log(found[-1])
    return sorted(found)


def _limits(ratios: Sequence[Ratio]) -> tuple[float, float]:
    """Return limits of an axis that show 1, every ratio, and intervals where they are narrow."""
    values = [each.ratio for each in ratios if each.ratio]
    for each in ratios:
        if each.ratio and each.low is not None and each.high is not None:
            values += [max(each.low, each.ratio / 3), min(each.high, each.ratio * 3)]
    low, high = min([*values, 0.95]), max([*values, 1.05])
    room = (high / low) ** 0.08
    return low / room, high * room
