"""A second, slow count of what a plan takes: node by node, sharing no code with the planner.

For every row it searches for *one* way to put all that begins now on the row's free nodes.  The
planner's own order is not assumed: any way that holds will do, so a failure is over-allocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from res_federation.model.job import Job
from res_federation.model.resources import Layout
from res_federation.placement.snapshot import Row

Node = tuple[int, int, int]
"""Cores, memory (a very large number where it is not counted), accelerators."""
ENDLESS = 1 << 60


@dataclass(frozen=True)
class Piece:
    """What begins at once and must stand on as many different nodes."""

    nodes: int
    each: Node


def nodes_of(row: Row) -> tuple[Node, ...]:
    """Return the free nodes of a row, one by one."""
    return tuple(
        (bar.cores, ENDLESS if bar.memory_mib < 0 else bar.memory_mib, bar.accelerators)
        for bar in row.free
        for _ in range(bar.nodes)
    )


def piece_of(lies: Layout) -> Piece:
    """Return one task of a job that lies so."""
    each = (lies.cores_per_node, lies.memory_per_node_mib, lies.accelerators_per_node)
    return Piece(lies.nodes, each)


def can_stand(free: Sequence[Node], pieces: Sequence[Piece]) -> bool:
    """Tell whether all *pieces* can stand on *free* at the same time."""
    ordered = tuple(sorted(pieces, key=lambda one: (one.each, one.nodes), reverse=True))

    @cache
    def search(nodes: tuple[Node, ...], index: int) -> bool:
        if index == len(ordered):
            return True
        piece = ordered[index]
        fits = [number for number, node in enumerate(nodes) if _holds(node, piece.each)]
        tried = set()
        for which in combinations(fits, piece.nodes):
            rest = tuple(
                sorted(
                    _less(node, piece.each) if number in which else node
                    for number, node in enumerate(nodes)
                )
            )
            if rest not in tried:
                tried.add(rest)
                if search(rest, index + 1):
                    return True
        return False

    return search(tuple(sorted(free)), 0)


def within_sums(free: Sequence[Node], pieces: Sequence[Piece]) -> bool:
    """Tell whether the sums hold: a bound that never wrongs a plan, however large it is."""
    return all(
        sum(piece.nodes * piece.each[kind] for piece in pieces) <= sum(node[kind] for node in free)
        for kind in range(3)
    )


def most_at_once(job: Job) -> int:
    """Return how many tasks of *job* may run at the same time."""
    return min(job.spec.tasks, job.spec.array_throttle or job.spec.tasks)


def _holds(node: Node, each: Node) -> bool:
    return all(have >= need for have, need in zip(node, each, strict=True))


def _less(node: Node, each: Node) -> Node:
    return (node[0] - each[0], node[1] - each[1], node[2] - each[2])
