"""When a waiting job is expected to start, as it was told, and what became of that."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import JobId, PartitionId


@dataclass(frozen=True, slots=True)
class Expected:
    """What the release profiles and the queue say of a job that waits; nothing is learnt yet.

    Attributes:
        job: Which job.
        partition: Where the profiles have it start, "" where they do not foretell it.
        raw_s: Seconds from the round until then, if all that runs takes its limit; infinite where
            they do not foretell it.
        near_s: The same, if runs end when those of their users mostly do.
        width: Processors that it asks for, an accelerator counted as several.
        length_s: Seconds that it is expected to run.
        ahead_s: Seconds that the nodes where it can run need for what has its turn before.

    """

    job: JobId
    partition: PartitionId | None
    raw_s: float
    near_s: float
    width: float
    length_s: float
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a user is told of a job that waits; made once, when a round first looked at it.

    Attributes:
        at: UTC seconds when it was made; all others are seconds from then.
        partition: Where the profiles have it start, or None.
        raw_s: When they do if all that runs takes its limit; infinite where that is not foretold.
        near_s: When they do if runs end when those of their users mostly do: what is learnt from.
        width: Processors that it asks for, an accelerator counted as several.
        length_s: Seconds that it is expected to run.
        ahead_s: Seconds that the nodes where it can run need for what has its turn before.
        p50_s: As likely before as after; None for no estimate.
        p90_s: Nine times of ten before; None for no estimate.
        mean_s: Mean of what others had waited until then: what it is held against.
        late: Whether the job still waited when P90 was over.
        scored: Whether the job has started, and this is counted.

    """

    at: float
    partition: PartitionId | None
    raw_s: float
    near_s: float
    width: float
    length_s: float
    ahead_s: float
    p50_s: float | None = None
    p90_s: float | None = None
    mean_s: float | None = None
    late: bool = False
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A forecast and when its job started.

    Attributes:
        job: Which job.
        partition: Where it started.
        forecast: What was said.
        wait_s: Seconds from the forecast until its payload began.
        level: At which quantile P90 is taken from here on.
        error: Of all forecasts of jobs that started at its site, this one included.

    """

    job: JobId
    partition: PartitionId
    forecast: Forecast
    wait_s: float
    level: float
    error: ForecastError


@dataclass(frozen=True, slots=True)
class ForecastError:
    """How good forecasts were, of a site or of all. Sums, so that those of sites can be added.

    Attributes:
        scored: Jobs that were told an estimate and have started.
        within_p50: Those that started no later than P50.
        within_p90: Those that started no later than P90.
        untold: Jobs that started and had been told "no estimate".
        pinball_p50: Sum of pinball losses of P50, seconds; the next ones likewise.
        pinball_p90: Of P90.
        profile_p50: Of the plain profile, said for P50.
        profile_p90: Of the plain profile, said for P90.
        mean_p50: Of the running mean, said for P50.
        mean_p90: Of the running mean, said for P90.
        waited_s: Sum of what they waited, those without an estimate as well.

    """

    scored: int = 0
    within_p50: int = 0
    within_p90: int = 0
    untold: int = 0
    pinball_p50: float = 0.0
    pinball_p90: float = 0.0
    profile_p50: float = 0.0
    profile_p90: float = 0.0
    mean_p50: float = 0.0
    mean_p90: float = 0.0
    waited_s: float = 0.0

    def __add__(self, other: ForecastError) -> ForecastError:
        """Return the error of both together."""
        return ForecastError(
            self.scored + other.scored,
            self.within_p50 + other.within_p50,
            self.within_p90 + other.within_p90,
            self.untold + other.untold,
            self.pinball_p50 + other.pinball_p50,
            self.pinball_p90 + other.pinball_p90,
            self.profile_p50 + other.profile_p50,
            self.profile_p90 + other.profile_p90,
            self.mean_p50 + other.mean_p50,
            self.mean_p90 + other.mean_p90,
            self.waited_s + other.waited_s,
        )


def figures(error: ForecastError) -> dict[str, float | int | None]:
    """Return what people and programs are told of the error: shares, and mean losses in seconds.

    A figure of no jobs is None. ``pinball_profile`` and ``pinball_mean`` are those of saying the
    plain profile, or the running mean, for P50 and P90 alike: the mean of both losses.
    """
    jobs = error.scored

    def mean(total: float) -> float | None:
        return total / jobs if jobs else None

    return {
        "scored": jobs,
        "untold": error.untold,
        "coverage_p50": mean(error.within_p50),
        "coverage_p90": mean(error.within_p90),
        "pinball": mean((error.pinball_p50 + error.pinball_p90) / 2),
        "pinball_profile": mean((error.profile_p50 + error.profile_p90) / 2),
        "pinball_mean": mean((error.mean_p50 + error.mean_p90) / 2),
        "pinball_p50": mean(error.pinball_p50),
        "pinball_p90": mean(error.pinball_p90),
        "pinball_profile_p50": mean(error.profile_p50),
        "pinball_profile_p90": mean(error.profile_p90),
        "pinball_mean_p50": mean(error.mean_p50),
        "pinball_mean_p90": mean(error.mean_p90),
    }


def pinball(said: float, was: float, level: float) -> float:
    """Return the loss of having said that a quantile of *level* is *said*."""
    return (was - said) * level if was >= said else (said - was) * (1.0 - level)


def error_of(forecast: Forecast, wait_s: float) -> ForecastError:
    """Return the error of one forecast whose job started after *wait_s*.

    It counts only where profile, learnt quantiles and mean all said something: they are held
    against one another on the same jobs.
    """
    p50, p90, mean, raw = forecast.p50_s, forecast.p90_s, forecast.mean_s, forecast.raw_s
    if p50 is None or p90 is None or mean is None or raw == float("inf"):
        return ForecastError(untold=1, waited_s=wait_s)
    return ForecastError(
        scored=1,
        within_p50=wait_s <= p50,
        within_p90=wait_s <= p90,
        pinball_p50=pinball(p50, wait_s, 0.5),
        pinball_p90=pinball(p90, wait_s, 0.9),
        profile_p50=pinball(raw, wait_s, 0.5),
        profile_p90=pinball(raw, wait_s, 0.9),
        mean_p50=pinball(mean, wait_s, 0.5),
        mean_p90=pinball(mean, wait_s, 0.9),
        waited_s=wait_s,
    )
