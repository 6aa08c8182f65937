"""The smallest single change of a request that would flip its outcome.

Found by asking `place` itself about changed requests, so what it promises holds: whoever
resubmits with the change gets the other outcome, as long as capacity stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job, JobSpec
from res_federation.model.reason import Code
from res_federation.model.resources import ResourceRequest
from res_federation.model.sentences import duration, memory
from res_federation.placement.decide import consider
from res_federation.placement.packing import RowVerdict, pack, unpack
from res_federation.placement.policy import SMALL, LateStart, Policy
from res_federation.placement.snapshot import Snapshot

_TIMES = (0.75, 0.5, 0.25, 0.1, 0.01)
"""Fractions of an amount that are tried, the smallest change first."""


def counterfactual(snapshot: Snapshot, job: Job, policy: Policy) -> str:
    """Return one sentence: what would have to be different.

    For a job that can be placed: how much earlier the runner-up would have to start.  For one
    that cannot: the first change, of one property, after which some partition takes it, or, where
    none is up that could, after which the job may wait for one.
    """
    chosen, verdicts, frame = _decide(snapshot, job, policy)
    if chosen >= 0:
        scores = sorted(
            (verdict.score_s, frame[row])
            for row, verdict in enumerate(verdicts)
            if verdict.score_s is not None and frame[row] != frame[chosen]
        )
        if policy.late is not None:
            return _also(verdicts, frame, policy.late)
        if not scores:
            return "it is the only partition that can run the job"
        score_s, partition = scores[0]
        gap = max(0.0, (score_s or 0.0) - (verdicts[chosen].score_s or 0.0))
        if gap < 1:
            return f"{partition} is as good: the documented draw between equals decided"
        return f"{partition} would be chosen if it completed {duration(gap)} earlier"
    may_wait = any(verdict.reason.code.temporary for verdict in verdicts)
    second = ""
    for sentence, spec in _changes(job.spec):
        row, found, names = _decide(snapshot, replace(job, spec=spec, refused=()), policy)
        if row >= 0:
            return f"{sentence}, it could go to {names[row]}"
        if not may_wait and not second:
            waits = [n for n, one in zip(names, found, strict=True) if one.reason.code.temporary]
            second = f"{sentence}, it could wait for {waits[0]}" if waits else ""
    return second or "no single change of the request helps now"


def _also(verdicts: tuple[RowVerdict, ...], frame: tuple[PartitionId, ...], late: LateStart) -> str:
    """Say who else could start the job now, where each is sent only when it can start."""
    others = [
        name
        for name, verdict in zip(frame, verdicts, strict=True)
        if verdict.reason.code is Code.LEFT_FOR_OTHERS
    ]
    if not others:
        return "no other partition can start it now"
    word = "smallest" if late.prefer == SMALL else "emptiest"
    return f"{others[0]} could start it now too: the policy takes the {word} that can"


def _decide(
    snapshot: Snapshot, job: Job, policy: Policy
) -> tuple[int, tuple[RowVerdict, ...], tuple[PartitionId, ...]]:
    rows, decided = consider(snapshot, (job,), policy)
    chosen, verdicts = unpack(pack(rows.frame_id, decided)[0])
    return chosen, verdicts, rows.frame


def _changes(spec: JobSpec) -> Iterator[tuple[str, JobSpec]]:
    """Yield requests that ask for less, one property at a time, with the words for it."""
    request = spec.request
    if spec.clusters or spec.excluded:
        yield "without -M and excluded sites", replace(spec, clusters=(), excluded=(), partition="")
    yield from _less_time(spec)
    for words, changed in _less_hardware(request):
        yield words, replace(spec, request=changed)


def _less_time(spec: JobSpec) -> Iterator[tuple[str, JobSpec]]:
    for part in _TIMES:
        limit = max(60, int(spec.time_limit_s * part) // 60 * 60)
        if limit < spec.time_limit_s:
            yield f"with --time of {duration(limit)}", replace(spec, time_limit_s=limit)


def _less_hardware(request: ResourceRequest) -> Iterator[tuple[str, ResourceRequest]]:
    need = request.accelerator
    if need is not None and need.min_memory_mib:
        yield (
            "with less memory per accelerator",
            replace(request, accelerator=replace(need, min_memory_mib=0)),
        )
    if need is not None and need.family:
        yield "with any accelerator", replace(request, accelerator=AcceleratorNeed())
    for field, words in (
        ("accelerators_per_node", "accelerators per node"),
        ("accelerators_total", "accelerators"),
        ("accelerators_per_task", "accelerators per task"),
        ("nodes", "nodes"),
        ("tasks", "tasks"),
        ("tasks_per_node", "tasks per node"),
        ("cpus_per_task", "cores per task"),
    ):
        for count in _fewer(getattr(request, field)):
            yield f"with {count} {words}", _with(request, field, count)
    for field, words in (
        ("memory_per_node_mib", "per node"),
        ("memory_per_cpu_mib", "per core"),
        ("memory_per_accelerator_mib", "per accelerator"),
    ):
        for amount in _fewer(getattr(request, field)):
            yield f"with {memory(amount)} {words}", _with(request, field, amount)
        if getattr(request, field) is not None:
            yield "without a wish for memory", _with(request, field, None)
    if request.features or request.licenses:
        yield "without the features it insists on", replace(request, features=(), licenses=())
    if request.architecture != "x86_64":
        yield "with a payload for x86_64", replace(request, architecture="x86_64")


def _with(request: ResourceRequest, field: str, value: int | None) -> ResourceRequest:
    changed: dict[str, Any] = {field: value}
    return replace(request, **changed)


def _fewer(count: int | None) -> Iterator[int]:
    """Yield smaller counts, the nearest first: each power of two and each tried fraction."""
    if count is None or count < 2:
        return
    powers = {1 << bit for bit in range(count.bit_length()) if 1 << bit < count}
    parts = {max(1, int(count * part)) for part in _TIMES}
    yield from sorted((powers | parts | {count - 1}) - {0, count}, reverse=True)
