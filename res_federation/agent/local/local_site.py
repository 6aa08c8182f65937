"""`LocalBatch`: the embedded batch system behind the agent's small interface.

Truth is on disk: a job is accepted once its row is in the ledger, a task has begun once its
start-once mark is in the run's directory, and it has ended once its exit file is.  An agent that
is killed and started again reads all three and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from res_federation.agent.batch import (
    Accepted,
    Found,
    Measured,
    Refused,
    RunRequest,
    SubmitOutcome,
    View,
)
from res_federation.agent.clock import Clock
from res_federation.agent.disk import saying, write_whole
from res_federation.agent.fences import WITHDRAWN, Fence
from res_federation.agent.local import records
from res_federation.agent.local.admission import admit, written
from res_federation.agent.local.jobs import LiveTask, LocalJob, LocalPartition
from res_federation.agent.local.launch import (
    Launch,
    hostlist,
    launched,
    node_names,
    open_to_others,
    read_places,
    write_tools,
)
from res_federation.agent.local.ledger import Ledger, Record
from res_federation.agent.local.machine import Place
from res_federation.agent.local.processes import Watch
from res_federation.agent.local.queue import easy
from res_federation.agent.local.slots import HostSlots
from res_federation.agent.local.starting import start_wrapper
from res_federation.agent.rundir import RunDirectory, task_word
from res_federation.errors import FederationError
from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.reason import Reason
from res_federation.model.resources import layout
from res_federation.model.site import Site
from res_federation.slurm.dialect import Dialect

GRACE_S = 5.0
_TRIES = 3
_RETRY_S = 1.0


class LocalBatch:
    """A small batch system on this machine. Needs a running event loop."""

    fences = False
    settle_grace_s = 0.0

    def __init__(
        self,
        site: Site,
        state: Path,
        *,
        now: Clock,
        dialect: Dialect | None = None,
        slots: HostSlots | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        """Open the books under *state* and find again what runs.

        Args:
            site: Whose partitions are offered: those whose nodes and cores are known.
            state: The agent's own directory.
            now: Reads the clock.
            dialect: How the site wants its scripts; they are left as they are without one.
            slots: The bound on payloads, shared by the agents of one machine.
            grace_s: Seconds between SIGTERM and SIGKILL.

        Raises:
            ResourceExhausted: If the disk is full or not writable.

        """
        self._site, self._dialect = site, dialect
        self._owner = str(state)
        self._now = now
        self._slots = slots or HostSlots()
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._timer: asyncio.Handle | None = None
        self._closed = False
        self._partitions = {
            partition.id: LocalPartition(partition)
            for partition in site.partitions
            if partition.nodes and partition.shape.cores
        }
        self._jobs: dict[RunToken, LocalJob] = {}
        self._tools, self._ledger = write_tools(state / "bin"), Ledger(state)
        if site.identity and os.geteuid() == 0:
            open_to_others(state)
        for record in self._ledger.open_jobs():
            self._recover(record)
        self._kick()

    # --- the eight verbs

    async def submit(self, request: RunRequest) -> SubmitOutcome:
        """Accept a job once; the same token again gets the same number."""
        known = self._ledger.number(request.token)
        if known is not None:
            return Accepted(str(known))
        home = self._partitions.get(request.partition)
        if home is None:
            return Refused(f"Invalid partition name specified: {request.partition}")
        spec = written(home.partition, request.spec, self._dialect)
        need = spec if isinstance(spec, str) else admit(home.partition, spec)
        if isinstance(spec, str) or isinstance(need, str):
            return Refused(str(need))
        there = RunDirectory(request.directory)
        digest = there.rewrite(spec.script) if self._dialect is not None else ""
        if request.identity is not None:
            there.give(request.identity.account)
        number = self._ledger.accept(
            request.token, request.partition, request.directory, spec, self._now()
        )
        job = LocalJob(
            token=request.token, number=number, partition=home.partition, spec=spec,
            directory=request.directory, layout=need, waiting=deque(spec.array or (-1,)),
        )  # fmt: skip
        self._jobs[job.token] = home.jobs[job.token] = job
        self._kick()
        return Accepted(str(number), digest)

    async def find(
        self,
        tokens: Sequence[RunToken],
        *,
        since: float,  # noqa: ARG002 - never old
    ) -> View:
        """Return what is known of each token that was ever accepted: as of now, always."""
        found: dict[RunToken, Found] = {}
        for token in tokens:
            job = self._jobs.get(token)
            if job is not None:
                reason = self._partitions[job.partition.id].reason(job)
                outcomes = job.outcomes()
                if len(job.ended) == job.spec.tasks:
                    # not in the books yet (a full disk): that nothing began is not told before
                    outcomes = tuple([task for task in outcomes if task.started is not None])
                found[token] = Found(token, str(job.number), outcomes, reason)
                continue
            over = self._ledger.finished(token)
            if over is not None:
                returned = all(task.reason in records.RETURNED for task in over[1])
                found[token] = Found(token, str(over[0]), over[1], returned=returned)
        return View(found, self._now())

    async def cancel(self, token: RunToken, task: int | None) -> None:
        """End a job or a task; raises ResourceExhausted if the wish cannot be written down."""
        job = self._jobs.get(token)
        if job is None or (task is not None and task not in (job.spec.array or (-1,))):
            return
        name = "cancel" if task is None else f"cancel.{task_word(task)}"
        with saying(job.directory):
            write_whole(job.directory / name, b"")
        for index in list(job.waiting) if task is None else [task]:
            if index in job.waiting and not (job.recovered and self._settle(job, index)):
                self._finish_unbegun(job, index, JobState.CANCELLED, "Cancelled")
        for index in list(job.running) if task is None else [task]:
            live = job.running.get(index)
            if live is not None and live.watch is not None:
                live.watch.terminate()
        self._after(job)

    def withdraw(self, token: RunToken) -> bool:
        """Take a job out of the queue if no wrapper of it was started, or all went back to it."""
        job = self._jobs.get(token)
        if job is None or job.running or job.ended:
            return False
        if job.recovered and launched(job.directory, job.waiting):
            return False
        with saying(job.directory):
            write_whole(job.directory / "cancel", f"{WITHDRAWN}\n".encode())
        for index in list(job.waiting):
            self._finish_unbegun(job, index, JobState.CANCELLED, records.WITHDRAWN)
        self._after(job)
        return True

    async def arrange(self, partition: PartitionId, tokens: Sequence[RunToken]) -> None:
        """Deal the places of waiting jobs anew, in the books too; raises ResourceExhausted."""
        home = self._partitions.get(partition)
        if home is not None:
            self._ledger.arrange(home.standing(tokens))
            home.arrange(tokens)
            self._kick()

    async def capacity(self) -> Measured:
        """Return what each partition has now."""
        partitions = tuple([home.capacity() for home in self._partitions.values()])
        return Measured(partitions, self._now(), arranges=True)

    async def changed(self) -> None:
        """Return when a task began or ended since the last call."""
        await self._news.wait()
        self._news.clear()

    async def close(self) -> None:
        """Let go; everything that runs goes on."""
        self._closed = True
        self._slots.leave(self._owner)
        if self._timer is not None:
            self._timer.cancel()
        for job in self._jobs.values():
            for task in job.running.values():
                self._slots.give()
                if task.watch is not None:
                    task.watch.close()
        self._ledger.close()

    # --- starting

    def _kick(self, delay_s: float = 0.0) -> None:
        """Have the queue looked at soon; many wishes make one look."""
        if self._closed:
            return
        if self._timer is not None:
            if delay_s > 0.0:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, self._look)

    def _look(self) -> None:
        self._timer = None
        starved = False
        for home in self._partitions.values():
            budget = self._slots.free_for(self._owner)
            found = easy(home.pool, home.running(), home.waiting(budget), self._now(), budget)
            home.head = found.head[0] if found.head else ""
            home.starved = found.starved
            starved = starved or found.starved
            for task, places in found.starts:
                self._start(home, self._jobs[RunToken(task.key[0])], task.key[1], places)
        if starved:
            self._slots.wait(self._owner, self._kick)
        else:
            self._slots.leave(self._owner)

    def _start(
        self, home: LocalPartition, job: LocalJob, index: int, places: tuple[Place, ...]
    ) -> None:
        """Start the wrapper of a task, or find that it was started in an earlier life."""
        if job.recovered and self._settle(job, index):
            home.pool.give(places, job.layout)
            self._after(job)
            return
        launch = Launch(
            self._site, home.partition, job.token, job.spec, index, job.number_of(index),
            job.number, job.layout, places, job.directory, self._tools, self._grace_s,
        )  # fmt: skip
        try:
            pid = start_wrapper(launch)
        except OSError as error:
            home.pool.give(places, job.layout)
            if not job.directory.is_dir():
                job.waiting.remove(index)
                self._finish_unbegun(job, index, JobState.FAILED, f"cannot start: {error}")
                self._after(job)
            else:
                self._kick(_RETRY_S)  # no room now: the task stays where it is
            return
        job.waiting.remove(index)
        at = self._now()
        sure = job.bound or RunDirectory(job.directory).lease() > at
        job.bound = job.bound or sure
        nodes = hostlist(node_names(home.partition, places))
        self._follow(job, index, LiveTask(places, nodes, at, sure, pid), records.start_of(pid))
        self._news.set()

    def _follow(self, job: LocalJob, index: int, task: LiveTask, start: str) -> None:
        """Keep a task as running until its wrapper ends."""
        job.running[index] = task
        self._slots.take(self._owner)
        task.watch = Watch(task.pid, start, lambda: self._wrapper_ended(job, index))

    # --- ending

    def _wrapper_ended(self, job: LocalJob, index: int) -> None:
        task = job.running.pop(index)
        self._slots.give()
        home = self._partitions[job.partition.id]
        if task.places:
            home.pool.give(task.places, job.layout)
        if not self._settle(job, index):
            job.tries[index] = job.tries.get(index, 0) + 1
            if job.tries[index] < _TRIES:
                job.waiting.appendleft(index)
            else:
                why = f"cannot start: {records.last_words(job.directory)}"
                self._finish_unbegun(job, index, JobState.FAILED, why)
        self._after(job)

    def _settle(self, job: LocalJob, index: int) -> bool:
        """Take what the run's directory proves about a task; False if it has surely not begun."""
        number = str(job.number_of(index))
        places = read_places(job.directory, index)
        nodes = hostlist(node_names(job.partition, places)) if places else ""
        outcome = records.read_exit(job.directory, index, number, nodes)
        begun = records.read_begun(job.directory, index)
        if outcome is None and begun is None:
            if not records.cancel_asked(job.directory, index):
                return False
            why = records.WITHDRAWN if Fence(job.directory).withdrawn() else "Cancelled"
            self._finish_unbegun(job, index, JobState.CANCELLED, why)
            return True
        with contextlib.suppress(ValueError):
            job.waiting.remove(index)
        if outcome is None and begun is not None and begun.alive:
            pool = self._partitions[job.partition.id].pool
            held = places if places and pool.claim(places, job.layout) else None
            held = held or pool.take(job.layout) or ()
            job.bound = True
            live = LiveTask(held, nodes, begun.at, sure=True, pid=begun.pid)
            self._follow(job, index, live, begun.start)
            if live.watch is not None and records.cancel_asked(job.directory, index):
                live.watch.terminate()  # the wish went to another wrapper, which came too late
        elif outcome is None and begun is not None:
            outcome = records.read_exit(job.directory, index, number, nodes)  # it may end just now
            job.ended[index] = outcome or self._vanished(job, index, begun, nodes)
        elif outcome is not None:
            job.bound = job.bound or outcome.started is not None
            job.ended[index] = outcome
        return True

    def _vanished(self, job: LocalJob, index: int, begun: records.Begun, nodes: str) -> TaskOutcome:
        """Say that a wrapper is gone without an exit file; end what it left behind."""
        records.end_orphans(begun, job.token)
        return records.vanished(index, begun, str(job.number_of(index)), nodes, self._now())

    def _finish_unbegun(self, job: LocalJob, index: int, state: JobState, why: str) -> None:
        """Say that a task ended and its payload never began."""
        with contextlib.suppress(ValueError):
            job.waiting.remove(index)
        job.ended[index] = TaskOutcome(
            index=index,
            state=state,
            batch_id=str(job.number_of(index)),
            ended=self._now(),
            reason=why,
        )

    def _after(self, job: LocalJob) -> None:
        """Close a job's books if all its tasks have ended; wake who waits for news."""
        if self._closed:
            return
        if len(job.ended) == job.spec.tasks and job.token in self._jobs:
            try:
                self._ledger.finish(job.token, job.outcomes())
            except FederationError:  # a full disk: the directory knows it all, try again later
                self._loop.call_later(_RETRY_S, self._after, job)
            else:
                del self._jobs[job.token]
                del self._partitions[job.partition.id].jobs[job.token]
        self._news.set()
        self._kick()

    # --- after a restart

    def _recover(self, record: Record) -> None:
        """Take up a job of an earlier life as its directory shows it."""
        home = self._partitions.get(record.partition)
        need = None if home is None else layout(record.spec.request, home.partition.shape)
        if home is None or need is None or isinstance(need, Reason):
            # the site file changed under a job that was accepted: it cannot go on here
            why = f"{record.partition} is not offered any more"
            tasks = [
                TaskOutcome(i, JobState.FAILED, reason=why) for i in record.spec.array or (-1,)
            ]
            self._ledger.finish(record.token, tasks)
            return
        indices = record.spec.array or (-1,)
        job = LocalJob(
            token=record.token, number=record.number, partition=home.partition, spec=record.spec,
            directory=record.directory, layout=need, waiting=deque(indices), recovered=True,
        )  # fmt: skip
        self._jobs[job.token] = home.jobs[job.token] = job
        names = set(os.listdir(record.directory)) if record.directory.is_dir() else set()  # noqa: PTH208
        for index in indices:
            word = task_word(index)
            if names & {f"exit.{word}", f"begun.{word}", f"cancel.{word}", "cancel"}:
                self._settle(job, index)
        self._after(job)
