"""Jobs that wait, by class: those of one class differ in nothing that rounds see but their age.

Of a class only its oldest job can be the next one to start, so that a round looks at classes and
at those jobs that start, however many wait.  `Waiting` is changed by one loop; a round gets a
`View` of it, which stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job
from res_federation.placement.memo import Memo
from res_federation.placement.order import run_estimate
from res_federation.placement.rows import Floats, Ints, draw
from res_federation.placement.shapes import shape_key

Links = npt.NDArray[np.int32]
Names = npt.NDArray[np.uint8]
NAME_BYTES = 26
"""Of a job's identifier: equal turns are settled by it."""
NOBODY = -1
_ROOM = 64
_EMPTY_CLASSES = 4096
"""Classes without jobs that are remembered with their scores: more of the like may come."""


class View(Sequence[Job]):
    """What waited when it was made; shares with `Waiting` what never changes of a job in it.

    Attributes:
        store: What it is a view of.
        memo: Scores of classes.
        specimens: A job of each class, to read what all of them ask for.
        submitted: (slots,) seconds.
        salt: (slots,) a number drawn from seed and identifier: breaks ties.
        name: (slots, NAME_BYTES) the identifiers.
        after: (slots,) slot of the next one of the class by (submitted, identifier), or NOBODY.
        head: (classes,) slot of the first one, or NOBODY.
        sizes: (classes,) jobs.
        holders: Slot, class and partition of each job that holds a place in a site's queue.
        asked: Slot and class of jobs whose start is to be foretold if they stay.
        since: How many classes there had been when the memo last looked.
        renewed: Those that are new since then, or whose number means something else now.

    """

    __slots__ = (
        "_jobs", "after", "asked", "head", "holders", "memo", "name", "renewed", "salt", "seed",
        "since", "sizes", "specimens", "store", "submitted", "total",
    )  # fmt: skip

    def __init__(
        self,
        store: Waiting,
        columns: _Columns,
        jobs: list[Job | None],
        asked: tuple[tuple[int, int], ...],
    ) -> None:
        """Take columns that nobody changes any more; use `Waiting.view`."""
        self.asked = asked
        self.store, self._jobs = store, jobs
        self.memo, self.seed, self.specimens = store.memo, store.seed, list(store.specimens)
        self.submitted, self.salt, self.name = columns.submitted, columns.salt, columns.name
        self.after = columns.after.copy()
        classes = len(self.specimens)
        self.head, self.sizes = store.heads[:classes].copy(), store.counts[:classes].copy()
        self.since, self.renewed = store.renewed_since()
        self.total = len(store)
        self.holders = store.holders()

    def __len__(self) -> int:
        """Return the number of jobs."""
        return self.total

    def __iter__(self) -> Iterator[Job]:
        """Yield the jobs, class by class."""
        for number in np.flatnonzero(self.sizes).tolist():
            yield from self.of_class(number)

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | Sequence[Job]:
        """Return jobs by their place; slow, as all before them are passed."""
        return list(self)[place]

    def job(self, slot: int) -> Job:
        """Return the job in a slot."""
        job = self._jobs[slot]
        assert job is not None, "a view's slots are not given away"
        return job

    def of_class(self, number: int) -> Iterator[Job]:
        """Yield the jobs of a class, the oldest first."""
        yield from self.chain(int(self.head[number]))

    def chain(self, slot: int) -> Iterator[Job]:
        """Yield the job in a slot and those of its class that come after it."""
        while slot != NOBODY:
            yield self.job(slot)
            slot = int(self.after[slot])

    def names_from(self, slot: int) -> Iterator[JobId]:
        """Yield the identifiers of the job in a slot and of those of its class after it."""
        return (job.id for job in self.chain(slot))

    def salts(self, seed: int) -> npt.NDArray[np.uint64]:
        """Return `salt` as *seed* draws it."""
        if seed == self.seed:
            return self.salt
        found = np.zeros_like(self.salt)
        for number in np.flatnonzero(self.sizes).tolist():
            slot = int(self.head[number])
            while slot != NOBODY:
                found[slot] = draw(self.job(slot).id, seed)
                slot = int(self.after[slot])
        return found


@dataclass(slots=True)
class _Columns:
    """By slot; a slot that is taken keeps its values, but for the links, until it is given away."""

    submitted: Floats
    salt: npt.NDArray[np.uint64]
    name: Names
    after: Links
    before: Links
    kind: Links

    def larger(self) -> _Columns:
        """Return columns with more room: those of before stay with whoever reads them."""
        size = len(self.submitted)
        more = _columns(max(_ROOM, size * 2))
        for name in self.__slots__:
            getattr(more, name)[:size] = getattr(self, name)
        return more


def _columns(size: int) -> _Columns:
    return _Columns(
        np.zeros(size), np.zeros(size, np.uint64), np.zeros((size, NAME_BYTES), np.uint8),
        *(np.full(size, NOBODY, np.int32) for _ in range(3)),
    )  # fmt: skip


class Waiting:
    """The jobs that wait. Changed by its owner alone; who leaves stays for two more views."""

    def __init__(self, seed: int = 0, jobs: Iterable[Job] = (), *, by_user: bool = False) -> None:
        """Begin with *jobs*; *seed* draws what breaks ties.

        With *by_user* a class has jobs of one user only, whose fair share then counts for it.
        """
        self.seed, self.by_user = seed, by_user
        self.memo = Memo()
        self.specimens: list[Job] = []
        self.heads: Links = np.zeros(0, np.int32)
        self.counts: Ints = np.zeros(0, np.int64)
        self._tails: list[int] = []
        self._renewed: list[int] = []
        self._forgotten = 0  # how many were taken off the beginning of those: the memo has them
        self._keys: list[tuple[Any, ...]] = []
        self._classes: dict[tuple[Any, ...], int] = {}
        self._empty: dict[int, None] = {}
        self._spare: list[int] = []
        self._slots: dict[JobId, int] = {}
        self._holds: dict[JobId, PartitionId] = {}
        self._jobs: list[Job | None] = []
        self._columns = _columns(0)
        self._free: list[int] = []
        self._left: list[int] = []
        self._gone: list[int] = []  # left before the newest view, which may still be read
        for job in sorted(jobs, key=lambda job: (job.submitted, job.id)):
            self.add(job)

    def __len__(self) -> int:
        """Return the number of jobs."""
        return len(self._slots)

    def __contains__(self, job: JobId) -> bool:
        """Tell whether a job waits."""
        return job in self._slots

    def class_of(self, job: JobId) -> int | None:
        """Return the number of a job's class, None where it does not wait."""
        slot = self._slots.get(job)
        return None if slot is None else int(self._columns.kind[slot])

    def add(self, job: Job) -> int:
        """Add a job; return the number of its class."""
        number = self._class(job)
        slot = self._slot(job)
        self._slots[job.id] = slot
        columns = self._columns
        columns.submitted[slot] = job.submitted
        columns.salt[slot] = draw(job.id, self.seed)
        columns.name[slot] = np.frombuffer(job.id.encode().ljust(NAME_BYTES)[:NAME_BYTES], np.uint8)
        columns.kind[slot] = number
        self._link(number, slot)
        run = job.run
        if run is not None and run.held and not run.state.final:
            self.hold(job.id, run.partition)
        return number

    def hold(self, job: JobId, partition: PartitionId | None) -> None:
        """Note where a job holds a place in a site's queue; None for nowhere any more."""
        if partition is None:
            self._holds.pop(job, None)
        elif job in self._slots:
            self._holds[job] = partition

    def holders(self) -> list[tuple[int, int, PartitionId]]:
        """Return slot, class and partition of each job that holds a place, by identifier."""
        kinds = self._columns.kind
        return [
            (self._slots[job], int(kinds[self._slots[job]]), partition)
            for job, partition in sorted(self._holds.items())
        ]

    def remove(self, job: JobId) -> None:
        """Take a job out, if it is in."""
        slot = self._slots.pop(job, None)
        self._holds.pop(job, None)
        if slot is None:
            return
        columns = self._columns
        number = int(columns.kind[slot])
        before, after = int(columns.before[slot]), int(columns.after[slot])
        if before == NOBODY:
            self.heads[number] = after
        else:
            columns.after[before] = after
        if after == NOBODY:
            self._tails[number] = before
        else:
            columns.before[after] = before
        self.counts[number] -= 1
        if not self.counts[number]:
            self._empty[number] = None
        self._left.append(slot)

    def view(self, asked: Iterable[JobId] = ()) -> View:
        """Return what waits now; of those before this one only the newest may still be read.

        Who commits a plan and writes it down does that when the next round is asked for already.

        Args:
            asked: Jobs whose start is to be foretold if they stay.

        """
        slots = [self._slots[job] for job in asked]
        for slot in self._gone:
            self._jobs[slot] = None
        self._free += self._gone
        self._gone, self._left = self._left, []
        for number in [*self._empty][: max(0, len(self._empty) - _EMPTY_CLASSES)]:
            del self._empty[number], self._classes[self._keys[number]]
            self._spare.append(number)
        kinds = self._columns.kind
        return View(
            self, self._columns, self._jobs, tuple((slot, int(kinds[slot])) for slot in slots)
        )

    def _class(self, job: Job) -> int:
        key = (*shape_key(job), run_estimate(job), job.spec.user if self.by_user else "")
        number = self._classes.get(key)
        if number is None:
            number = self._classes[key] = self._new_class(job, key)
        self._empty.pop(number, None)
        self.counts[number] += 1
        return number

    def _new_class(self, job: Job, key: tuple[Any, ...]) -> int:
        spec = replace(job.spec, script="") if job.spec.script else job.spec
        specimen = Job(job.id, spec, job.submitted, refused=job.refused, estimate_s=job.estimate_s)
        if self._spare:
            number = self._spare.pop()
            self.specimens[number], self._keys[number] = specimen, key
        else:
            number = len(self.specimens)
            self.specimens.append(specimen)
            self._keys.append(key)
            self._tails.append(NOBODY)
            if number >= len(self.heads):
                more = max(_ROOM, number)
                self.heads = np.append(self.heads, np.full(more, NOBODY, np.int32))
                self.counts = np.append(self.counts, np.zeros(more, np.int64))
        self._renewed.append(number)
        return number

    def renewed_since(self) -> tuple[int, tuple[int, ...]]:
        """Return how many classes there had been when the memo last looked, and those since."""
        known = self.memo.known - self._forgotten
        if known > 0:
            del self._renewed[:known]
            self._forgotten += known
        return self._forgotten, tuple(self._renewed)

    def _slot(self, job: Job) -> int:
        if self._free:
            slot = self._free.pop()
            self._jobs[slot] = job
            return slot
        self._jobs.append(job)
        if len(self._jobs) > len(self._columns.submitted):
            self._columns = self._columns.larger()
        return len(self._jobs) - 1

    def _link(self, number: int, slot: int) -> None:
        """Put a slot where it belongs: mostly last; one that comes back is mostly first."""
        columns, key = self._columns, self._key(slot)
        before, after = self._tails[number], NOBODY
        if before != NOBODY and key < self._key(before):
            before, after = NOBODY, int(self.heads[number])
            while self._key(after) < key:
                before, after = after, int(columns.after[after])
        columns.before[slot], columns.after[slot] = before, after
        if before == NOBODY:
            self.heads[number] = slot
        else:
            columns.after[before] = slot
        if after == NOBODY:
            self._tails[number] = slot
        else:
            columns.before[after] = slot

    def _key(self, slot: int) -> tuple[float, str]:
        job = self._jobs[slot]
        assert job is not None, "a slot in a class has its job"
        return job.submitted, job.id
