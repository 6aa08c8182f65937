"""What a cluster was last seen to hold: three commands a cycle, four or five more a minute.

A cycle runs ``squeue`` (all jobs: ours, and the depth of every queue), ``scontrol show node`` and
``show config`` (since when the controller runs) side by side.  Partitions, reservations, licences
and limits change seldom and are read once a minute.  ``sacct`` is asked only for runs of ours that
squeue does not list any more, all in one call.  There is never a command for one job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from res_federation.agent.clock import Clock
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.owners import Owners
from res_federation.errors import FederationError, Unavailable
from res_federation.model.capacity import License, PartitionCapacity, QosLimit
from res_federation.model.identifiers import PartitionId, RunToken, partition_id
from res_federation.model.site import Partition, Site
from res_federation.slurm import (
    capacity,
    licenses,
    nodes,
    partitions,
    qos_limits,
    reservations,
    sacct,
    slurm_config,
    squeue,
)
from res_federation.slurm.dialect import SLURM_MAX_ARRAY_SIZE
from res_federation.slurm.sacct import AccountedJob
from res_federation.slurm.squeue import QueuedJob

CYCLE_S = 5.0
_LEAST_GAP_S = 1.0
_SELDOM_S = 60.0
_ACCOUNTING_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One look at the cluster.

    Attributes:
        taken_at: UTC seconds before the commands ran: what was accepted later may be missing.
        ours: Jobs by the token in their name.
        partitions: Capacity.
        licenses: As Slurm counts them.
        mine: All jobs of the accounts that runs belong to, as squeue lists them.

    """

    taken_at: float
    ours: Mapping[str, tuple[QueuedJob, ...]]
    partitions: tuple[PartitionCapacity, ...]
    licenses: tuple[License, ...] = ()
    mine: tuple[QueuedJob, ...] = ()


@dataclass(slots=True)
class _Seldom:
    """What is read once a minute."""

    read_at: float = -1e9
    partitions: tuple[partitions.SlurmPartition, ...] = ()
    reservations: tuple[reservations.Reservation, ...] = ()
    licenses: tuple[License, ...] = ()
    qos: tuple[QosLimit, ...] = ()
    config: slurm_config.SlurmConfig = field(default_factory=slurm_config.SlurmConfig)


@dataclass(slots=True)
class _Wish:
    """What sacct is to be asked about, and what it said."""

    tokens: frozenset[RunToken] = frozenset()
    asked_at: float = -1e9
    answered: dict[RunToken, tuple[AccountedJob, ...]] = field(default_factory=dict)


class ClusterView:
    """Looks at one cluster again and again, and remembers what it saw."""

    def __init__(self, calls: Calls, site: Site, owners: Owners, *, now: Clock) -> None:
        """Look with *calls*; the site file gives words to what Slurm leaves open.

        *owners* know whose each run is.
        """
        self._calls, self._site, self._now = calls, site.id, now
        self._owners = owners
        self._cluster = site.clusters[0] if site.clusters else ""
        self._declared: dict[PartitionId, Partition] = {part.id: part for part in site.partitions}
        self._log = structlog.get_logger("resfed.agent")
        self._seldom = _Seldom()
        self._wish = _Wish()
        self._lock = asyncio.Lock()
        self._soon = asyncio.Event()
        self.fresh = asyncio.Event()
        """Set after each look."""
        self.fresh_for_strays = asyncio.Event()
        """The same, for the one who cleans up."""
        self.picture: Picture | None = None
        self.booted: int | None = None
        """When the controller was started, UTC seconds."""
        self.failing_since: float | None = None
        self.failure = ""

    @property
    def max_array_size(self) -> int:
        """Slurm's ``MaxArraySize``, its own default before it is known."""
        return self._seldom.config.max_array_size or SLURM_MAX_ARRAY_SIZE

    @property
    def user_top(self) -> bool:
        """Whether the account may put its own waiting jobs into another order."""
        return self._seldom.config.user_top

    @property
    def age_points_per_s(self) -> float:
        """How many points of priority a job gains for each second that it waits."""
        return self._seldom.config.age_points_per_s

    @property
    def accounting(self) -> bool:
        """Whether the cluster keeps an accounting."""
        return self._seldom.config.accounting

    def soon(self) -> None:
        """Look again as soon as that is decent."""
        self._soon.set()

    def ask_accounting(self, tokens: Iterable[RunToken]) -> None:
        """Name the runs whose end squeue may not list any more."""
        self._wish.tokens = frozenset(tokens)

    def accounted(self, token: RunToken) -> tuple[AccountedJob, ...]:
        """Return what sacct said of a run."""
        return self._wish.answered.get(token, ())

    async def watch(self) -> None:
        """Look for ever, every few seconds and soon after something was submitted."""
        while True:
            began = self._now()
            with contextlib.suppress(FederationError):  # kept in `failure`, and told
                await self.look(since=began)
            took = max(0.0, self._now() - began)
            # a slow controller is left in peace, one that comes back is not kept waiting
            await asyncio.sleep(min(CYCLE_S, max(_LEAST_GAP_S, 4 * took)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, CYCLE_S - _LEAST_GAP_S)):
                    await self._soon.wait()

    async def look(self, *, since: float) -> Picture:
        """Return a picture that was taken after *since*.

        Raises:
            Unavailable: If the controller does not answer.

        """
        async with self._lock:
            if self.picture is not None and self.picture.taken_at >= since:
                return self.picture
            try:
                self.picture = await self._take()
            except FederationError as error:
                if self.failing_since is None:
                    self.failing_since = self._now()
                    self._log.warning("slurm does not answer", reason=str(error))
                self.failure = str(error)
                raise
            finally:
                self.fresh.set()
                self.fresh_for_strays.set()
            if self.failing_since is not None:
                self._log.info("slurm answers again")
            self.failing_since, self.failure = None, ""
            return self.picture

    async def _take(self) -> Picture:
        self._soon.clear()
        at = self._now()
        await self._look_seldom(at)
        try:
            async with asyncio.TaskGroup() as group:
                queue = group.create_task(self._calls.look(*squeue.argv()))
                shown = group.create_task(self._calls.look(*nodes.ARGV))
                told = group.create_task(self._calls.look(*slurm_config.ARGV))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        self.booted = slurm_config.read(told.result()).booted
        jobs, bad = squeue.read(queue.result())
        if bad:
            self._log.warning("lines of squeue that could not be read", lines=bad)
        seldom, config = self._seldom, self._seldom.config
        whose = self._owners.whose(jobs)
        found = capacity.capacities(
            self._site, self._cluster, nodes.read(shown.result()), seldom.partitions, jobs,
            seldom.reservations, max_array=None, now=at, declared=self._declared, qos=seldom.qos,
            memory_counted=config.memory_counted, whole_nodes=config.whole_nodes,
            whose=whose,
        )  # fmt: skip
        accounts = {self._calls.account.name, *whose.values()}
        mine = tuple([job for job in jobs if job.user in accounts])
        ours: dict[str, list[QueuedJob]] = {}
        for job in mine:
            if whose.get(job.name) == job.user:  # anybody can give a job our token as its name
                ours.setdefault(job.name, []).append(job)
        await self._look_up_ended(at)
        by_name = {name: tuple(each) for name, each in ours.items()}
        return Picture(at, by_name, found, seldom.licenses, mine)

    async def _look_seldom(self, at: float) -> None:
        if at - self._seldom.read_at < _SELDOM_S:
            return
        look = self._calls.look
        config = slurm_config.read(await look(*slurm_config.ARGV))
        shown = tuple(
            part
            for part in partitions.read(await look(*partitions.ARGV))
            if partition_id(self._site, self._cluster, part.name) in self._declared
        )  # what an administrator took out of the site file is not offered
        windows = reservations.read(await look(*reservations.ARGV))
        held = licenses.read(await look(*licenses.ARGV))
        limits: tuple[QosLimit, ...] = ()
        if config.accounting:
            with contextlib.suppress(Unavailable):  # a hint only: the accounting may be away
                limits = qos_limits.read(await look(*qos_limits.ARGV))
        self._seldom = _Seldom(at, shown, windows, held, limits, config)

    async def _look_up_ended(self, at: float) -> None:
        """Ask sacct for what squeue does not tell; without accounting nothing is learnt."""
        wish = self._wish
        wanted = sorted(wish.tokens - wish.answered.keys())[:200]
        wish.answered = {t: wish.answered[t] for t in wish.answered.keys() & wish.tokens}
        if not wanted or at - wish.asked_at < _ACCOUNTING_EVERY_S:
            return
        wish.asked_at = at
        whose = self._owners.named(wanted)
        if not whose:
            return
        with contextlib.suppress(Unavailable):
            users = ",".join(sorted(set(whose.values())))
            text = await self._calls.look(
                *sacct.argv(names=sorted(whose), since="now-8days", user=users)
            )
            found: dict[str, list[AccountedJob]] = {}
            for job in sacct.read(text)[0]:
                if whose.get(job.name) == job.user:
                    found.setdefault(job.name, []).append(job)
            wish.answered |= {RunToken(name): tuple(each) for name, each in found.items()}
