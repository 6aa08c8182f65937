"""Jobs of two projects in a broker's store, before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from res_federation.model.job_state import JobState
from res_federation.model.share import Share, ShareKind
from res_federation.store.store import Store
from tests.store.making import Log, a_job, a_run, an_id

ANA, EVE, WAITS, MISSING, LENT, OPEN = (an_id(number) for number in range(1, 7))
"""LENT is ana's, shared with eve and with sam, who is no user; OPEN with the projects p and q."""


async def filled(home: Path) -> None:
    """Put jobs into the store, as a broker that was stopped left them."""
    store = await Store.open(f"sqlite:///{home}/broker.db")
    jobs = []
    for number, user, project in ((1, "ana", "p"), (2, "eve", "q"), (3, "ana", "p")):
        job = a_job(number, user=f"{user}@people")
        job.spec = replace(job.spec, name=f"secret-of-{user}", project=project,
                           issuer="people", subject=user)  # fmt: skip
        jobs.append(job)
    jobs[0].runs = [a_run(jobs[0], "csuc", JobState.RUNNING)]
    jobs[0].state = JobState.RUNNING
    await store.commit(Log().submit(*jobs))
    await store.close()


async def shared(home: Path) -> None:
    """Put two jobs of ana's beside, which are shared."""
    store = await Store.open(f"sqlite:///{home}/broker.db")
    jobs = [a_job(number, user="ana@people") for number in (5, 6)]
    for job in jobs:
        job.spec = replace(job.spec, project="p")
    await store.commit(Log(100).submit(*jobs))
    for uid, kind, name in (
        (LENT, ShareKind.USER, "eve@people"), (LENT, ShareKind.USER, "sam@people"),
        (OPEN, ShareKind.PROJECT, "p"), (OPEN, ShareKind.PROJECT, "q"),
    ):  # fmt: skip
        await store.shares.add(Share(uid, kind, name, "ana@people", 1.0))
    await store.close()
