"""``simulations/placement/*.toml`` into a checked `Campaign`: the cases of a table of policies.

The keys of such a file (files are named from the file's own directory)::

    title = "..."                     for people
    policies = ["federated", ...]     names, or policy files; "one-machine" is the whole as one
    baseline = "slurm-federation"     what ratios are to; it is replayed with news at once
    versus = ["copies-wfp3"]          policies that each is compared with besides
    federations = ["../federations/unequal.toml"]
    loads = [0.5, 0.7, 0.9]
    local_shares = [0.0]              part of the load that users submit at the sites
    seeds = [1]
    scheduler = "easy"                of every site
    least_wait = 30                   cases whose baseline waits less on average are left out
    long_wait = 600                   cases that must not lose at all
    traces = "../../../shared/traces" where traces are that are not beside the file

    [[trace]]
    file = "KTH-SP2-1996-2.1-cln.swf.gz"
    jobs = 5000                       job lines of a window
    skips = [0, 5000]                 job lines before it, one window for each
    seeds = [1]                       in place of the campaign's

    [[condition]]                     without any there is one, "fresh": news at once
    name = "30 s"
    report_interval = 30              seconds
    ends_at_once = true               whether an end is told at once all the same
    silent = "half"                   a site that nobody hears
    begin = 86400                     seconds after the first submission
    end = 172800

    [[target]]                        what is asked for
    figure = "mean_wait"              see docs/placement.md
    at_most = 0.55
    policy = "federated"              left out: the first of the campaign
    condition = "fresh"               left out: the first
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from res_federation.config.policy import is_policy_file, load_policy
from res_federation.config.problems import Document, Problem, checked, first, read
from res_federation.config.scenario_faults import nearest
from res_federation.config.site_file import Strict, Text, Word
from res_federation.placement.policy import Policy

FRESH = "fresh"
"""Name of the condition of a campaign that has none: news at once, nothing happens."""
FIGURES = (
    "mean_wait", "mean_bounded_slowdown", "p95_wait", "widest_mean_wait", "max_wait",
    "federated_mean_wait", "local_mean_wait",
)  # fmt: skip
"""Figures of a summary of which a table has ratios."""
TARGETS = (*FIGURES, "longer_share", "long_losses", "worst", "to_first_condition", "never_ran")
"""And what else a target can be of; ``to:POLICY`` is the mean wait over that policy's."""
TO = "to:"

_Share = Annotated[float, Field(ge=0, le=1)]
_Load = Annotated[float, Field(gt=0, le=10)]
_Seed = Annotated[int, Field(ge=0, lt=2**63)]
_Seconds = Annotated[int, Field(ge=0, le=365 * 86400)]


@dataclass(frozen=True, slots=True)
class Window:
    """Some job lines of a trace.

    Attributes:
        file: The trace; None where it is not there.
        name: As the campaign names it.
        jobs: Job lines; None for all that are left.
        skip: Job lines before them.
        seeds: Replays of it.

    """

    file: Path | None
    name: str
    jobs: int | None
    skip: int
    seeds: tuple[int, ...]

    @property
    def label(self) -> str:
        """Name of the window: the trace's up to its first point or dash, and where it begins."""
        short = self.name.partition(".")[0].partition("-")[0].lower()
        return f"{short}-{self.skip}" if self.jobs is None else f"{short}-{self.skip}+{self.jobs}"


@dataclass(frozen=True, slots=True)
class Condition:
    """How old news is, and what happens to a site.

    Attributes:
        name: For people.
        report_interval_s: 0 for a report at every change.
        ends_at_once: Whether an end is told at once all the same.
        silent: A site that the broker does not hear, or "".
        begin_s: From when on, in seconds after the first submission.
        end_s: Until when.

    """

    name: str = FRESH
    report_interval_s: int = 0
    ends_at_once: bool = True
    silent: str = ""
    begin_s: int = 0
    end_s: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for of one line of the table."""

    policy: str
    condition: str
    figure: str
    at_most: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """The cases of a table, and the policies that are replayed on each.

    Attributes:
        name: Of the file without its ending.
        file: The campaign's own file.
        title: For people.
        policies: Names, the baseline among them.
        weights: Weights of those policies that are files.
        files: Those files, by the policy's name.
        baseline: What ratios are to.
        versus: Policies that each is compared with besides.
        windows: Of traces.
        federations: Files or directories.
        loads: Of the whole federation.
        local_shares: Parts of the load that users submit at the sites.
        scheduler: Of every site.
        conditions: At least one; the first is what others are compared with.
        targets: What is asked for.
        least_wait_s: Cases whose baseline waits less on average are left out.
        long_wait_s: A case whose baseline waits longer must not lose.

    """

    name: str
    file: Path
    title: str
    policies: tuple[str, ...]
    weights: dict[str, Policy]
    files: dict[str, Path]
    baseline: str
    versus: tuple[str, ...]
    windows: tuple[Window, ...]
    federations: tuple[Path, ...]
    loads: tuple[float, ...]
    local_shares: tuple[float, ...]
    scheduler: str
    conditions: tuple[Condition, ...]
    targets: tuple[Target, ...]
    least_wait_s: float
    long_wait_s: float


class _Trace(Strict):
    file: Text
    jobs: Annotated[int, Field(ge=2)] | None = None
    skips: list[Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: [0], min_length=1)
    seeds: list[_Seed] | None = Field(None, min_length=1)


class _Condition(Strict):
    name: Text
    report_interval: _Seconds = 0
    ends_at_once: bool = True
    silent: Word | None = None
    begin: _Seconds | None = None
    end: _Seconds | None = None


class _Target(Strict):
    figure: Text
    at_most: Annotated[float, Field(ge=0)]
    policy: Text | None = None
    condition: Text | None = None


class _Campaign(Strict):
    title: Text
    policies: list[Text] = Field(min_length=1)
    baseline: Text = "slurm-federation"
    versus: list[Text] = Field(default_factory=list)
    federations: list[Text] = Field(min_length=1)
    loads: list[_Load] = Field(min_length=1)
    local_shares: list[_Share] = Field(default_factory=lambda: [0.0], min_length=1)
    seeds: list[_Seed] = Field(default_factory=lambda: [1], min_length=1)
    scheduler: Literal["fcfs", "easy", "conservative"] = "easy"
    least_wait: Annotated[float, Field(ge=0)] = 30.0
    long_wait: Annotated[float, Field(ge=0)] = 600.0
    traces: Text | None = None
    trace: list[_Trace] = Field(min_length=1)
    condition: list[_Condition] = Field(default_factory=list)
    target: list[_Target] = Field(default_factory=list)


def load_campaign(path: Path, known: Collection[str], traces: Path | None = None) -> Campaign:
    """Return the campaign of *path*.

    Args:
        path: A TOML file.
        known: Names of the policies that there are.
        traces: Where its traces are, in place of what the file says.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault, of this file
            or of a policy file that it names.

    """
    document = read(path)
    if isinstance(document, Problem):
        raise first([document])
    table = checked(document, _Campaign)
    if isinstance(table, list):
        raise first(table)
    names, weights, files = _policies(document, table, known)
    problems = [document.problem(place, text) for place, text in _faults(table, names, path.parent)]
    if problems:
        raise first(problems)
    beside = traces if traces is not None else path.parent / (table.traces or ".")
    return Campaign(
        name=path.stem, file=path, title=table.title, policies=tuple(names), weights=weights,
        files=files, baseline=table.baseline, versus=tuple(table.versus),
        windows=tuple(_windows(table, path.parent, beside)),
        federations=tuple(_at(path.parent, each) for each in table.federations),
        loads=tuple(table.loads), local_shares=tuple(table.local_shares),
        scheduler=table.scheduler, conditions=_conditions(table),
        targets=tuple(_target(each, table, names) for each in table.target),
        least_wait_s=table.least_wait, long_wait_s=table.long_wait,
    )  # fmt: skip


def _at(base: Path, name: str) -> Path:
    """Return a file named from *base*, without the steps up and down that people would read."""
    return Path(os.path.normpath(base / name))


def _policies(
    document: Document, table: _Campaign, known: Collection[str]
) -> tuple[list[str], dict[str, Policy], dict[str, Path]]:
    """Return names, weights and files of the campaign's policies, in its order."""
    names: list[str] = []
    weights: dict[str, Policy] = {}
    files: dict[str, Path] = {}
    for index, text in enumerate(table.policies):
        name = text
        if is_policy_file(text):
            file = _at(document.file.parent, text)
            policy = load_policy(file)
            name = policy.name
            if name in known:
                wrong = f"'{text}' has the name '{name}' of another policy; give it one of its own"
                raise first([document.problem(("policies", index), wrong)])
            weights[name], files[name] = policy, file
        elif text not in known:
            wrong = nearest("policy", text, known)
            raise first([document.problem(("policies", index), wrong)])
        if name in names:
            wrong = f"'{name}' stands here twice; take one out"
            raise first([document.problem(("policies", index), wrong)])
        names.append(name)
    return names, weights, files


_Fault = tuple[tuple[str | int, ...], str]


def _faults(table: _Campaign, names: Sequence[str], base: Path) -> Iterator[_Fault]:
    if table.baseline not in names:
        yield ("baseline",), f"'{table.baseline}' is not among the policies; add it there"
    for index, name in enumerate(table.versus):
        if name not in names:
            yield ("versus", index), nearest("policy", name, names)
    for index, text in enumerate(table.federations):
        if not (base / text).exists():
            yield ("federations", index), f"there is no file '{base / text}'"
    conditions = [each.name for each in table.condition] or [FRESH]
    for index, each in enumerate(table.condition):
        for place, text in _condition_faults(each, conditions[:index]):
            yield ("condition", index, *place), text
    for index, target in enumerate(table.target):
        at = ("target", index)
        if target.policy is not None and target.policy not in names:
            yield (*at, "policy"), nearest("policy", target.policy, names)
        if target.condition is not None and target.condition not in conditions:
            yield (*at, "condition"), nearest("condition", target.condition, conditions)
        figures = (*TARGETS, *(f"{TO}{name}" for name in table.versus))
        if target.figure not in figures:
            yield (*at, "figure"), nearest("figure", target.figure, figures)


def _condition_faults(each: _Condition, before: Sequence[str]) -> Iterator[_Fault]:
    if each.name in before:
        yield ("name",), f"'{each.name}' stands here twice; rename one"
    timed = each.begin is not None and each.end is not None and each.begin < each.end
    if each.silent is not None and not timed:
        yield ("silent",), "needs a begin, and an end after it, in seconds"
    if each.silent is None and (each.begin is not None or each.end is not None):
        yield (), "begin and end are of a silent site; name it: silent = ..."


def _windows(table: _Campaign, base: Path, beside: Path) -> Iterator[Window]:
    for trace in table.trace:
        places = (_at(base, trace.file), _at(beside, trace.file))
        found = next((place for place in places if place.is_file()), None)
        for skip in trace.skips:
            yield Window(found, trace.file, trace.jobs, skip, tuple(trace.seeds or table.seeds))


def _conditions(table: _Campaign) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            each.name, each.report_interval, each.ends_at_once,
            each.silent or "", each.begin or 0, each.end or 0,
        )
        for each in table.condition
    ) or (Condition(),)  # fmt: skip


def _target(target: _Target, table: _Campaign, names: Sequence[str]) -> Target:
    conditions = [each.name for each in table.condition] or [FRESH]
    return Target(
        policy=target.policy or names[0],
        condition=target.condition or conditions[0],
        figure=target.figure,
        at_most=target.at_most,
    )
