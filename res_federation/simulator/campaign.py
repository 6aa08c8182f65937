"""`resfed table`: the replays of a campaign, here or as Ray tasks; what is done is kept.

Cells stand below ``DIR/cells`` by what they are, not by campaign: campaigns that share a directory
share the replays that they have in common, such as those of the baseline.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from res_federation.config.campaigns import Campaign, Condition, Window
from res_federation.errors import InvalidArgument
from res_federation.simulator.compare import BARE, cell_words, window
from res_federation.simulator.compare_cells import (
    CellInputs,
    Settings,
    fingerprint,
    finished,
    write_cell,
)
from res_federation.simulator.disturbances import Disturbance, Kind
from res_federation.simulator.federation import ONE_MACHINE
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.node_list import federation_at
from res_federation.simulator.recorder import ready
from res_federation.simulator.site_models import FederationModel
from res_federation.simulator.sweep import replay_all
from res_federation.simulator.workload import Workload

Tell = Callable[[int, int, str], None]
CELLS = "cells"


@dataclass(frozen=True, slots=True)
class Case:
    """What is the same for all policies that are compared with one another."""

    window: Window
    federation: Path
    load: float
    local_share: float
    seed: int

    @property
    def name(self) -> str:
        """Trace and window, federation, load; share and seed where they are not the usual ones."""
        parts = [self.window.label, self.federation.stem, f"load-{self.load:g}"]
        if self.local_share:
            parts.append(f"local-{self.local_share:g}")
        return "/".join([*parts, f"seed-{self.seed}"])


@dataclass(frozen=True, slots=True)
class Cell:
    """One replay."""

    case: Case
    condition: Condition
    policy: str

    @property
    def place(self) -> str:
        """Where its results stand, below the directory of the cells."""
        return "+".join([f"{self.case.name}/{self.policy}", *_words(self.condition)])


def _words(condition: Condition) -> Iterator[str]:
    """Yield what a condition says, whatever it is called; nothing for news at once."""
    if condition.report_interval_s:
        yield f"reports-{condition.report_interval_s}s"
    if not condition.ends_at_once:
        yield "late-ends"
    if condition.silent:
        yield f"silent-{condition.silent}-{condition.begin_s}-{condition.end_s}"


@dataclass(slots=True)
class Ran:
    """What was found.

    Attributes:
        summaries: Summary of each cell that is done.
        places: Directory of each of them.
        failed: Cells that could not be replayed, and why.
        resumed: Cells that were there already.
        missing: Traces that are not there.
        left: Cells that are not done and were not to be replayed.

    """

    summaries: dict[Cell, dict[str, Any]] = field(default_factory=dict)
    places: dict[Cell, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    missing: tuple[str, ...] = ()
    left: int = 0

    @property
    def over(self) -> int:
        """How many cells have ended, well or not."""
        return len(self.summaries) + len(self.failed)


def cases(campaign: Campaign, only: str = "") -> list[Case]:
    """Return the cases whose traces are there and whose names have *only* in them."""
    found = (
        Case(window, federation, load, share, seed)
        for window in campaign.windows
        if window.file is not None
        for federation in campaign.federations
        for load in campaign.loads
        for share in campaign.local_shares
        for seed in window.seeds
    )
    return [case for case in found if only in case.name]


def cells(campaign: Campaign, only: str = "", policies: Iterable[str] = ()) -> list[Cell]:
    """Return the replays of a campaign, the baseline's of a case first.

    A policy without a broker has no news that could be old: it is replayed once.
    """
    wanted = set(policies)
    found = []
    for case in cases(campaign, only):
        for policy in sorted(campaign.policies, key=lambda name: name != campaign.baseline):
            if wanted and policy not in wanted and policy != campaign.baseline:
                continue
            if case.local_share and policy == ONE_MACHINE:
                continue
            found += [Cell(case, said, policy) for said in conditions_of(campaign, policy)]
    return found


def conditions_of(campaign: Campaign, policy: str) -> tuple[Condition, ...]:
    """Return the conditions under which a policy is replayed."""
    return (Condition(),) if policy in BARE else campaign.conditions


def run(
    campaign: Campaign,
    out: Path,
    *,
    only: str = "",
    policies: Iterable[str] = (),
    workers: int | None,
    address: str | None,
    tell: Tell,
    replay: bool = True,
) -> Ran:
    """Replay every cell that is not done yet and write its files below *out*.

    Args:
        campaign: What is to be replayed.
        out: Directory of the results.
        only: Cases whose names have this in them.
        policies: Of the campaign, besides its baseline; none for all.
        workers: Cells at a time; 1 without *address* replays in this process, without Ray.
        address: Of a Ray cluster, or None for this machine.
        tell: Told after each cell.
        replay: Whether cells that are not done are replayed, or left out.

    Raises:
        InvalidArgument: If no trace is there, no case is left, or a silent site is none.
        Unavailable: If no Ray could be had.

    """
    grid = cells(campaign, only, policies)
    if not grid:
        raise _nothing(campaign, only)
    ready(out)
    make = _Maker(campaign)
    make.check(case.federation for case in cases(campaign, only))
    ran = Ran(missing=missing(campaign))
    todo: list[tuple[Cell, str]] = []

    def add(cell: Cell, summary: dict[str, Any], *, was_there: bool) -> None:
        ran.summaries[cell], ran.places[cell] = summary, out / CELLS / cell.place
        words = cell_words(summary, was_there=was_there)
        tell(ran.over, len(grid), f"{cell.place}: {words}")

    for cell in grid:
        inputs = fingerprint(make(cell))
        summary = finished(out / CELLS / cell.place, inputs)
        if summary is None:
            todo.append((cell, inputs))
            continue
        ran.resumed += 1
        add(cell, summary, was_there=True)
    ran.left = 0 if replay else len(todo)
    for done in replay_all(make, [cell for cell, _ in todo] if replay else [], workers, address):
        cell, inputs = todo[done.number]
        if done.result is None:
            ran.failed[cell.place] = done.error
            tell(ran.over, len(grid), f"{cell.place}: {done.error}")
            continue
        at, one = out / CELLS / cell.place, make(cell)
        add(cell, write_cell(at, done.result, one, inputs, _labels(cell)), was_there=False)
    return ran


def _labels(cell: Cell) -> dict[str, str]:
    return {"case": cell.case.name, "condition": "+".join(_words(cell.condition))}


def missing(campaign: Campaign) -> tuple[str, ...]:
    """Return the traces that are not there."""
    return tuple(dict.fromkeys(each.name for each in campaign.windows if each.file is None))


def _nothing(campaign: Campaign, only: str) -> InvalidArgument:
    gone = missing(campaign)
    if gone and not only:
        return InvalidArgument(
            f"none of its traces is there: {', '.join(gone)}",
            field=str(campaign.file),
            way_out="name their directory: --traces DIR",
        )
    known = ", ".join(dict.fromkeys(case.window.label for case in cases(campaign)))
    return InvalidArgument(
        f"no case of '{campaign.file}' has '{only}' in its name",
        field="--only",
        way_out=f"such as {known or 'a trace that is there'}",
    )


class _Maker:
    """Makes the inputs of cells; those of the last few windows and federations are kept."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._workload = lru_cache(2)(_read)
        self._model = lru_cache(4)(self._made)

    def _made(self, federation: Path, window: Window) -> FederationModel:
        return federation_at(federation, self._workload(window))

    def check(self, federations: Iterable[Path]) -> None:
        """See that every silent site is one; raises InvalidArgument."""
        window = next(each for each in self._campaign.windows if each.file is not None)
        for federation in dict.fromkeys(federations):
            names = [str(site.id) for site in self._model(federation, window).sites]
            for condition in self._campaign.conditions:
                if condition.silent and condition.silent not in names:
                    raise InvalidArgument(
                        f"condition '{condition.name}': '{federation.name}' has no site "
                        f"'{condition.silent}'",
                        field=str(self._campaign.file),
                        way_out=f"one of: {', '.join(names)}",
                    )

    def __call__(self, cell: Cell) -> CellInputs:
        case, said = cell.case, cell.condition
        workload = self._workload(case.window)
        own = self._campaign.weights.get(cell.policy)
        return CellInputs(
            workload=workload,
            model=self._model(case.federation, case.window),
            settings=Settings(
                policy=cell.policy,
                seed=case.seed,
                scheduler=self._campaign.scheduler,
                load=case.load,
                local_share=case.local_share,
                rules=rules_of(said),
                weights=own and replace(own, seed=case.seed),
            ),
            events=tuple(silences(said, workload)),
        )


def _read(asked: Window) -> Workload:
    assert asked.file is not None
    return window(str(asked.file), asked.jobs, asked.skip)


def rules_of(condition: Condition) -> Rules:
    """Return how old news is under *condition*."""
    return Rules(report_interval_s=condition.report_interval_s, ends_at_once=condition.ends_at_once)


def silences(condition: Condition, workload: Workload) -> Iterator[Disturbance]:
    """Return what happens under *condition*, counted from the first submission."""
    if condition.silent and len(workload):
        first = int(workload.submit[0])
        begin, end = first + condition.begin_s, first + condition.end_s
        yield Disturbance(Kind.SILENCE, condition.silent, begin, end)


def command(campaign: Campaign, cell: Cell, out: str = "results") -> str:
    """Return the `resfed compare` that replays a cell and the baseline of its case."""
    case, said = cell.case, cell.condition
    policy = campaign.files.get(cell.policy, cell.policy)
    words = [
        "resfed", "compare", f"{case.window.file}", "--sites", f"{case.federation}",
        "--policies", f"{policy},{campaign.baseline}", "--load", f"{case.load:g}",
    ]  # fmt: skip
    if case.local_share:
        words += ["--local-share", f"{case.local_share:g}"]
    if case.window.jobs is not None:
        words += ["--first", f"{case.window.jobs}"]
    if case.window.skip:
        words += ["--skip", f"{case.window.skip}"]
    words += ["--seeds", f"{case.seed}"]
    if campaign.scheduler != "easy":
        words += ["--scheduler", campaign.scheduler]
    if said.report_interval_s:
        words += ["--report-interval", f"{said.report_interval_s}"]
    if not said.ends_at_once:
        words.append("--late-ends")
    if said.silent:
        words += ["--silent", f"{said.silent}:{said.begin_s}:{said.end_s}"]
    return shlex.join([*words, "--out", out])
