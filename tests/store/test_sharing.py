"""Many at once: commits, readers, readers that go away; nothing is left when the store closes."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

from res_federation.store.store import Store
from tests.store.making import Log, a_job, an_id

ROOT = Path(__file__).parents[2]


async def test_commits_at_once_are_written_one_by_one(store: Store):
    log = Log()
    await asyncio.gather(*[store.commit(log.submit(a_job(number))) for number in range(20)])
    loaded = await store.load_live()
    assert len(loaded.jobs) == loaded.last_revision == 20


async def test_the_state_may_be_read_back_while_a_step_is_written(store: Store):
    log = Log()
    for turn in range(5):
        jobs = [a_job(100 * turn + number) for number in range(100)]
        _, loaded = await asyncio.gather(store.commit(log.submit(*jobs)), store.load_live())
        assert len(loaded.jobs) % 100 == 0
    assert len((await store.load_live()).jobs) == 500


async def test_readers_see_whole_steps_while_others_are_written(store: Store):
    log = Log()
    seen: list[int] = []
    writing = True

    async def write() -> None:
        nonlocal writing
        for turn in range(10):
            await store.commit(log.submit(*[a_job(50 * turn + number) for number in range(50)]))
        writing = False

    async def read() -> None:
        while writing:
            seen.append(len(await store.events(limit=1000)))

    await asyncio.gather(write(), read(), read(), read())
    assert seen
    assert all(count % 50 == 0 for count in seen)


async def test_readers_that_go_away_leave_nothing(store: Store):
    log = Log()
    await store.commit(log.submit(*[a_job(number) for number in range(300)]))
    for turn in range(30):
        reading = [asyncio.create_task(store.events(limit=1000)) for _ in range(7)]
        for _ in range(turn):
            await asyncio.sleep(0)
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    gc.collect()  # what was given up while it connected is a ring of references
    # More than the pool has connections: none of them is still out.
    again = await asyncio.gather(*[store.events(limit=1000) for _ in range(20)])
    assert {len(one) for one in again} == {300}


async def test_a_write_that_is_given_up_does_not_stop_the_next(store: Store):
    for turn in range(6):
        revision = (await store.load_live()).last_revision
        jobs = [a_job(1000 * turn + number) for number in range(200)]
        writing = asyncio.create_task(store.commit(Log(revision).submit(*jobs)))
        for _ in range(2 * turn):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        loaded = await store.load_live()  # as the broker does after whatever went wrong
        assert loaded.last_revision - revision in (0, 200)
        last = a_job(1000 * turn + 999)
        await store.commit(Log(loaded.last_revision).submit(last))
        assert await store.job(last.id) is not None


_A_LIFE = """
import asyncio, sys, threading
from res_federation.store.store import Store
from tests.store.making import Log, a_job

async def live(url):
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no fault of ours
    store = await Store.open(url)
    await store.commit(Log().submit(a_job(1)))
    await asyncio.gather(*[store.events() for _ in range(8)])
    await store.close()

asyncio.run(live(sys.argv[1]))
print([one.name for one in threading.enumerate()])
"""


def test_a_closed_store_leaves_no_thread_and_no_open_thing(url: str):
    # Python's development mode names what was never closed; here any warning is a failure.
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", _A_LIFE, url],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{[threading.main_thread().name]}\n"


async def test_two_stores_of_one_process_do_not_meet(url: str, tmp_path: Path):
    first, second = await Store.open(url), await Store.open(f"sqlite:///{tmp_path}/second.db")
    await first.commit(Log().submit(a_job(1)))
    await second.commit(Log().submit(a_job(2)))
    assert [job.id for job in (await first.load_live()).jobs] == [an_id(1)]
    assert [job.id for job in (await second.load_live()).jobs] == [an_id(2)]
    await first.close()
    await second.close()
