"""How good a replay's forecasts were of when jobs start.

A job is forecast when a round first looks at it and it has to wait; one that starts at once is told
so, and is no forecast.  The first tenth of the jobs is left out: so long little is learnt.
"""

from __future__ import annotations

from typing import Any

from res_federation.model.forecast import ForecastError, error_of, figures
from res_federation.model.identifiers import site_of
from res_federation.simulator.outcome import Outcome

WARM_UP = 10
"""One of so many jobs, the first ones, is not scored."""


def forecast_figures(outcome: Outcome) -> dict[str, Any] | None:
    """Return the figures of `model.forecast.figures` of all jobs and, under ``sites``, of each.

    ``warm_up`` counts the jobs left out at the begin; ``at_once`` those of the federation that
    began with no wait to be forecast, and ``coverage_p90_all`` has them in it as covered.
    None where nobody was told anything.
    """
    if not outcome.told:
        return None
    first = len(outcome.workload) // WARM_UP
    sites: dict[str, ForecastError] = {}
    for job, one in outcome.told.items():
        if job >= first:
            site = site_of(one.partition)
            sites[site] = sites.get(site, ForecastError()) + error_of(one.forecast, one.wait_s)
    whole = sum(sites.values(), ForecastError())
    at_once = sum(
        1
        for job in range(first, len(outcome.workload))
        if outcome.start[job] >= 0 and not outcome.local[job] and job not in outcome.told
    )
    known = whole.scored + at_once
    return {
        "warm_up": first,
        **figures(whole),
        "at_once": at_once,
        "coverage_p90_all": (whole.within_p90 + at_once) / known if known else None,
        "sites": {site: figures(sites[site]) for site in sorted(sites)},
    }
