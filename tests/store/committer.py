"""Commits for ever and says what it has acknowledged; killed by its test.

Each line of its output is ``JOB REVISION STATE``, printed after the commit that wrote it.
"""

from __future__ import annotations

import asyncio
import sys

from res_federation.model.job_state import JobState
from res_federation.store.store import Store
from tests.store.making import Log, a_job, a_run


async def commit_for_ever(url: str) -> None:
    store = await Store.open(url)
    loaded = await store.load_live()
    log = Log(loaded.last_revision)
    number = log.revision
    while True:
        jobs = [a_job(number + n, key=f"key-{number + n}") for n in range(7)]
        number += len(jobs)
        await _said(store, log.submit(*jobs))
        for job in jobs[::2]:
            job.state = JobState.RUNNING
            job.runs = [a_run(job, "bsc", JobState.RUNNING)]
        await _said(store, log.change("running", *jobs[::2]))


async def _said(store: Store, step) -> None:
    await store.commit(step)
    lines = [f"{job.id} {job.revision} {job.state}" for job in step.jobs.values()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(commit_for_ever(sys.argv[1]))
