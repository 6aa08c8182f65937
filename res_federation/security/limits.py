"""Rates and open streams of callers. No clock in here: every question carries the time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from res_federation.errors import ResourceExhausted
from res_federation.model.limits import Limits

MOST_KNOWN = 100_000
"""Callers that are remembered; the one that was heard of longest ago is forgotten first."""


@dataclass(slots=True)
class Bucket:
    """Tokens that trickle in and are taken out.

    One that has any left may be overdrawn by a single large call; what is owed trickles in again
    before the next one. So a batch is never too large to pass, and the rate holds over time.
    """

    level: float
    at: float

    def take(self, amount: float, rate: float, burst: float, now: float) -> float:
        """Take *amount* tokens, or none; return the seconds to wait, 0.0 if they were taken.

        Args:
            amount: Tokens.
            rate: Tokens that come in each second.
            burst: Most tokens that it holds.
            now: Seconds of a clock; a time before the last one counts as that one.

        """
        passed = max(0.0, now - self.at)
        self.level = min(burst, self.level + passed * rate)
        self.at = max(self.at, now)
        if self.level < min(1.0, amount):
            return (min(1.0, amount) - self.level) / rate
        self.level -= amount
        return 0.0


class Rate:
    """One bucket for each key; keys are bounded in number."""

    def __init__(self, rate: float, burst: float, most: int = MOST_KNOWN) -> None:
        """Allow *burst* at once and *rate* a second; a rate of 0 allows everything."""
        self._rate, self._burst, self._most = rate, max(1.0, burst), most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def follow(self, rate: float, burst: float) -> None:
        """Go by another rate from now on; what is in the buckets stays."""
        self._rate, self._burst = rate, max(1.0, burst)

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._buckets)

    def wait_s(self, key: str, amount: float, now: float) -> float:
        """Take *amount* of *key*; return the seconds to wait, 0.0 if it was taken."""
        if self._rate <= 0:
            return 0.0
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(amount, self._rate, self._burst, now)

    def give_back(self, key: str, amount: float) -> None:
        """Undo a taking whose call was refused by another rate."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.level = min(self._burst, bucket.level + amount)


class Meter:
    """Measures callers against the limits of a broker."""

    def __init__(self, limits: Limits) -> None:
        """Follow *limits*."""
        self.limits = limits
        self._calls = Rate(limits.calls_per_s, limits.calls_burst)
        self._jobs = Rate(limits.submissions_per_s, limits.submissions_burst)
        self._project_jobs = Rate(
            limits.project_submissions_per_s, limits.project_submissions_burst
        )
        self._streams: Counter[str] = Counter()

    def follow(self, limits: Limits) -> None:
        """Go by other *limits* from now on."""
        self.limits = limits
        self._calls.follow(limits.calls_per_s, limits.calls_burst)
        self._jobs.follow(limits.submissions_per_s, limits.submissions_burst)
        self._project_jobs.follow(
            limits.project_submissions_per_s, limits.project_submissions_burst
        )

    def call(self, caller: str, now: float) -> None:
        """Count one call that is no submission; raises ResourceExhausted."""
        wait = self._calls.wait_s(caller, 1, now)
        if wait > 0:
            raise too_fast("calls", caller, self.limits.calls_per_s, wait)

    def submissions(self, caller: str, project: str, jobs: int, now: float) -> None:
        """Count the jobs of one message; all or none are counted.

        Raises:
            ResourceExhausted: If the caller, or the project, submits too fast.

        """
        wait = self._jobs.wait_s(caller, jobs, now)
        if wait > 0:
            raise too_fast("submissions", caller, self.limits.submissions_per_s, wait)
        if not project:
            return
        wait = self._project_jobs.wait_s(project, jobs, now)
        if wait > 0:
            self._jobs.give_back(caller, jobs)
            most = self.limits.project_submissions_per_s
            raise too_fast("submissions", f"project {project}", most, wait)

    @contextmanager
    def stream(self, caller: str) -> Iterator[None]:
        """Hold one of the streams that *caller* may have open; raises ResourceExhausted."""
        most = self.limits.streams
        if 0 < most <= self._streams[caller]:
            raise ResourceExhausted(
                f"{caller} has {self._streams[caller]} streams open, the limit is {most}",
                way_out="end some of them",
                code="TOO_MANY_STREAMS",
            )
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if self._streams[caller] <= 0:
                del self._streams[caller]


def too_fast(what: str, who: str, per_s: float, wait_s: float) -> ResourceExhausted:
    """Return the refusal of a call that came too early."""
    return ResourceExhausted(
        f"{who} is over the limit of {per_s:g} {what} a second",
        way_out=f"try again in {wait_s:.1f} s",
        code="TOO_FAST",
        retry_s=max(0.001, wait_s),
    )
