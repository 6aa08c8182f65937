"""The arithmetic of a table of policies: geometric means of ratios over the cases of a campaign.

A ratio is a policy's figure over the baseline's of the same case; waits below one second count as
one second in both.  A case counts where the baseline's mean wait is not too short to be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from res_federation.config.campaigns import FIGURES, TO, Campaign, Condition, Target
from res_federation.simulator.campaign import Case, Cell, Ran, command, conditions_of
from res_federation.simulator.report_files import Found, Jobs, read_jobs

_LEAST = 1.0
_Pair = tuple[Cell, Mapping[str, Any], Mapping[str, Any]]
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Line:
    """What a policy came to under a condition, over the cases that count.

    Attributes:
        policy: Name.
        condition: Name.
        cases: How many count.
        ratios: Figure -> geometric mean of its ratios; None where no case has it.
        longer: Cases with a longer mean wait than the baseline's.
        longer_share: Part of the cases; None without any.
        worst: The case with the largest ratio of mean waits, or "".
        worst_ratio: That ratio.
        long_losses: Longer cases whose baseline waits so long that none of them should be.
        versus: Policy -> geometric mean of the ratios of mean waits to that policy's.
        to_first_condition: The same, to the same policy under the campaign's first condition.
        never_ran: Jobs of all cases that the baseline ran and this did not.
        during: Mean wait of the jobs that came while a site was silent, as a ratio; None where
            none was.
        busiest: Of their processor-seconds, the part that one site got over its part of the
            processors of the sites that were heard; the largest of all sites and cases.

    """

    policy: str
    condition: str
    cases: int
    ratios: Mapping[str, float | None]
    longer: int
    longer_share: float | None
    worst: str
    worst_ratio: float | None
    long_losses: tuple[str, ...]
    versus: Mapping[str, float | None]
    to_first_condition: float | None
    never_ran: int
    during: float | None = None
    busiest: float | None = None

    def value(self, figure: str) -> float | None:
        """Return what a target is held against."""
        if figure in FIGURES:
            return self.ratios[figure]
        if figure.startswith(TO):
            return self.versus.get(figure.removeprefix(TO))
        match figure:
            case "worst":
                return self.worst_ratio
            case "long_losses":
                return float(len(self.long_losses))
            case "longer_share" | "to_first_condition" | "never_ran":
                found = getattr(self, figure)
                return None if found is None else float(found)
        raise AssertionError(figure)


@dataclass(frozen=True, slots=True)
class Judged:
    """A target and what was found; *met* is None where nothing was."""

    target: Target
    found: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """All of a campaign.

    Attributes:
        campaign: What was asked for.
        lines: Policies, each under its conditions; without the baseline.
        judged: Targets.
        counted: Cases that count.
        left_out: Cases whose baseline waits too short a time.
        unfinished: Cases without a baseline.
        ran: The replays.
        figures: Case -> cell -> figures, for programs.

    """

    campaign: Campaign
    lines: tuple[Line, ...]
    judged: tuple[Judged, ...]
    counted: tuple[str, ...]
    left_out: tuple[str, ...]
    unfinished: tuple[str, ...]
    ran: Ran
    figures: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def ratio(over: Mapping[str, Any], under: Mapping[str, Any], figure: str) -> float | None:
    """Return one figure of a summary over another's; None where either has none."""
    pair = over.get(figure), under.get(figure)
    if any(value is None for value in pair):
        return None
    one, other = (max(_LEAST, float(value)) for value in pair if value is not None)
    return one / other


def mean_ratio(ratios: Iterable[float | None]) -> float | None:
    """Return the geometric mean of those that are; None where none is."""
    logs = [math.log(each) for each in ratios if each is not None]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def tabulate(campaign: Campaign, cases: Sequence[Case], ran: Ran) -> Table:
    """Return the table of what was replayed; cells that failed or were not asked for are left out.

    Raises:
        InvalidArgument: If the files of a replay with a silent site cannot be read.

    """
    under = {case: _baseline(campaign, case, ran) for case in cases}
    counts = [
        case
        for case, summary in under.items()
        if summary is not None and _wait(summary) >= campaign.least_wait_s
    ]
    known = {cell.policy for cell in ran.summaries}
    lines = tuple(
        _line(campaign, policy, condition, counts, ran)
        for policy in campaign.policies
        if policy != campaign.baseline and policy in known
        for condition in conditions_of(campaign, policy)
    )
    return Table(
        campaign=campaign,
        lines=lines,
        judged=tuple(_judge(target, lines) for target in campaign.targets),
        counted=tuple(case.name for case in counts),
        left_out=tuple(case.name for case in cases if under[case] and case not in counts),
        unfinished=tuple(case.name for case in cases if under[case] is None),
        ran=ran,
        figures={case.name: _figures(campaign, case, ran) for case in cases},
    )


def _baseline(campaign: Campaign, case: Case, ran: Ran) -> Mapping[str, Any] | None:
    condition = conditions_of(campaign, campaign.baseline)[0]
    return ran.summaries.get(Cell(case, condition, campaign.baseline))


def _wait(summary: Mapping[str, Any]) -> float:
    wait = summary.get("mean_wait")
    return -1.0 if wait is None else float(wait)


def _line(
    campaign: Campaign, policy: str, condition: Condition, cases: Sequence[Case], ran: Ran
) -> Line:
    pairs: list[_Pair] = []
    for case in cases:
        cell, under = Cell(case, condition, policy), _baseline(campaign, case, ran)
        if under is not None and cell in ran.summaries:
            pairs.append((cell, ran.summaries[cell], under))
    waits = [(ratio(mine, under, "mean_wait"), cell, under) for cell, mine, under in pairs]
    found = [(each, cell.case.name, under) for each, cell, under in waits if each is not None]
    longer = [(name, under) for each, name, under in found if each > 1 + _SAME]
    worst = max(found, key=lambda one: one[0], default=None)
    silent = [_during(campaign, cell, ran) for cell, _, _ in pairs] if condition.silent else []
    return Line(
        policy=policy,
        condition=condition.name,
        cases=len(pairs),
        ratios={key: mean_ratio(ratio(a, b, key) for _, a, b in pairs) for key in FIGURES},
        longer=len(longer),
        longer_share=len(longer) / len(found) if found else None,
        worst=worst[1] if worst else "",
        worst_ratio=worst[0] if worst else None,
        long_losses=tuple(name for name, under in longer if _wait(under) > campaign.long_wait_s),
        versus={
            name: _against(campaign, pairs, name, ran) for name in campaign.versus if name != policy
        },
        to_first_condition=_against(campaign, pairs, policy, ran),
        never_ran=sum(max(0, int(under["jobs"]) - int(mine["jobs"])) for _, mine, under in pairs),
        during=mean_ratio(each for each, _ in silent),
        busiest=max((most for _, most in silent if most is not None), default=None),
    )


def _against(campaign: Campaign, pairs: Sequence[_Pair], policy: str, ran: Ran) -> float | None:
    """Return the mean ratio of mean waits to *policy* under its first condition."""
    condition = conditions_of(campaign, policy)[0]
    others = [ran.summaries.get(Cell(cell.case, condition, policy)) for cell, _, _ in pairs]
    return mean_ratio(
        ratio(mine, other, "mean_wait")
        for (_, mine, _), other in zip(pairs, others, strict=True)
        if other is not None
    )


def _during(campaign: Campaign, cell: Cell, ran: Ran) -> tuple[float | None, float | None]:
    """Return what became of the jobs that came while a site was silent.

    The ratio of their mean wait to the baseline's, and how much the busiest site had of their work
    for its size; None where no job came.
    """
    base = Cell(cell.case, conditions_of(campaign, campaign.baseline)[0], campaign.baseline)
    mine, under = _came(cell, cell.condition, ran), _came(base, cell.condition, ran)
    if not len(mine) or not len(under):
        return None, None
    wait, least = _mean_wait(mine), _mean_wait(under)
    return max(_LEAST, wait) / max(_LEAST, least), _busiest(mine, ran.summaries[cell], cell)


def _came(cell: Cell, condition: Condition, ran: Ran) -> Jobs:
    """Return the jobs of a replay that came while the site of *condition* was silent."""
    summary = ran.summaries[cell]
    jobs = read_jobs(Found(ran.places[cell], cell.place, summary))
    first = int(summary["first_submit"] or 0)
    came = (jobs.submit >= first + condition.begin_s) & (jobs.submit < first + condition.end_s)
    arrays = ("site", "partition", "submit", "start", "end", "procs", "group")
    return replace(jobs, **{name: getattr(jobs, name)[came] for name in arrays})


def _mean_wait(jobs: Jobs) -> float:
    return float((jobs.start - jobs.submit).mean())


def _busiest(jobs: Jobs, summary: Mapping[str, Any], cell: Cell) -> float | None:
    """Return the largest part of the work that one site had, over its part of the processors."""
    work = (jobs.procs * (jobs.end - jobs.start)).astype(np.float64)
    heard = {
        name: int(each["processors"])
        for name, each in summary["sites"].items()
        if name != cell.condition.silent and each["processors"]
    }
    parts = [
        float(work[jobs.site == jobs.sites.index(name)].sum())
        / float(work.sum())
        * sum(heard.values())
        / size
        for name, size in heard.items()
        if name in jobs.sites
    ]
    return max(parts, default=None)


def _judge(target: Target, lines: Sequence[Line]) -> Judged:
    mine = [
        line
        for line in lines
        if line.policy == target.policy and line.condition == target.condition
    ]
    found = mine[0].value(target.figure) if mine else None
    # What is printed is what is judged: three digits behind the point.
    met = None if found is None else round(found, 3) <= target.at_most
    return Judged(target, found, met)


def _figures(campaign: Campaign, case: Case, ran: Ran) -> list[dict[str, Any]]:
    """Return the figures of every replay of a case, and the command that makes them."""
    return [
        {
            "policy": cell.policy,
            "condition": cell.condition.name,
            **{key: summary.get(key) for key in ("jobs", *FIGURES, "utilisation")},
            "start_sha256": summary.get("start_sha256"),
            "command": command(campaign, cell),
        }
        for cell, summary in ran.summaries.items()
        if cell.case == case
    ]
