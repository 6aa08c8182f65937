"""Puts an agent together and runs it until it is told to end; jobs go on without it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from res_federation.agent import clock
from res_federation.agent.accounts import account_for
from res_federation.agent.batch import BatchSystem
from res_federation.agent.dial import Dial
from res_federation.agent.identity import identities_of
from res_federation.agent.journal import Journal
from res_federation.agent.link import Link
from res_federation.agent.local.local_site import GRACE_S, LocalBatch
from res_federation.agent.local.slots import HostSlots
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.runs import Runs
from res_federation.agent.site_identity import SiteIdentity
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.slurm_site import SlurmBatch
from res_federation.errors import FederationError, MissingComponent
from res_federation.model.site import Site
from res_federation.slurm.dialect import Dialect, conservative

DAY_S = 24 * 3600.0
_SWEEP_EVERY_S = 6 * 3600.0


def _driver(
    site: Site,
    dialect: Dialect | None,
    state: Path,
    now: clock.Clock,
    slots: HostSlots | None,
    grace_s: float,
) -> BatchSystem:
    if site.batch in ("local", ""):  # a member without batch jobs has no partitions to offer
        return LocalBatch(site, state, now=now, dialect=dialect, slots=slots, grace_s=grace_s)
    if site.batch == "slurm" and site.slurm is not None:
        calls = Calls(site.slurm.conf, account_for(site.slurm.user), programs=site.slurm.programs)
        calls.check()
        return SlurmBatch(site, dialect or conservative(site), state, calls=calls, now=now)
    raise MissingComponent(
        f"site '{site.id}' wants the batch system '{site.batch}', which this version has not",
        field="batch",
        way_out='set batch = "local" to run its partitions on this machine',
    )


def _absolute(state: Path) -> Path:
    """Wrappers and payloads work in other directories than this process."""
    return state.absolute()


async def _sweep(journal: Journal, runs: Path, now: clock.Clock, keep_s: float) -> None:
    """Remove the files of runs that were forgotten long ago, now and then."""
    while True:
        with contextlib.suppress(FederationError, OSError):  # the next sweep tries again
            for token in journal.forgotten_before(now() - keep_s):
                with contextlib.suppress(FederationError, OSError):  # one may be kept from us
                    await asyncio.to_thread(RunDirectory.of(runs, token).remove)
        await asyncio.sleep(_SWEEP_EVERY_S)


async def run_agent(  # noqa: PLR0913 - the settings of an agent
    site: Site,
    broker: str,
    state: Path,
    *,
    dialect: Dialect | None = None,
    beat_s: float = 5.0,
    slots: HostSlots | None = None,
    grace_s: float = GRACE_S,
    keep_s: float = 7 * DAY_S,
    now: clock.Clock = clock.now,
    agents: str = "",
) -> None:
    """Run one site's agent until it is cancelled. Several may live in one event loop.

    Args:
        site: What it serves.
        broker: ``host:port`` that it dials.
        state: Its own directory; only one agent at a time can have it. For Slurm it lies on a
            file system that the compute nodes share, unless the site file names another such one.
        dialect: How the site wants its scripts; the conservative one by default.
        beat_s: Seconds between reports when nothing happens.
        slots: Bound on real payloads, shared by the agents of one process; 32 by default.
        grace_s: Seconds between SIGTERM and SIGKILL for a job that must end.
        keep_s: How long the files of a run stay after the broker has its end.
        now: Reads the clock.
        agents: ``host:port`` of the agents' port; by default the broker is asked for it.

    Raises:
        FailedPrecondition: If another agent has the directory, or it is another site's.
        ResourceExhausted: If the directory cannot be written.
        MissingComponent: If there is no driver for the site's batch system.

    """
    state = _absolute(state)
    journal = Journal(state, site.id)
    shared = Path(site.slurm.shared) if site.slurm is not None and site.slurm.shared else state
    try:
        batch = _driver(site, dialect, shared, now, slots, grace_s)
        try:
            identities = identities_of(site.identity)
            runs = Runs(journal, batch, shared, now=now, beat_s=beat_s, identities=identities)
            dial = Dial(SiteIdentity(site.id, state), broker, now=now, agents=agents)
            link = Link(dial, broker, journal.id, runs, batch, shared, now=now, beat_s=beat_s)
            async with asyncio.TaskGroup() as group:
                group.create_task(runs.work())
                group.create_task(link.hold())
                group.create_task(_sweep(journal, shared / "runs", now, keep_s))
        finally:
            await batch.close()
    finally:
        journal.close()
