"""What waits were, of what the profiles said: quantiles from those jobs that were most alike.

Of the jobs whose start was foretold and that have started, and of some that still wait, the most
alike are looked at: where the profile said much the same, on the same partition, of jobs as wide
and as long with as much before them.  What they waited is taken as a multiple of what the profile
said; of a job that still waits it is only known that it is more than so much (Kaplan and Meier's
way of counting).  Alikeness is a distance, so that classes need no borders, and where there are
few of a kind the next ones answer.

The loop has its plain twin: the same function, `.py_func`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from res_federation.model.forecast import Expected, Forecast
from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Floats
from res_federation.placement.rows import draw

Flags = npt.NDArray[np.bool_]
COLUMNS = 6
"""Of what is remembered of a job: raw, width, length, ahead (each weighed), place, multiple."""
WINDOW = 1500
"""Started jobs that are remembered."""
ALIKE = 60
"""Jobs from which a quantile is taken."""
PROFILE, DOUBT = 1.5, 0.5
"""Jobs for which the profile counts: as if these had waited just what it said..."""
DOUBTED = 3.0
"""... and these so many times as long: P90 where nothing like it was ever seen."""
LEAST = 20
"""Started jobs below which there is no estimate."""
OLD = 0.3
"""Distance of the oldest job that is remembered from the newest: what is new counts more."""
SLACK_S = 600.0
"""Added to waits and to what was said of them, so that a multiple of little means little."""
GROWTH = 0.7
"""How an excess over the profile grows with what the profile said: 1 for in proportion."""
_RAW, _WIDTH, _LENGTH, _AHEAD, _PLACE = 1.0, 0.3, 0.3, 0.5, 0.1


def features(said: Expected | Forecast, place: float) -> tuple[float, float, float, float, float]:
    """Return what alikeness is measured by; *place* numbers the partition."""
    return (
        _RAW * float(np.log1p(said.near_s)),
        _WIDTH * float(np.log(max(said.width, 1e-3))),
        _LENGTH * float(np.log(max(said.length_s, 1.0))),
        _AHEAD * float(np.log1p(said.ahead_s)),
        place,
    )


def place_of(said: Expected | Forecast) -> float:
    """Return a number drawn from a partition's name that a float holds exactly."""
    return 0.0 if said.partition is None else float(draw(said.partition) >> 12)


def multiple(wait_s: float, raw_s: float) -> float:
    """Return a wait as a multiple of what the profile said, slack added to both.

    What it is above 1 is taken for longer profiles to be less: an excess grows with `GROWTH`.
    """
    if wait_s <= raw_s:
        return (wait_s + SLACK_S) / (raw_s + SLACK_S)
    return 1.0 + (wait_s - raw_s) / _excess(raw_s)


def seconds(times: float, raw_s: float) -> float:
    """Return the wait that is so many times what the profile said; at least 0."""
    if times <= 1.0:
        return max(0.0, times * (raw_s + SLACK_S) - SLACK_S)
    return raw_s + (times - 1.0) * _excess(raw_s)


def _excess(raw_s: float) -> float:
    """Return the seconds above the profile that count as one multiple."""
    return float((raw_s + SLACK_S) ** GROWTH * SLACK_S ** (1.0 - GROWTH))


@compiled
def quantiles(
    known: Floats, waits: Flags, mine: Floats, first: float, second: float, doubted: float
) -> tuple[float, float]:
    """Return two quantiles of the multiples of those jobs that are most alike.

    Args:
        known: (jobs, COLUMNS) at least one; those that started the newest first.
        waits: (jobs,) whether a job still waits: its multiple is more than what is known.
        mine: (COLUMNS - 1,) features of the job in question.
        first: Level of the lower quantile.
        second: Level of the higher one.
        doubted: Multiple of a job that waits `DOUBTED` times as long as the profile says.

    Returns:
        Multiples; where the jobs that still wait leave it open, the largest that is known.

    """
    jobs = known.shape[0]
    distance = np.empty(jobs)
    for j in range(jobs):
        apart = 0.0 if known[j, 4] == mine[4] else _PLACE
        for c in range(4):
            apart += abs(known[j, c] - mine[c])
        distance[j] = apart + OLD * j / WINDOW
    count = min(ALIKE, jobs)
    near = np.argsort(distance, kind="mergesort")[:count]
    reach = distance[near[count - 1]] + 1e-9
    order = near[np.argsort(known[near, 5], kind="mergesort")]
    weight = 1.0 - 0.9 * distance[order] / reach
    left, whole = 1.0, weight.sum() + PROFILE + DOUBT
    low = high = -1.0
    most, i, counted = 1.0, 0, 0
    while i < count or counted < 2:
        said, worth = (1.0, PROFILE) if counted == 0 else (doubted, DOUBT)
        if counted < 2 and (i == count or known[order[i], 5] >= said):
            value, open_ended = said, False
            counted += 1
        else:
            worth, value, open_ended = weight[i], known[order[i], 5], waits[order[i]]
            i += 1
        if not open_ended and whole > 0.0:
            left *= max(0.0, 1.0 - worth / whole)
        whole -= worth
        most = max(most, value)
        if low < 0.0 and left <= 1.0 - first + 1e-12:
            low = value
        if high < 0.0 and left <= 1.0 - second + 1e-12:
            high = value
    high = most if high < 0.0 else high
    return (high if low < 0.0 else min(low, high)), high
