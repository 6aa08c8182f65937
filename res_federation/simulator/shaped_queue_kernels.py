"""Which nodes have room, and when: the loops of a queue over nodes, compiled by numba.

A node is a row (cores, memory, accelerators) of what is free; memory is -1 where it is not counted.
A part is what a job takes of one node; the parts of a job lie on different nodes.
"""

from __future__ import annotations

import numpy as np

from res_federation.placement.compiling import compiled
from res_federation.simulator.workload import Ints


@compiled
def room(node: Ints, need: Ints) -> bool:
    """Tell whether a node has room for one part: cores, memory, accelerators."""
    if node[0] < need[0] or node[2] < need[2]:
        return False
    return bool(node[1] < 0 or node[1] >= need[1])


@compiled
def spend(node: Ints, need: Ints, sign: int) -> None:
    """Take a part from a node (*sign* -1) or give it back (+1)."""
    node[0] += sign * need[0]
    node[2] += sign * need[2]
    if node[1] >= 0:
        node[1] += sign * need[1]


@compiled
def first_fit(free: Ints, up: Ints, need: Ints, count: int, found: Ints) -> int:
    """Find *count* nodes that are up and have room; return how many there are.

    They are the first ones; for a job of one node, as Slurm does, the one with the fewest free
    cores, and of such the first.
    """
    have = 0
    for n in range(free.shape[0]):
        if up[n] and room(free[n], need):
            if count == 1:
                if have == 0 or free[n, 0] < free[found[0], 0]:
                    found[0] = n
                have = 1
                if free[n, 0] == need[0]:
                    break
                continue
            found[have] = n
            have += 1
            if have == count:
                break
    return have


@compiled
def take(free: Ints, nodes: Ints, need: Ints, sign: int) -> None:
    """Take a job off *nodes* (*sign* -1), or give them back (+1)."""
    for n in nodes:
        spend(free[n], need, sign)


@compiled
def shadow(
    then: Ints, up: Ints, ends: Ints, nodes: Ints, needs: Ints, need: Ints, count: int, now: int
) -> int:
    """Say when a job can begin at the earliest if what runs ends as believed; -1 for never.

    Args:
        then: (nodes, 3) what is free now; afterwards, what is free then.
        up: (nodes,) whether a node takes jobs.
        ends: (parts,) believed ends of what runs, ascending.
        nodes: (parts,) node of each.
        needs: (parts, 3) what each holds.
        need: What one part of the job takes.
        count: Parts of the job.
        now: The second.

    """
    ready = 0
    for n in range(then.shape[0]):
        if up[n] and room(then[n], need):
            ready += 1
    k = 0
    while ready < count and k < ends.shape[0]:
        at = ends[k]
        while k < ends.shape[0] and ends[k] == at:
            n = nodes[k]
            before = room(then[n], need)
            spend(then[n], needs[k], 1)
            if up[n] and not before and room(then[n], need):
                ready += 1
            k += 1
        if ready >= count:
            return int(max(at, now))
    return -1


@compiled
def reserve(free: Ints, then: Ints, up: Ints, need: Ints, count: int, kept: Ints) -> None:
    """Keep *count* nodes for a reservation and take it off *then*.

    Nodes that have no room now are kept before those that have: these may serve meanwhile.
    """
    left = count
    for now_too in range(2):
        for n in range(then.shape[0]):
            if left == 0:
                return
            has = room(free[n], need)
            if up[n] and not kept[n] and has == (now_too == 1) and room(then[n], need):
                kept[n] = 1
                spend(then[n], need, -1)
                left -= 1


@compiled
def fit_before(free: Ints, up: Ints, kept: Ints, need: Ints, count: int, found: Ints) -> int:
    """Find nodes for a job that ends before the reservation: its nodes before all others."""
    have = 0
    for beside in range(2):
        for n in range(free.shape[0]):
            if have < count and up[n] and kept[n] == 1 - beside and room(free[n], need):
                found[have] = n
                have += 1
    return have


@compiled
def fit_beside(
    free: Ints, then: Ints, up: Ints, kept: Ints, need: Ints, count: int, found: Ints
) -> int:
    """Find nodes for a job that outlives the reservation: it must fit beside it."""
    have = 0
    for n in range(free.shape[0]):
        if have == count:
            break
        if up[n] and room(free[n], need) and (not kept[n] or room(then[n], need)):
            found[have] = n
            have += 1
    return have


@compiled
def split(profile: Ints, times: Ints, used: int, at: int) -> int:
    """Make *at* a point of the profile; return how many points there are then."""
    place = 0
    while place < used and times[place] < at:
        place += 1
    if place < used and times[place] == at:
        return used
    for k in range(used, place, -1):
        times[k] = times[k - 1]
        profile[k] = profile[k - 1]
    times[place] = at
    profile[place] = profile[place - 1]
    return used + 1


@compiled
def change(
    profile: Ints, times: Ints, used: int, begin: int, end: int, nodes: Ints, need: Ints, sign: int
) -> int:
    """Take a job off the profile on *nodes* from *begin* to *end*; return the points then."""
    used = split(profile, times, used, begin)
    used = split(profile, times, used, end)
    for k in range(used):
        if begin <= times[k] < end:
            take(profile[k], nodes, need, sign)
    return used


@compiled
def earliest(
    profile: Ints, times: Ints, used: int, up: Ints, need: Ints, count: int, limit: int, found: Ints
) -> int:
    """Find the earliest point at which *count* nodes have room for *limit* seconds; -1 for none.

    ``profile[k]`` is free from ``times[k]`` until ``times[k + 1]``.  The nodes are in *found*.
    """
    until = np.zeros(up.shape[0], np.int64)
    for k in range(used):
        have = 0
        for n in range(up.shape[0]):
            if not up[n] or until[n] > k:
                continue
            fits = True
            for j in range(k, used):
                if times[j] >= times[k] + limit:
                    break
                if not room(profile[j, n], need):
                    until[n] = j + 1  # nothing fits before that point is over
                    fits = False
                    break
            if fits:
                found[have] = n
                have += 1
                if have == count:
                    return int(times[k])
    return -1
