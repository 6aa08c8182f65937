"""The plots of one replay: utilisation, queue, waits by class, Gantt, fairness."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from res_federation.simulator import plots_style as style
from res_federation.simulator.report_figures import (
    LENGTH_NAMES,
    SIZE_EDGES,
    SIZE_NAMES,
    Classes,
    Floats,
    Treatment,
)
from res_federation.simulator.report_files import Jobs
from res_federation.simulator.span import span
from res_federation.simulator.workload import Ints

MOST_BARS = 400
"""Jobs that a Gantt chart can show one by one."""
_MOST_ROWS = 40


def utilisation(edges: Floats, share: Floats, sites: tuple[str, ...]) -> Figure:
    """Draw each site's utilisation over time, a row for each.

    Args:
        edges: (bins + 1,) seconds.
        share: (sites, bins) busy part of its processors, 0 to 1.
        sites: Names.

    """
    if len(sites) > _MOST_ROWS:
        return _strips(edges, share, sites, "Busy processors (%)")
    figure = style.figure(0.9 + 0.52 * len(sites))
    grid = figure.subplots(len(sites), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, site) in enumerate(zip(grid, sites, strict=True)):
        axes.stairs(share[number], edges, fill=True, color=style.COLOURS[0], linewidth=0)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 1] if number == 0 else [])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=True, axis="x")
        axes.axhline(1, color=style.ink(faint=True), linewidth=0.6)
        axes.text(-0.05, 0.5, style.short(site), transform=axes.transAxes, va="center", ha="right")
        mean = float(np.average(share[number], weights=np.diff(edges))) if share.size else 0.0
        axes.text(1.01, 0.5, f"{mean:.0%}", transform=axes.transAxes, va="center", ha="left")
        if number < len(sites) - 1:
            axes.tick_params(axis="x", length=0)
    if len(sites):
        grid[0].text(1.01, 1.08, "mean", transform=grid[0].transAxes, fontsize=8)
        style.time_axis(grid[-1], edges[0], edges[-1])
    return figure


def _strips(edges: Floats, share: Floats, names: tuple[str, ...], label: str) -> Figure:
    """Draw a heat map: a row for each name, time along it, *share* (0 to 1) as colour."""
    rows = max(len(names), 1)
    figure = style.figure(min(1.3 + 0.26 * rows, 14.0))
    axes = figure.subplots()
    shown = axes.imshow(
        share,
        aspect="auto",
        interpolation="nearest",
        cmap=style.SEQUENCE,
        vmin=0,
        vmax=1,
        extent=(edges[0], edges[-1], rows - 0.5, -0.5),
    )
    axes.grid(visible=False)
    every = max(1, rows // 60)
    axes.set_yticks(range(0, rows, every), [style.short(name, 40) for name in names[::every]])
    bar = figure.colorbar(shown, ax=axes, format=PercentFormatter(1.0), pad=0.01, aspect=15)
    bar.outline.set_visible(False)
    bar.set_label(label.removesuffix(" (%)"))
    style.time_axis(axes, edges[0], edges[-1])
    return figure


def queue(edges: Floats, lines: list[tuple[str, Floats, Floats]]) -> Figure:
    """Draw waiting jobs, and the processors that they ask for, over time.

    Args:
        edges: (bins + 1,) seconds.
        lines: Name, (bins,) jobs, (bins,) processors of each.

    """
    figure = style.figure(4.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for number, (name, jobs, processors) in enumerate(lines):
        colour = style.COLOURS[number % len(style.COLOURS)]
        dashes = ("-", "--", ":", "-.")[(number // len(style.COLOURS) + number) % 4]
        for axes, values in ((upper, jobs), (lower, processors)):
            axes.stairs(
                values, edges, baseline=None, color=colour, linestyle=dashes, linewidth=1.4,
                label=style.short(name, 40),
            )  # fmt: skip
    for axes, label in ((upper, "Waiting jobs"), (lower, "Processors\nasked for")):
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        style.thousands(axes.yaxis)
    if len(lines) > 1:
        figure.legend(
            *upper.get_legend_handles_labels(), loc="outside upper left", ncols=min(len(lines), 4)
        )
    style.time_axis(lower, edges[0], edges[-1])
    return figure


def waits(classes: Classes) -> Figure:
    """Draw the median wait of each class of size and length, with its number of jobs."""
    figure = style.figure(3.2)
    axes = figure.subplots()
    values = np.maximum(classes.median, 1.0)
    top = max(float(np.nanmax(values, initial=1.0)), 60.0)
    norm = LogNorm(max(min(float(np.nanmin(values, initial=top)), top / 100), 1.0), top)
    colours = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=style.SEQUENCE, norm=norm, edgecolors="none"
    )
    axes.grid(visible=False)
    for row in range(len(LENGTH_NAMES)):
        for column in range(len(SIZE_NAMES)):
            if classes.count[row, column]:
                light = norm(values[row, column]) > 0.55
                words = f"{classes.count[row, column]:,} jobs"
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    f"{span(classes.median[row, column])}\n{words}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="#000000" if light else "#FFFFFF",
                )
    axes.set_xticks(np.arange(len(SIZE_NAMES)) + 0.5, SIZE_NAMES)
    axes.set_yticks(np.arange(len(LENGTH_NAMES)) + 0.5, LENGTH_NAMES)
    axes.tick_params(length=0)
    axes.set_xlabel("Processors of a job")
    axes.set_ylabel("Run time of a job")
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(colours, ax=axes, pad=0.01, aspect=15)
    bar.outline.set_visible(False)
    steps = (1, 10, 60, 600, 3600, 6 * 3600, 86400, 10 * 86400, 100 * 86400)
    marks = [each for each in steps if float(norm.vmin or 1.0) <= each <= top]
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_ticks(marks, labels=[span(each) for each in marks])
    bar.set_label("Median wait")
    return figure


def gantt(jobs: Jobs, edges: Floats, share: Floats) -> Figure:
    """Draw where each job ran and when; of many jobs, how full each partition was.

    Args:
        jobs: At most `MOST_BARS` of them are drawn one by one.
        edges: (bins + 1,) seconds.
        share: (partitions, bins) busy part of each partition, 0 to 1.

    """
    if len(jobs) > MOST_BARS:
        return _strips(edges, share, jobs.partitions, "Busy part (%)")
    lanes, depth = _lanes(jobs)
    tops = np.concatenate(([0], np.cumsum(depth + 1)))
    figure = style.figure(float(np.clip(1.2 + 0.09 * tops[-1], 2.2, 12.0)))
    axes = figure.subplots()
    size = np.searchsorted(SIZE_EDGES, jobs.procs, side="right")
    for number in range(len(jobs)):
        axes.broken_barh(
            [(float(jobs.start[number]), float(max(jobs.end[number] - jobs.start[number], 1)))],
            (float(tops[jobs.partition[number]] + lanes[number]), 0.85),
            facecolors=style.COLOURS[int(size[number]) % len(style.COLOURS)],
        )
    middle = tops[:-1] + depth / 2
    axes.set_yticks(middle, [style.short(name, 40) for name in jobs.partitions])
    for top in tops[1:-1]:
        axes.axhline(float(top) - 0.5, color=style.ink(faint=True), linewidth=0.6)
    axes.set_ylim(float(tops[-1]) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    handles = [
        Patch(
            color=style.COLOURS[each % len(style.COLOURS)], label=f"{SIZE_NAMES[each]} processors"
        )
        for each in sorted(set(size.tolist()))
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    style.time_axis(axes, edges[0], edges[-1])
    return figure


def _lanes(jobs: Jobs) -> tuple[Ints, Ints]:
    """Give each job the first lane of its partition that is free; return lanes, lanes in all."""
    lanes = np.zeros(len(jobs), np.int64)
    until: list[list[int]] = [[] for _ in jobs.partitions]
    for number in np.argsort(jobs.start, kind="stable").tolist():
        mine = until[jobs.partition[number]]
        free = next((lane for lane, end in enumerate(mine) if end <= jobs.start[number]), len(mine))
        if free == len(mine):
            mine.append(0)
        mine[free] = int(jobs.end[number])
        lanes[number] = free
    return lanes, np.array([len(each) for each in until], np.int64)


def fairness(found: list[Treatment]) -> Figure:
    """Draw the mean wait and the mean bounded slowdown of each site or group."""
    rows = len(found)
    figure = style.figure(1.1 + 0.27 * rows)
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(rows)
    _dots(left, places, [each.mean_wait for each in found], [each.p95_wait for each in found])
    unit, size = style.time_unit(left.get_xlim()[1])
    left.set_xlabel(f"Wait ({unit}): mean (dot), 95th percentile (bar)")
    left.xaxis.set_major_locator(style.steps_of(size))
    left.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / size:,.4g}"))
    right.barh(places, [each.slowdown for each in found], height=0.6, color=style.COLOURS[0])
    right.set_xlabel("Mean bounded slowdown (times)")
    right.set_xlim(left=0)
    right.xaxis.set_major_locator(MaxNLocator(5))
    style.thousands(right.xaxis)
    left.set_yticks(places, [style.short(each.name) for each in found])
    left.set_ylim(rows - 0.4, -0.6)
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    return figure


def _dots(axes: Axes, places: Ints, means: list[float], tops: list[float]) -> None:
    axes.barh(places, tops, height=0.22, color=style.COLOURS[6])
    axes.plot(means, places, "o", color=style.COLOURS[0], markersize=5)
    axes.set_xlim(left=0, right=max([*tops, *means, 1.0]) * 1.05)
