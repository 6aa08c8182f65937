"""The local schedulers a second time: slow, and right at a glance.

Written from the words of the conventions alone.  Free processors are counted second by second.
"""

from __future__ import annotations

from dataclasses import dataclass

FAR = 10_000
"""Seconds: nothing in a test is later."""


@dataclass
class Job:
    """A job that waits, or runs since *start*; *reserved* is what conservative promised it."""

    key: int
    procs: int
    estimate: int
    order: tuple[float, int]
    start: int = -1
    reserved: int | None = None


class SlowQueue:
    """What `LocalQueue` is, with a list for each of its ideas."""

    def __init__(self, processors: int, discipline: str, *, order: str = "submit") -> None:
        self.processors, self.discipline, self.order = processors, discipline, order
        self.queue: list[Job] = []
        self.runs: dict[int, Job] = {}
        self.count = 0
        self.untrue = False

    @property
    def free(self) -> int:
        return self.processors - sum(job.procs for job in self.runs.values())

    def submit(self, key: int, procs: int, estimate: int, at: int, priority: float = 0.0) -> None:
        del at
        self.count += 1
        rank = 0.0 if self.order == "submit" else -priority
        self.queue.append(Job(key, procs, estimate, (rank, self.count)))
        self.queue.sort(key=lambda job: job.order)

    def cancel(self, key: int) -> bool:
        kept = [job for job in self.queue if job.key != key]
        gone = len(kept) < len(self.queue)
        self.queue = kept
        return gone

    def finish(self, key: int, now: int) -> None:
        job = self.runs.pop(key)
        self.untrue |= job.start + job.estimate < now

    def set_processors(self, processors: int) -> None:
        self.processors, self.untrue = processors, True

    def end(self, job: Job, now: int) -> int:
        """Return when a running job is believed to end."""
        return max(job.start + job.estimate, now + 1)

    def start(self, now: int) -> list[int]:
        if self.discipline == "conservative":
            self.plan(now)
            return [self.begin(job, now) for job in list(self.queue) if job.reserved == now]
        begun = []
        while self.queue and self.queue[0].procs <= self.free:
            begun.append(self.begin(self.queue[0], now))
        if self.discipline == "easy" and self.queue:
            begun += self.backfill(now)
        return begun

    def begin(self, job: Job, now: int) -> int:
        self.queue.remove(job)
        job.start = now
        self.runs[job.key] = job
        return job.key

    def backfill(self, now: int) -> list[int]:
        head, *others = self.queue
        shadow, extra = FAR, FAR
        for end in sorted(self.end(job, now) for job in self.runs.values()):
            gone = sum(job.procs for job in self.runs.values() if self.end(job, now) <= end)
            if self.free + gone >= head.procs:
                shadow, extra = end, self.free + gone - head.procs
                break
        begun = []
        for job in others:
            in_time = now + job.estimate <= shadow
            if job.procs <= self.free and (in_time or job.procs <= extra):
                begun.append(self.begin(job, now))
                extra -= 0 if in_time else job.procs
        return begun

    def room(self, now: int, without: Job) -> list[int]:
        """Return the free processors of each second from now on, leaving one job out."""
        room = [self.processors] * (FAR // 10)
        for job in (*self.runs.values(), *self.queue):
            if job is without or (job.start < 0 and job.reserved is None):
                continue
            since, until = job.reserved or 0, (job.reserved or 0) + job.estimate
            if job.start >= 0:
                since, until = now, self.end(job, now)
            for second in range(since - now, min(until - now, len(room))):
                room[second] -= job.procs
        return room

    def earliest(self, job: Job, now: int) -> int | None:
        room = self.room(now, job)
        for start in range(len(room) - job.estimate):
            if all(free >= job.procs for free in room[start : start + job.estimate]):
                return now + start
        return None

    def plan(self, now: int) -> None:
        late = any(job.start + job.estimate <= now for job in self.runs.values())
        missed = any(job.reserved is not None and job.reserved < now for job in self.queue)
        if late or missed or self.untrue:
            for job in self.queue:
                job.reserved = None
        self.untrue = False
        moved = True
        while moved:
            moved = False
            for job in self.queue:
                start = self.earliest(job, now)
                if start is not None and (job.reserved is None or start < job.reserved):
                    job.reserved, moved = start, True
