"""A site's queue as a few obviously right lines: fcfs and EASY as the conventions say."""

from __future__ import annotations


class PlainQueue:
    """One pool of processors, first come first served."""

    def __init__(self, processors: int, discipline: str, *, order: str = "submit") -> None:
        assert order == "submit"
        self.processors, self.discipline = processors, discipline
        self.queue: list[tuple[int, int, int]] = []
        self.on: dict[int, tuple[int, int]] = {}

    @property
    def free(self) -> int:
        return self.processors - sum(procs for procs, _ in self.on.values())

    @property
    def waiting(self) -> int:
        return len(self.queue)

    @property
    def running(self) -> int:
        return len(self.on)

    def submit(self, key: int, procs: int, estimate: int, at: int, priority: float = 0.0) -> None:
        self.queue.append((key, procs, estimate))

    def cancel(self, key: int) -> bool:
        found = [one for one in self.queue if one[0] == key]
        self.queue = [one for one in self.queue if one[0] != key]
        return bool(found)

    def finish(self, key: int, now: int) -> None:
        del self.on[key]

    def set_processors(self, processors: int) -> None:
        self.processors = processors

    def releases(self, now: int) -> list[tuple[int, int]]:
        return sorted((end, procs) for procs, end in self.on.values())

    def start(self, now: int) -> list[int]:
        started = []
        while self.queue and self.queue[0][1] <= self.free:
            started.append(self._begin(0, now))
        if self.queue and self.discipline == "easy":
            free, head = self.free, self.queue[0][1]
            shadow, extra = now, free - head
            for end in sorted({end for _, end in self.on.values()}):
                extra = free + sum(p for p, until in self.on.values() if until <= end) - head
                shadow = end
                if extra >= 0:
                    break
            place = 1
            while place < len(self.queue):
                _, procs, estimate = self.queue[place]
                in_time = now + estimate <= shadow
                if procs <= self.free and (in_time or procs <= extra):
                    extra -= 0 if in_time else procs
                    started.append(self._begin(place, now))
                else:
                    place += 1
        return started

    def _begin(self, place: int, now: int) -> int:
        key, procs, estimate = self.queue.pop(place)
        self.on[key] = (procs, now + estimate)
        return key
