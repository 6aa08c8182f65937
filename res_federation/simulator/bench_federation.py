"""How fast the production machine replays: a busy morning through `handle` and `place`."""

from __future__ import annotations

from collections.abc import Callable

from res_federation.simulator.federation import replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.generated import Mix, generate
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.site_models import FederationModel, pool
from res_federation.simulator.workload import Workload

SPAN_S = 6 * 3600
LOAD = 0.8
BUSY = Mix("busy", smallest=1, largest=64, median_s=900.0, longest_s=12 * 3600, day=2.0)
WARM_UP_JOBS = 500


def bench_federation(
    jobs: int, sites: int, seed: int, *, seconds: Callable[[], float]
) -> dict[str, float | int | str]:
    """Replay a busy morning on a federation of *sites* members and say how fast that went.

    Args:
        jobs: So many in six hours.
        sites: Members: the largest twice as large as the next two, and so on.
        seed: The same seed, the same jobs.
        seconds: Reads a clock that never goes back.

    Returns:
        ``jobs, sites, processors, seconds, jobs_per_second, mean_wait`` and the rules.

    """
    rules = Rules(report_interval_s=60, round_interval_s=60, ends_at_once=False)
    play(busy_morning(WARM_UP_JOBS, seed), sites, rules)  # compiles the kernels
    workload = busy_morning(jobs, seed)
    begin = seconds()
    outcome = play(workload, sites, rules)
    took = seconds() - begin
    assert not outcome.left_out, outcome.left_out
    return {
        "jobs": jobs,
        "sites": sites,
        "processors": sum(place.processors for place in outcome.places),
        "seconds": round(took, 3),
        "jobs_per_second": round(jobs / took, 1),
        "mean_wait": round(float((outcome.start - workload.submit).mean()), 3),
        "report_interval_s": rules.report_interval_s,
        "round_interval_s": rules.round_interval_s,
    }


def busy_morning(jobs: int, seed: int) -> Workload:
    """Return six hours with so many jobs."""
    return generate(BUSY, seed=(seed,), begin=0, end=SPAN_S, jobs=jobs)


def play(workload: Workload, sites: int, rules: Rules) -> Outcome:
    """Replay on *sites* pools that the workload loads to `LOAD`."""
    work = float((workload.procs * workload.runtime).sum())
    weights = [0.5 ** (number // 2) for number in range(sites)]
    whole = work / (LOAD * SPAN_S) / sum(weights)
    members = tuple(
        pool(f"site-{number:04}", max(BUSY.largest, int(whole * weight)))
        for number, weight in enumerate(weights)
    )
    return replay_federation(workload, FederationModel("bench", members), rules=rules)
