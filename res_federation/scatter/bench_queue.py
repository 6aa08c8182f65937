"""Measures a round over a long queue after one site's change, and what a queued job weighs."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import msgspec

from res_federation.control.effects import Effect, RunRound
from res_federation.control.events import JobSubmitted, PlanReady, SiteConnected, SiteReported
from res_federation.control.machine import handle
from res_federation.control.state import FederationState, federation
from res_federation.model.capacity import CapacityReport, PartitionCapacity
from res_federation.model.forecast import Forecast
from res_federation.model.identifiers import SiteId, new_job_id, site_of
from res_federation.model.job import JobSpec
from res_federation.model.reason import Code
from res_federation.model.site import Site
from res_federation.placement.declared import all_free
from res_federation.placement.engine import place
from res_federation.placement.policies import named
from res_federation.placement.snapshot import Snapshot
from res_federation.slurm.dialect import Dialect

_NODES = 3
"""Nodes that come free at the site that changes: a few, as when a job there ends."""
_STATUS = Path("/proc/self/status")


def bench_queue(
    sites: Sequence[Site],
    specs: Sequence[JobSpec],
    *,
    dialects: Mapping[str, Dialect] | None = None,
    jobs: int = 1_000_000,
    repeats: int = 15,
) -> dict[str, object]:
    """Let *jobs* wait at full sites, then let nodes of one site after the other come free.

    A round is all that a change costs: the event, the plan and its commit.

    Returns:
        ``queue_jobs, queue_classes``, ``queue_first_round_s`` (after all were submitted at once),
        ``queue_round_ms`` (median of the rounds after a change),
        ``queue_full_round_ms`` (the median of such rounds that look at every class),
        ``queue_looked`` (median of the classes that a round looked at), ``queue_scored`` (shapes
        that were scored: once for all jobs of a class), ``queued_job_bytes`` (growth of the
        process, divided by the jobs) and ``sweep_caught``.

    """
    free = all_free(sites, dialects=dialects)
    state = federation(tuple(sites), policy=named("federated"), dialects=dialects)
    for site in state.sites:
        handle(state, SiteConnected(1.0, site))
        handle(state, _report(free, site, 1, 1.0, 0))
    with without_collection():
        before = _resident()
        _submit(state, specs, jobs)
        at = 2.0 + jobs * 1e-3
        begun = perf_counter()
        _round(state, handle(state, _report(free, next(iter(state.sites)), 2, at, 0)), at)
        first_s = perf_counter() - begun
        bytes_each = (_resident() - before) / jobs
        usable = sorted({site_of(row.partition) for row in free.rows if row.problem is Code.FITS})
        times: dict[bool, list[float]] = {False: [], True: []}
        looked = []
        for number in range(repeats * 2):
            at += 1.0
            sweep = number % 2 == 1
            state.swept = at - (state.terms.sweep_s if sweep else 0.0)
            name = SiteId(usable[number % len(usable)])
            event = _report(free, name, number + 3, at, _NODES + number)
            begun = perf_counter()
            seen = _round(state, handle(state, event), at)
            times[sweep].append((perf_counter() - begun) * 1e3)
            looked += [] if sweep else [seen]
    assert state.late is not None, "rounds were over classes"
    return {
        "queue_jobs": jobs,
        "queue_classes": len(state.late.waiting.specimens),
        "queue_first_round_s": round(first_s, 3),
        "queue_round_ms": round(statistics.median(times[False]), 2),
        "queue_full_round_ms": round(statistics.median(times[True]), 2),
        "queue_looked": int(statistics.median(looked)),
        "queue_scored": state.late.waiting.memo.scored_shapes,
        "queued_job_bytes": round(bytes_each, 1),
        "sweep_caught": state.sweep_caught,
    }


def _submit(state: FederationState, specs: Sequence[JobSpec], jobs: int) -> None:
    """Submit jobs as they come over the wire: nothing of one is the same object as of another.

    When each should start has been foretold, as when a broker begins again.
    """
    packed = [msgspec.msgpack.encode(one) for one in specs]
    decode = msgspec.msgpack.Decoder(JobSpec).decode
    state.planning = frozenset()  # no round before all are there
    for number in range(jobs):
        spec = replace(decode(packed[number % len(packed)]), name=f"job-{number}")
        name = new_job_id(number, number.to_bytes(10, "big"))
        handle(state, JobSubmitted(2.0 + number * 1e-3, name, spec))
        state.jobs[name].forecast = Forecast(2.0, None, 1.0 + number, 1.0, 60.0, 1.0, 1.0, 2.0, 1.0)
    state.planning = None


def _round(state: FederationState, effects: list[Effect], at: float) -> int:
    """Carry out the rounds that are asked for; return how many classes the last one looked at."""
    looked = 0
    while asked := [one for one in effects if isinstance(one, RunRound)]:
        plan = place(asked[0].snapshot, asked[0].jobs, state.policy, sweep=asked[0].sweep)
        effects, looked = handle(state, PlanReady(at, plan)), plan.looked
    return looked


def _report(free: Snapshot, site: SiteId, sequence: int, at: float, nodes: int) -> SiteReported:
    """Return a report of a site of which *nodes* nodes of every group are free."""
    parts = tuple(
        PartitionCapacity(
            row.partition, row.shape, row.nodes, row.available,
            free=tuple(replace(bar, nodes=min(bar.nodes, nodes)) for bar in row.free if nodes),
        )
        for row in free.rows
        if site_of(row.partition) == site and row.problem is Code.FITS
    )  # fmt: skip
    return SiteReported(at, CapacityReport(site, sequence, at, 1e9, parts), (), "bench", True)


@contextmanager
def without_collection() -> Iterator[None]:
    """Let nobody look for rings meanwhile, as `timeit` does: nothing here is made in rings."""
    on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _resident() -> int:
    """Return the bytes that this process keeps in memory."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
