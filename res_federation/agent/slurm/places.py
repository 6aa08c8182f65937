"""In which order runs wait at Slurm: the words of ``scontrol top`` that deal their places anew.

``scontrol top`` gives the jobs that it names the best priorities that the user's jobs of one
partition, account and QoS have together, the first named the best, by changing their nice values;
jobs of others are never touched.  What it costs is taken from the user's jobs that are *not* named.
So all of them are named here, each in the place where it stands, and only those that are to be
arranged change places: then nobody loses anything (measured on 22.05: docs/adr/0010).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from res_federation.model.identifiers import RunToken
from res_federation.slurm.queue_front import standing
from res_federation.slurm.slurm_states import Phase
from res_federation.slurm.squeue import QueuedJob


def rearranged(jobs: Iterable[QueuedJob], tokens: Sequence[RunToken]) -> list[list[int]]:
    """Return the lists of job numbers to give to ``scontrol top``, one for each queue of its own.

    Args:
        jobs: All jobs of the federation's account.
        tokens: Runs in the order in which they are to be looked at. One that does not wait is
            left out; where all stand as they should, there is no list.

    """
    rank = {token: at for at, token in reversed(list(enumerate(tokens)))}
    alike: dict[tuple[str, ...], list[QueuedJob]] = {}
    for job in jobs:
        if _movable(job):
            alike.setdefault((*job.partitions, job.account, job.qos), []).append(job)
    lists = []
    for group in alike.values():
        stand = sorted(group, key=standing)
        named = sorted(
            (job for job in stand if job.name in rank),
            key=lambda job: (rank[RunToken(job.name)], job.number),
        )
        places = iter(named)
        wanted = [next(places) if job.name in rank else job for job in stand]
        if wanted != stand:
            lists.append([job.number for job in wanted])
    return lists


def _movable(job: QueuedJob) -> bool:
    """Tell whether ``scontrol top`` counts a job: one partition, pending, and not held."""
    waits = job.state.phase is Phase.WAITING and not job.node_list
    return waits and len(job.partitions) == 1 and bool(job.priority)
