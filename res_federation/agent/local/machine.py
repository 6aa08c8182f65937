"""The nodes of one partition, counted and not real: idle ones as a number, busy ones by name."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from res_federation.model.capacity import FreeNodes
from res_federation.model.resources import Layout


class Amounts(NamedTuple):
    """What is free in a node; memory is -1 where it is not counted."""

    cores: int
    memory_mib: int
    accelerators: int


class Place(NamedTuple):
    """A node that a task has a part of, and its devices there as a bit mask."""

    node: int
    devices: int


class _Busy(NamedTuple):
    free: Amounts
    devices: int  # free devices, as a bit mask


def _holds(free: Amounts, need: Layout) -> bool:
    return (
        free.cores >= need.cores_per_node
        and free.accelerators >= need.accelerators_per_node
        and (free.memory_mib < 0 or free.memory_mib >= need.memory_per_node_mib)
    )


def _lowest_bits(mask: int, count: int) -> int:
    taken = 0
    for _ in range(count):
        bit = mask & -mask
        taken |= bit
        mask ^= bit
    return taken


class Pool:
    """Like nodes. Work grows with the busy nodes, never with the idle ones."""

    def __init__(self, nodes: int, shape: Amounts) -> None:
        """Make a pool of *nodes* idle nodes that have *shape* each."""
        self.nodes = nodes
        self.shape = shape
        self._busy: dict[int, _Busy] = {}
        self._groups: dict[Amounts, set[int]] = {}
        self._returned: list[int] = []  # idle nodes that have been busy, as a heap
        self._untouched = 0  # nodes from here on have never been busy

    def copy(self) -> Pool:
        """Return a pool that can be changed without changing this one."""
        twin = Pool(self.nodes, self.shape)
        twin._busy = dict(self._busy)
        twin._groups = {free: set(nodes) for free, nodes in self._groups.items()}
        twin._returned = list(self._returned)
        twin._untouched = self._untouched
        return twin

    @property
    def idle(self) -> int:
        """Nodes on which nothing runs."""
        return self.nodes - len(self._busy)

    def fits(self, need: Layout) -> bool:
        """Tell whether *need* could be taken now."""
        count = self.idle if _holds(self.shape, need) else 0
        for free, nodes in self._groups.items():
            if count >= need.nodes:
                break
            if _holds(free, need):
                count += len(nodes)
        return count >= need.nodes

    def take(self, need: Layout) -> tuple[Place, ...] | None:
        """Take nodes for *need*, the fullest first, then the lowest numbers; None if short."""
        if not self.fits(need):
            return None
        chosen: list[int] = []
        for free in sorted(free for free in self._groups if _holds(free, need)):
            chosen += sorted(self._groups[free])[: need.nodes - len(chosen)]
            if len(chosen) == need.nodes:
                break
        while len(chosen) < need.nodes:
            chosen.append(self._next_idle())
        return tuple([self._occupy(node, need) for node in chosen])

    def claim(self, places: tuple[Place, ...], need: Layout) -> bool:
        """Take exactly *places*, as they were taken before; False (nothing taken) if one is not."""
        for node, devices in places:
            free, idle_devices = self._busy.get(node, _Busy(self.shape, self._all_devices))
            if node >= self.nodes or not _holds(free, need) or devices & ~idle_devices:
                return False
        for node, devices in places:
            if node not in self._busy:
                self._remove_idle(node)
            self._occupy(node, need, devices)
        return True

    def give(self, places: tuple[Place, ...], need: Layout) -> None:
        """Give back what `take` or `claim` took."""
        for node, devices in places:
            free, idle_devices = self._busy[node]
            memory = free.memory_mib
            more = Amounts(
                free.cores + need.cores_per_node,
                memory if memory < 0 else memory + need.memory_per_node_mib,
                free.accelerators + need.accelerators_per_node,
            )
            self._leave_group(node, free)
            if more == self.shape:
                del self._busy[node]
                heapq.heappush(self._returned, node)
            else:
                self._busy[node] = _Busy(more, idle_devices | devices)
                self._groups.setdefault(more, set()).add(node)

    def histogram(self) -> tuple[FreeNodes, ...]:
        """Return the free amounts over all nodes that have any, the emptiest nodes first."""
        bars = {self.shape: self.idle} if self.idle else {}
        for free, nodes in self._groups.items():
            if free.cores > 0:
                bars[free] = bars.get(free, 0) + len(nodes)
        return tuple([FreeNodes(bars[free], *free) for free in sorted(bars, reverse=True)])

    @property
    def _all_devices(self) -> int:
        return (1 << self.shape.accelerators) - 1

    def _next_idle(self) -> int:
        if self._returned:
            return heapq.heappop(self._returned)
        self._untouched += 1
        return self._untouched - 1

    def _remove_idle(self, node: int) -> None:
        if node >= self._untouched:
            for skipped in range(self._untouched, node):
                heapq.heappush(self._returned, skipped)
            self._untouched = node + 1
        else:
            self._returned.remove(node)
            heapq.heapify(self._returned)

    def _leave_group(self, node: int, free: Amounts) -> None:
        group = self._groups[free]
        group.discard(node)
        if not group:
            del self._groups[free]

    def _occupy(self, node: int, need: Layout, devices: int | None = None) -> Place:
        before = self._busy.get(node)
        free, idle_devices = before or _Busy(self.shape, self._all_devices)
        if before is not None:
            self._leave_group(node, free)
        if devices is None:
            devices = _lowest_bits(idle_devices, need.accelerators_per_node)
        memory = free.memory_mib
        less = Amounts(
            free.cores - need.cores_per_node,
            memory if memory < 0 else memory - need.memory_per_node_mib,
            free.accelerators - need.accelerators_per_node,
        )
        self._busy[node] = _Busy(less, idle_devices & ~devices)
        self._groups.setdefault(less, set()).add(node)
        return Place(node, devices)
