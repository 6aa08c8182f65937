"""`resfed report`: one page, with plots and tables, for the replays that a directory holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from res_federation.simulator import page, plots, plots_compare, report_figures, report_tables
from res_federation.simulator.plots_style import Plot, png
from res_federation.simulator.report_figures import Floats
from res_federation.simulator.report_files import Found, Jobs, find_replays, planned, read_jobs
from res_federation.simulator.span import span
from res_federation.simulator.statistics_of_seeds import Ratio, baseline_of

PAGE_FILE = "report.html"
PLOTS = "plots"
MOST_DETAILS = 6
"""Replays that are drawn in detail on one page; the others have their figures in the tables."""
_MOST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes:
        page: The HTML file.
        pictures: PNG files.
        found: The replays.
        ratios: Case -> policy -> figure -> ratio, where there are several policies.
        missing: Replays of the comparison or sweep that are not there yet.

    """

    page: Path
    pictures: tuple[Path, ...]
    found: tuple[Found, ...]
    ratios: dict[str, dict[str, dict[str, Ratio]]]
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    sections: list[tuple[str, str]] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)

    def drawing(self, name: str, title: str, words: str, draw: Any, note: str = "") -> str:
        """Draw a plot for the page, and remember it for its PNG."""
        plot = Plot(f"p{len(self.plots) + 1:02d}-{name}", title, words, draw, note)
        self.plots.append(plot)
        return page.drawing(plot)


def write_report(directory: Path, *, pictures: bool = False) -> Report:
    """Write ``report.html`` into *directory*, and with *pictures* ``plots/*.png``.

    Raises:
        InvalidArgument: If *directory* holds no complete results.

    """
    found = find_replays(directory)
    names = {each.name for each in found}
    missing = tuple(name for name in planned(directory) if name not in names)
    draft = _Draft()
    cases: dict[tuple[str, float | None], list[Found]] = {}
    for each in found:
        cases.setdefault(each.case, []).append(each)
    ratios: dict[str, dict[str, dict[str, Ratio]]] = {}
    shown = 0
    for case, replays in cases.items():
        name = _case_name(case, replays) if len(cases) > 1 else ""
        html, compared = _comparison(draft, name, replays)
        if compared:
            ratios[name] = compared
        draft.sections.append((name or "Figures", html))
        shown = _details(draft, name, replays, shown)
    traces = sorted({str(each.summary["trace"]) for each in found})
    title = f"Replay of {', '.join(traces[:3])}"
    written = page.page(title, _lead(found, shown, missing), draft.sections)
    target = directory / PAGE_FILE
    _put(target, written.encode("utf-8"))
    if pictures:
        for old in (directory / PLOTS).glob("p[0-9]*-*.png"):
            old.unlink()  # of a page with more plots
    made = [_picture(directory / PLOTS, plot) for plot in draft.plots] if pictures else []
    return Report(target, tuple(made), tuple(found), ratios, missing)


def _put(file: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    half = file.with_name(f".{file.name}.part")
    half.write_bytes(data)
    half.replace(file)


def _picture(directory: Path, plot: Plot) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / f"{plot.name}.png"
    _put(file, png(plot))
    return file


def _case_name(case: tuple[str, float | None], replays: Sequence[Found]) -> str:
    overlay, load = case
    scenario = str(replays[0].summary.get("scenario", ""))
    words = [scenario] if scenario else []
    words += [overlay] if overlay else []
    words += [f"load {load:g}"] if load is not None else []
    return ", ".join(words) or "Figures"


def _lead(found: Sequence[Found], shown: int, missing: Sequence[str]) -> str:
    policies = list(report_tables.by_policy(found))
    seeds = {each.seed for each in found}
    jobs = sorted({int(each.summary["jobs"]) for each in found})
    amount = f"{jobs[0]:,}" if len(jobs) == 1 else f"{jobs[0]:,} to {jobs[-1]:,}"
    text = (
        f"{_many(len(found), 'replay')} of {amount} jobs: {_many(len(policies), 'policy')}"
        f" ({', '.join(policies)}), {_many(len(seeds), 'seed')}."
    )
    if missing:
        text = f"NOT COMPLETE: {missing_line(missing, len(found))} {text}"
    schedulers = sorted({str(each.summary.get("scheduler", "")) for each in found} - {""})
    text += f" Local scheduler: {', '.join(schedulers)}." if schedulers else ""
    pairs = {(each.case, each.policy) for each in found}
    if shown < len(pairs):
        text += (
            f" Drawn in detail: {shown} of {len(pairs)}; resfed report of a replay's own"
            " directory draws any other."
        )
    elif len(found) > len(pairs):
        text += " Drawn in detail: the first seed of each."
    return text


def missing_line(missing: Sequence[str], there: int) -> str:
    """Say that a comparison or a sweep has not ended."""
    return (
        f"{len(missing):,} of {there + len(missing):,} replays are not there yet, the first is"
        f" {missing[0]}; the figures are those of the others."
    )


def _many(count: int, word: str) -> str:
    plural = "policies" if word == "policy" else f"{word}s"
    return f"{count:,} {word if count == 1 else plural}"


def _comparison(
    draft: _Draft, case: str, found: Sequence[Found]
) -> tuple[str, dict[str, dict[str, Ratio]]]:
    """Return the tables and plots that hold the policies of one case against one another."""
    policies = list(report_tables.by_policy(found))
    rows = report_tables.figure_rows(found)
    html = page.table("Means over seeds", report_tables.FIGURE_COLUMNS, rows)
    if len(policies) == 1:
        return html, {}
    baseline = baseline_of(policies)
    ratios = report_tables.ratios(found, baseline)
    seeds = max(ratio.seeds for figures in ratios.values() for ratio in figures.values())
    html += page.table(
        f"Times {baseline}: below 1 is less, above 1 is more",
        report_tables.RATIO_COLUMNS,
        report_tables.ratio_rows(ratios, baseline),
    )
    html += page.paragraph(report_tables.method(seeds), note=True)
    html += draft.drawing(
        "policies",
        f"Policy against policy{_of(case)}: each figure as a multiple of {baseline}'s (times)",
        f"The same ratios as in the table above, of {', '.join(policies)}.",
        partial(plots_compare.against, ratios, baseline),
        "Dot with line: ratio over seeds with its 95 % interval. Diamond: no interval.",
    )
    return html, ratios


def _of(case: str) -> str:
    return f" ({case})" if case else ""


def _details(draft: _Draft, case: str, found: Sequence[Found], shown: int) -> int:
    """Add the queue of one case, and a section for the first replay of each policy."""
    lines: list[tuple[str, Floats, Floats]] = []
    edges: Floats | None = None
    several = len(report_tables.by_policy(found)) > 1
    sections = []
    for policy, replays in report_tables.by_policy(found).items():
        if shown >= MOST_DETAILS:
            break
        shown += 1
        jobs = read_jobs(replays[0])
        if edges is None:
            edges = _common_edges(found, jobs)
        one = np.ones(len(jobs), np.int64)
        lines.append(
            (
                policy,
                report_figures.level(jobs.submit, jobs.start, one, edges),
                report_figures.level(jobs.submit, jobs.start, jobs.procs, edges),
            )
        )
        name = f"{policy}{_of(case)}" if several or case else "The replay"
        sections.append((name, _replay(draft, name, replays[0], jobs)))
    if edges is not None and lines:
        queue = draft.drawing(
            "queue",
            f"Queue depth over time{_of(case)} (jobs, processors)",
            "; ".join(_queue_words(*line) for line in lines),
            partial(plots.queue, edges, lines),
        )
        heading, html = draft.sections[-1]
        draft.sections[-1] = (heading, html + queue)
    draft.sections += sections
    return shown


def _queue_words(name: str, jobs: Floats, processors: Floats) -> str:
    return (
        f"{name}: at most {jobs.max(initial=0):,.0f} jobs wait, asking for at most"
        f" {processors.max(initial=0):,.0f} processors"
    )


def _common_edges(found: Sequence[Found], jobs: Jobs) -> Floats:
    """Return bins that hold every replay of a case, as far as the summaries tell."""
    own = report_figures.bins(jobs)
    ends = [each.summary.get("last_end") for each in found]
    last = max([own[-1], *(float(end) for end in ends if isinstance(end, int | float))])
    return np.linspace(own[0], last, len(own))


def _replay(draft: _Draft, name: str, found: Found, jobs: Jobs) -> str:
    """Return the plots and tables of one replay."""
    if not len(jobs):
        return page.paragraph("No job ran.")
    edges = report_figures.bins(jobs)
    counts, known = report_figures.processors(jobs, found.summary, jobs.sites)
    by_site = report_figures.busy(jobs, jobs.site, len(jobs.sites), edges)
    share = np.clip(by_site / counts[:, None], 0.0, 1.0)
    mean = ", ".join(
        f"{site} {value:.0%}" for site, value in zip(jobs.sites, share.mean(axis=1), strict=True)
    )
    html = page.paragraph(
        f"Seed {found.seed}; {len(jobs):,} jobs ran"
        + (f", {jobs.never_ran:,} never did." if jobs.never_ran else "."),
        note=True,
    )
    html += draft.drawing(
        "utilisation",
        f"Utilisation over time by site, {name} (% of its processors in use)",
        f"Means: {mean}.",
        partial(plots.utilisation, edges, share, jobs.sites),
        "" if known.all() else "Where a site's size is not told: % of the most it had in use.",
    )
    classes = report_figures.wait_classes(jobs)
    html += draft.drawing(
        "waits",
        f"Median wait by size and length of jobs, {name}",
        "Each cell says the median wait of its class and how many jobs are in it.",
        partial(plots.waits, classes),
    )
    html += _gantt(draft, name, jobs, edges)
    return html + _fairness(draft, name, jobs)


def _gantt(draft: _Draft, name: str, jobs: Jobs, edges: Floats) -> str:
    many = len(jobs) > plots.MOST_BARS
    number = len(jobs.partitions)
    fullest = report_figures.peak(jobs, jobs.partition, number)
    busy = report_figures.busy(jobs, jobs.partition, number, edges) if many else np.zeros((0, 0))
    share = np.clip(busy / fullest[:, None], 0.0, 1.0) if many else busy
    note = (
        f"{len(jobs):,} jobs are too many for a bar each: the colour says how full a partition was,"
        f" as a part of the most that it had in use, in {len(edges) - 1} steps."
        if many
        else "A bar is a job, from start to end; its height says nothing about its size."
    )
    return draft.drawing(
        "gantt",
        f"Where jobs ran and when, by partition, {name}",
        f"{number} partitions: {', '.join(jobs.partitions[:20])}.",
        partial(plots.gantt, jobs, edges, share),
        note,
    )


def _fairness(draft: _Draft, name: str, jobs: Jobs) -> str:
    html = ""
    for kind, owner, names in (
        ("site", jobs.site, jobs.sites),
        ("group", jobs.group, jobs.groups),
    ):
        if not names:
            html += page.paragraph("No groups are known of these jobs (no groups.csv).", note=True)
            continue
        found = report_figures.treatments(jobs, owner, names)
        largest = sorted(found, key=lambda each: -each.hours)[:_MOST_GROUPS]
        index = report_figures.jain([each.slowdown for each in found])
        cut = f"; the {_MOST_GROUPS} largest of {len(found):,}" if len(found) > len(largest) else ""
        html += draft.drawing(
            f"fairness-{kind}",
            f"Fairness by {kind}, {name} (waits; bounded slowdown, times)",
            "The figures stand in the table below.",
            partial(plots.fairness, largest),
            f"Jain's index of the mean bounded slowdowns: {index:.3f} (1 = all alike){cut}."
            if index is not None
            else "",
        )
        html += page.table(
            f"By {kind}{cut}",
            (kind.capitalize(), *report_tables.TREATMENT_COLUMNS),
            report_tables.treatment_rows(largest),
        )
    return html


def summary_line(report: Report) -> str:
    """Return one line for people about what was written."""
    longest = max(float(each.summary["makespan"] or 0) for each in report.found)
    return f"{report.page} ({_many(len(report.found), 'replay')}, {span(longest)} of trace)"
