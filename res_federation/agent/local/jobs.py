"""What the local batch system remembers of a job and of a partition while they live."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path

from res_federation.agent.local.machine import Amounts, Place, Pool
from res_federation.agent.local.processes import Watch
from res_federation.agent.local.queue import Running, Waiting
from res_federation.model.capacity import (
    MOST_WAITING,
    PartitionCapacity,
    Release,
    WaitingJob,
)
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.resources import Layout
from res_federation.model.site import Partition


@dataclass(slots=True)
class LiveTask:
    """A task whose wrapper was started; *sure* is False while the wrapper may yet refuse."""

    places: tuple[Place, ...]
    nodes: str
    started: float
    sure: bool
    pid: int
    watch: Watch | None = None


@dataclass(slots=True)
class LocalJob:
    """A job that was accepted and has not ended."""

    token: RunToken
    number: int
    partition: Partition
    spec: JobSpec
    directory: Path
    layout: Layout
    waiting: deque[int]
    recovered: bool = False
    """Accepted by an earlier life of the agent: its directory knows more than we do."""
    running: dict[int, LiveTask] = field(default_factory=dict)
    ended: dict[int, TaskOutcome] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    bound: bool = False
    """Whether a payload of it began here."""

    @property
    def may_start(self) -> int:
        """How many waiting tasks the array's own throttle lets start now."""
        throttle = self.spec.array_throttle
        return max(0, throttle - len(self.running)) if throttle else len(self.waiting)

    def number_of(self, index: int) -> int:
        """Return the job number of a task: the array's own for the first, then counting up."""
        return self.number + (self.spec.array.index(index) if self.spec.array else 0)

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """Return each task that began or ended, by index."""
        live = {
            index: TaskOutcome(
                index=index,
                state=JobState.RUNNING if task.sure else JobState.SUBMITTED,
                batch_id=str(self.number_of(index)),
                started=task.started if task.sure else None,
                nodes=task.nodes,
            )
            for index, task in self.running.items()
        }
        both = self.ended | live
        return tuple([both[index] for index in sorted(both)])


class LocalPartition:
    """A partition: its nodes and its queue, in order of arrival unless it was arranged."""

    def __init__(self, partition: Partition) -> None:
        """Count the nodes of *partition*, whose cores and nodes are known."""
        shape = partition.shape
        memory = -1 if shape.memory_mib is None else shape.memory_mib
        self.partition = partition
        self.pool = Pool(
            partition.nodes or 0, Amounts(shape.cores or 0, memory, shape.accelerators)
        )
        self.jobs: dict[RunToken, LocalJob] = {}
        self.head: str = ""
        self.starved = False

    def standing(self, tokens: Sequence[RunToken]) -> list[RunToken]:
        """Return those of *tokens* that wait here, each once."""
        return [t for t in dict.fromkeys(tokens) if t in self.jobs and self.jobs[t].waiting]

    def arrange(self, tokens: Sequence[RunToken]) -> None:
        """Let waiting jobs stand in this order in the places that they have together."""
        named = self.standing(tokens)
        places, chosen = iter(named), frozenset(named)
        order = [next(places) if token in chosen else token for token in self.jobs]
        self.jobs = {token: self.jobs[token] for token in order}

    def queue(self) -> Iterator[WaitingJob]:
        """Yield what waits, in order, task by task."""
        for job in self.jobs.values():
            need = job.layout
            task = WaitingJob(
                nodes=need.nodes,
                cores=need.nodes * need.cores_per_node,
                accelerators=need.nodes * need.accelerators_per_node,
                limit_s=job.spec.time_limit_s,
                token=job.token,
            )
            yield from repeat(task, min(job.may_start, len(job.waiting)))

    def waiting(self, most: int) -> Iterator[Waiting]:
        """Yield the tasks that may start, in order; never more than *most* of one job."""
        for job in self.jobs.values():
            count = min(job.may_start, max(most, 1))
            for index in islice(job.waiting, count):
                yield Waiting((job.token, index), job.layout, job.spec.time_limit_s)

    def running(self) -> Iterator[Running]:
        """Yield what runs."""
        for job in self.jobs.values():
            for task in job.running.values():
                yield Running(task.places, job.layout, task.started + job.spec.time_limit_s)

    def reason(self, job: LocalJob) -> str:
        """Say why the rest of *job* waits, in Slurm's words where it has any."""
        if not job.waiting:
            return ""
        if job.running and job.may_start == 0:
            return "JobArrayTaskLimit"
        if self.starved:
            return "HostLimit"
        return "Resources" if self.head == job.token else "Priority"

    def capacity(self) -> PartitionCapacity:
        """Return what there is now."""
        partition = self.partition
        releases: dict[float, list[int]] = {}
        for job in self.jobs.values():
            for task in job.running.values():
                total = releases.setdefault(task.started + job.spec.time_limit_s, [0, 0, 0])
                total[0] += len(task.places)
                total[1] += len(task.places) * job.layout.cores_per_node
                total[2] += len(task.places) * job.layout.accelerators_per_node
        waiting = [(job, len(job.waiting)) for job in self.jobs.values() if job.waiting]
        return PartitionCapacity(
            id=partition.id,
            shape=partition.shape,
            nodes=self.pool.nodes,
            available=self.pool.nodes,
            free=self.pool.histogram(),
            releases=tuple([Release(at, *releases[at]) for at in sorted(releases)]),
            pending_jobs=sum(count for _, count in waiting),
            pending_core_s=float(
                sum(n * _work(job, job.layout.cores_per_node) for job, n in waiting)
            ),
            pending_accelerator_s=float(
                sum(n * _work(job, job.layout.accelerators_per_node) for job, n in waiting)
            ),
            max_time_s=partition.max_time_s,
            max_nodes=partition.max_nodes,
            max_array=partition.max_array,
            features=partition.features,
            queue=tuple(islice(self.queue(), MOST_WAITING)),
        )


def _work(job: LocalJob, each: int) -> int:
    return each * job.layout.nodes * job.spec.time_limit_s
