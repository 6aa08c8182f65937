"""`resfed compare`: one trace, several policies and seeds, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from res_federation.errors import InvalidArgument
from res_federation.placement.policy import Policy
from res_federation.simulator.compare_cells import (
    CellInputs,
    Settings,
    fingerprint,
    finished,
    replay_cell,
    write_cell,
)
from res_federation.simulator.disturbances import Disturbance
from res_federation.simulator.federation import COPIES, ONE_MACHINE
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.recorder import ready
from res_federation.simulator.report_files import Found, plan
from res_federation.simulator.report_tables import ratios
from res_federation.simulator.site_models import FederationModel
from res_federation.simulator.statistics_of_seeds import Ratio, baseline_of
from res_federation.simulator.traces.read import read_trace
from res_federation.simulator.workload import Workload

Tell = Callable[[str], None]
BARE = (*COPIES, ONE_MACHINE)
"""Policies without a broker: no news of theirs is old, and no silence is heard."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    Attributes:
        found: The replays, policy by policy, seed by seed.
        baseline: The policy that the others are compared with.
        ratios: Policy -> figure -> ratio; without the baseline.
        resumed: Replays that were there already.

    """

    found: tuple[Found, ...]
    baseline: str
    ratios: dict[str, dict[str, Ratio]]
    resumed: int


def compare(  # noqa: PLR0913 - the inputs of every replay, and where the results go
    workload: Workload,
    model: FederationModel,
    out: Path,
    *,
    policies: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    labels: Mapping[str, Any],
    tell: Tell,
    weights: Mapping[str, Policy] | None = None,
    events: tuple[Disturbance, ...] = (),
) -> Comparison:
    """Replay *workload* under each policy with each seed and write every replay's files.

    Args:
        workload: The jobs.
        model: The federation.
        out: Directory; a replay's files go to ``<policy>/seed-<n>``.
        policies: Names, at least one.
        seeds: At least one.
        settings: All but policy and seed.
        labels: More keys of the summaries.
        tell: Takes a line for people after each replay.
        weights: The weights of those policies that are not known by name.
        events: What happens to sites; copies and one machine, which have no broker, see none.

    Raises:
        InvalidArgument: If a name is not known or a figure cannot be.

    """
    found, resumed = [], 0
    ready(out)
    plan(out, [_name(policy, seed) for policy, seed in _pairs(policies, seeds)])
    total = len(policies) * len(seeds)
    for number, (policy, seed) in enumerate(_pairs(policies, seeds), start=1):
        own = (weights or {}).get(policy)
        own = own and replace(own, seed=seed)
        said = replace(settings, policy=policy, seed=seed, weights=own)
        seen = events
        if policy in BARE:
            said, seen = replace(said, rules=Rules()), ()
        one = CellInputs(workload, model, said, seen)
        name = _name(policy, seed)
        inputs = fingerprint(one)
        summary = finished(out / name, inputs)
        was_there = summary is not None
        if summary is None:
            summary = write_cell(out / name, replay_cell(one), one, inputs, labels)
        resumed += was_there
        found.append(Found(out / name, name, summary))
        tell(f"{number}/{total} {name}: {cell_words(summary, was_there=was_there)}")
    baseline = baseline_of(policies)
    compared = ratios(found, baseline)
    del compared[baseline]
    return Comparison(tuple(found), baseline, compared, resumed)


def _name(policy: str, seed: int) -> str:
    return f"{policy}/seed-{seed}"


def _pairs(policies: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    for policy in policies:
        for seed in seeds:
            yield policy, seed


def cell_words(summary: Mapping[str, Any], *, was_there: bool) -> str:
    """Return what one replay came to, in few words."""
    if was_there:
        return "was there already"
    return f"{int(summary['jobs']):,} jobs in {float(summary['wall_seconds']):.1f} s"


def window(trace: str, first: int | None, skip: int) -> Workload:
    """Return so many job lines of a trace (None for all) after the first *skip*.

    Raises:
        InvalidArgument: If the trace cannot be read, or no job is left.

    """
    whole = read_trace(trace, first=None if first is None else first + skip)
    return without_first(whole, read_trace(trace, first=skip)) if skip else whole


def without_first(workload: Workload, head: Workload) -> Workload:
    """Return *workload* without the jobs of *head*: the same trace, read only so far.

    Raises:
        InvalidArgument: If no job is left.

    """
    kept = ~np.isin(workload.line, head.line)
    if not kept.any():
        raise InvalidArgument(
            f"all {len(workload):,} jobs of '{workload.name}' are skipped", field="--skip"
        )
    dropped = {rule: count - head.dropped.get(rule, 0) for rule, count in workload.dropped.items()}
    return replace(
        workload,
        job_ids=workload.job_ids[kept],
        submit=workload.submit[kept],
        runtime=workload.runtime[kept],
        estimate=workload.estimate[kept],
        procs=workload.procs[kept],
        user=workload.user[kept],
        group=workload.group[kept],
        queue=workload.queue[kept],
        line=workload.line[kept],
        shape=workload.shape[kept] if len(workload.shape) else workload.shape,
        read=workload.read - head.read,
        dropped={rule: count for rule, count in dropped.items() if count},
    )
