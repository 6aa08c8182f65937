"""One partition of a virtual site: its queue, and the figures that its agent would report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from res_federation.model.accelerators import family_in
from res_federation.model.capacity import (
    MOST_WAITING,
    FreeNodes,
    PartitionCapacity,
    WaitingJob,
    Window,
)
from res_federation.model.resources import Layout, ResourceRequest, accelerator_fits, layout
from res_federation.model.site import Partition
from res_federation.simulator.release_profile import Amounts, ReleaseProfile


class Queue(Protocol):
    """What a partition needs of a local scheduler; *size* is processors, or a `Layout`."""

    def submit(self, key: int, procs: Any, estimate: int, at: int, priority: float = 0.0) -> None:
        """Add a job to the queue."""
        ...

    def cancel(self, key: int) -> bool:
        """Take a waiting job out; tell whether it waited."""
        ...

    def finish(self, key: int, now: int) -> None:
        """Free what a running job holds."""
        ...

    def start(self, now: int) -> list[int]:
        """Make one scheduling pass and return what was given its processors."""
        ...

    def arrange(self, keys: Sequence[int]) -> None:
        """Let waiting jobs stand in this order, in the seats that they have together."""
        ...

    def in_order(self, most: int) -> list[int]:
        """Return the first *most* jobs that wait, in the order in which they are looked at."""
        ...

    def set_processors(self, processors: int) -> None:
        """Change what there is; what runs goes on."""
        ...

    @property
    def free(self) -> int:
        """Processors that nobody holds."""
        ...

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        ...


MakeQueue = Callable[[Partition], Queue]


def is_pool(partition: Partition) -> bool:
    """Tell whether a partition is one pool of processors: nodes of one core, nothing else."""
    shape = partition.shape
    return shape.cores == 1 and shape.memory_mib is None and not shape.accelerators


class VirtualPartition:
    """A partition with its queue; the capacity report is made anew only after a change."""

    def __init__(self, partition: Partition, place: int, queue: Queue) -> None:
        """Keep the parts.

        Args:
            partition: What is declared; one core a node makes it a pool of processors.
            place: Index of the partition among all of the federation.
            queue: Its local scheduler, empty.

        """
        self.declared, self.place, self.queue = partition, place, queue
        self.pool = is_pool(partition)
        self.nodes = partition.nodes or 0
        self.cores = self.nodes * (partition.shape.cores or 0)
        self.available = self.nodes
        self._lost = 0
        self.up = True
        self.windows: tuple[Window, ...] = ()
        self._aside: set[int] = set()
        self._by_limit: list[tuple[int, int]] = []
        self.pending_core_s = 0
        self.pending_accelerator_s = 0
        self.held_cores = 0
        self.held_until = 0
        self.others = 0
        self.entries: dict[int, WaitingJob] = {}
        self._releases = ReleaseProfile()
        self._laid: dict[int, Layout | None] = {}
        self._capacity: PartitionCapacity | None = None

    def size(self, kind: int, request: ResourceRequest) -> Layout | None:
        """Return how a request lies here, None where it never fits; *kind* names it."""
        if kind not in self._laid:
            self._laid[kind] = self._lay_out(request)
        return self._laid[kind]

    def _lay_out(self, request: ResourceRequest) -> Layout | None:
        shape = self.declared.shape
        if request.architecture != shape.architecture:
            return None
        if accelerator_fits(request.accelerator, shape, family_in(shape.accelerator)) is not None:
            return None
        words = (*request.features, *(f"license/{name}" for name in request.licenses))
        if not set(words) <= set(self.declared.features):
            return None
        found, most = layout(request, shape), self.declared.max_nodes
        if not isinstance(found, Layout):
            return None
        fits = found.nodes <= (self.nodes if most is None else min(self.nodes, most))
        return found if fits else None

    # --- the queue, around maintenance that is announced

    def enqueue(
        self, key: int, size: Any, limit: int, now: int, since: int, priority: float
    ) -> None:
        """Add a job that is taken to have come at second *since*.

        One that would run into maintenance is kept aside until it is over.
        """
        if self.windows:
            if now + limit > self.windows[0].start:
                self._aside.add(key)
                return
            heappush(self._by_limit, (-limit, key))
        self.queue.submit(key, size, limit, since, priority)

    def start(self, now: int) -> list[int]:
        """Make one pass over what ends before the next maintenance by its limit."""
        if self.windows:
            left, heap = self.windows[0].start - now, self._by_limit
            while heap and -heap[0][0] > left:
                _, key = heappop(heap)
                if self.queue.cancel(key):
                    self._aside.add(key)
        return self.queue.start(now)

    def cancel(self, key: int) -> None:
        """Take a waiting job out."""
        self._aside.discard(key)
        self.queue.cancel(key)

    def arrange(self, keys: Sequence[int]) -> None:
        """Let waiting jobs stand in this order, but for those that are kept aside."""
        self.queue.arrange([key for key in keys if key not in self._aside])

    def announce(self, window: Window) -> None:
        """Let everybody know of maintenance; before anything waits."""
        self.windows = tuple(sorted((*self.windows, window), key=lambda one: one.start))

    def over(self, now: int) -> bool:
        """Forget maintenance that is over; tell whether all must be queued again in order."""
        self.windows = tuple(window for window in self.windows if window.end > now)
        aside = bool(self._aside) or bool(self.windows)
        self._aside.clear()
        self._by_limit.clear()
        return aside

    def resize(self, nodes: int) -> None:
        """Change how many nodes there are; what runs goes on."""
        self._lost -= nodes
        self.available = max(0, self.nodes - self._lost)
        self.queue.set_processors(self.available)

    # --- figures

    def running_core_s(self, now: int) -> int:
        """Return the core-seconds that what runs may still take, by the limits."""
        return max(0, self.held_until - self.held_cores * now)

    @property
    def waiting(self) -> int:
        """Jobs that wait, those that are kept aside too."""
        return self.queue.waiting + len(self._aside)

    def hold(self, end: int, amounts: Amounts) -> None:
        """Count what is given away until *end*, as the limit says."""
        self.held_cores += amounts[1]
        self.held_until += amounts[1] * end
        self._releases.add(end, amounts)

    def let_go(self, end: int, amounts: Amounts) -> None:
        """Count what comes back."""
        self.held_cores -= amounts[1]
        self.held_until -= amounts[1] * end
        self._releases.remove(end, amounts)

    def changed(self) -> None:
        """Forget the figures: something began, ended, came or went."""
        self._capacity = None

    def capacity(self) -> PartitionCapacity:
        """Return the figures of this second."""
        if self._capacity is None:
            part = self.declared
            self._capacity = PartitionCapacity(
                id=part.id,
                shape=part.shape,
                nodes=self.nodes,
                available=self.available,
                up=self.up,
                free=self._free(),
                releases=self._releases.told(),
                pending_jobs=self.waiting,
                pending_core_s=float(self.pending_core_s),
                pending_accelerator_s=float(self.pending_accelerator_s),
                max_time_s=part.max_time_s,
                max_nodes=part.max_nodes,
                max_array=part.max_array,
                windows=self.windows,
                queue=tuple([self.entries[key] for key in self.queue.in_order(MOST_WAITING)]),
                others=self.others,
            )
        return self._capacity

    def _free(self) -> tuple[FreeNodes, ...]:
        if self.pool:
            free = min(self.queue.free, self.available)
            return (FreeNodes(free, 1, -1, 0),) if free > 0 else ()
        histogram: tuple[FreeNodes, ...] = self.queue.histogram()  # type: ignore[attr-defined]
        return histogram
