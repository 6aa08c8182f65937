"""What is committed comes back, whole, on both databases."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from res_federation.control.effects import JobChanged, SiteChanged
from res_federation.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from res_federation.model.identifiers import PartitionId, SiteId
from res_federation.model.job import Job
from res_federation.model.job_state import JobState
from res_federation.store.failures import may_retry
from res_federation.store.filters import JobFilter
from res_federation.store.queries import Logged
from res_federation.store.step import Step
from res_federation.store.store import Store
from tests.store.making import Log, a_job, a_run, an_id, whole_jobs
from tests.strategies import examples

ALL = JobFilter()


@given(whole_jobs())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25))
async def test_a_job_comes_back_as_it_was(store: Store, job):
    log = Log((await store.load_live()).last_revision)
    job.id = an_id(2 * log.revision)
    grown = replace(job, id=an_id(2 * log.revision + 1))  # has all the rest only later
    bare = Job(grown.id, grown.spec, grown.submitted)
    await store.commit(log.submit(job, bare))
    await store.commit(log.change("changed", grown))
    for one in (job, grown):
        assert await store.job(one.id) == replace(one, spec=replace(one.spec, script=""))
        assert await store.script(one.id) == one.spec.script


async def test_a_script_comes_back_byte_by_byte_and_is_kept_once(store: Store, url: str):
    odd = b"#!/bin/sh\necho \xff\xfe \xc3\xb1\n".decode("utf-8", "surrogateescape")
    log = Log()
    await store.commit(log.submit(a_job(1, script=odd), a_job(2, script=odd)))
    await store.commit(log.submit(a_job(3, script=odd)))
    assert [await store.script(an_id(n)) for n in (1, 2, 3)] == [odd] * 3
    await store.close()

    again = await Store.open(url)  # which does not remember what it wrote
    await again.commit(log.submit(a_job(4, script=odd)))
    kept = await again._writer.run(lambda c: c.exec_driver_sql("SELECT 1 FROM scripts").all())
    await again.close()
    assert len(kept) == 1


async def test_the_script_of_nobody_is_not_found(store: Store):
    with pytest.raises(NotFound, match=an_id(9)):
        await store.script(an_id(9))
    assert await store.job(an_id(9)) is None


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 300, 777])
async def test_a_step_of_any_size_is_written_whole(store: Store, count):
    jobs = [a_job(number, key=str(number)) for number in range(count)]
    log = Log()
    await store.commit(log.submit(*jobs))
    for job in jobs:
        job.state, job.started = JobState.RUNNING, 5.0
        job.runs = [a_run(job, "bsc", JobState.RUNNING)]
    await store.commit(log.change("running", *jobs))
    loaded = await store.load_live()
    assert [job.id for job in loaded.jobs] == [job.id for job in jobs]
    assert {job.site for job in loaded.jobs} == {"bsc"}
    assert loaded.keys == {("ana", str(number)): an_id(number) for number in range(count)}
    assert len(await store.events(limit=10_000)) == loaded.last_revision == 2 * count


async def test_rows_that_change_together_keep_their_own_values(store: Store):
    one, two, three = a_job(1), a_job(2), a_job(3)
    log = Log()
    await store.commit(log.submit(one, two, three))
    one.exit_code, one.started, one.state = 2**40, 1.5, JobState.FAILED
    two.cancel_asked, two.reason = True, "cancel asked"
    three.decision = b"\0\xff"
    await store.commit(log.change("changed", one, two, three))
    assert [await store.job(job.id) for job in (one, two, three)] == [
        replace(job, spec=replace(job.spec, script="")) for job in (one, two, three)
    ]


async def test_a_job_that_was_never_submitted_cannot_change(store: Store):
    log = Log()
    known = a_job(1)
    await store.commit(log.submit(known))
    step = log.change("running", known, a_job(2))
    known.state = JobState.RUNNING
    with pytest.raises(FailedPrecondition, match="1 of the jobs") as refusal:
        await store.commit(step)
    assert not may_retry(refusal.value)
    loaded = await store.load_live()
    assert [job.state for job in loaded.jobs] == [JobState.QUEUED]
    assert loaded.last_revision == 1


async def test_a_key_stands_for_one_job_of_one_user(store: Store):
    log = Log()
    await store.commit(log.submit(a_job(1, key="k"), a_job(2, user="eva", key="k")))
    await store.commit(log.submit(a_job(3), a_job(4)))  # no key is not a key
    with pytest.raises(AlreadyExists) as refusal:
        await store.commit(log.submit(a_job(5), a_job(6, key="k")))
    assert not may_retry(refusal.value)
    assert await store.job(an_id(5)) is None
    assert (await store.load_live()).keys == {("ana", "k"): an_id(1), ("eva", "k"): an_id(2)}


async def test_keys_that_a_database_cannot_tell_apart_are_told_apart(store: Store):
    keys = ["k", "k\0", "k\x1a", "k\x1a0000", "K", " k", "k "]
    jobs = [a_job(number, user="a\0b", key=key) for number, key in enumerate(keys)]
    await store.commit(Log().submit(*jobs))
    assert (await store.load_live()).keys == {
        ("a\0b", key): job.id for key, job in zip(keys, jobs, strict=True)
    }
    assert len((await store.jobs(JobFilter(user="a\0b"), 10, ""))[0]) == len(keys)


async def test_what_no_database_can_hold_names_the_job(store: Store):
    bad = a_job(1)
    bad.spec = replace(bad.spec, arguments=("\ud800",))
    with pytest.raises(InvalidArgument, match=an_id(1)):
        await store.commit(Log().submit(bad))
    huge = a_job(2)
    huge.exit_code = 2**64
    with pytest.raises(InvalidArgument):
        await store.commit(Log().submit(huge))
    await store.commit(Log().submit(a_job(3)))


async def test_only_live_jobs_are_loaded_and_the_rest_stays_known(store: Store):
    log = Log()
    jobs = [a_job(number, key=f"k{number}") for number, _ in enumerate(JobState)]
    for job, state in zip(jobs, JobState, strict=True):
        job.state = state
    await store.commit(log.submit(*jobs))
    loaded = await store.load_live()
    assert [job.state for job in loaded.jobs] == ["QUEUED", "PLACED", "SUBMITTED", "RUNNING"]
    assert {job.spec.script for job in loaded.jobs} == {""}
    assert len(loaded.keys) == len(jobs)
    assert await store.present([jobs[0].id, jobs[-1].id, an_id(999)]) == {jobs[0].id, jobs[-1].id}


async def test_sites_and_frames_come_back(store: Store):
    bsc, csuc = SiteId("bsc"), SiteId("csuc")
    frame = (PartitionId("bsc/mn5/gpp"), PartitionId("csuc/pirineus3/gpu"))
    first = Step(
        events=[
            SiteChanged(bsc, 1, "drained", 1.0, drained=True, reason="a NUL \0 in it"),
            SiteChanged(csuc, 2, "drained", 1.0, drained=True, reason="works"),
        ],
        frames={b"12345678": frame},
    )
    await store.commit(first)
    again = SiteChanged(csuc, 3, "resumed", 2.0, drained=False)
    await store.commit(Step(events=[again], frames={b"12345678": frame, b"87654321": ()}))
    loaded = await store.load_live()
    assert loaded.drained == {"bsc": "a NUL \0 in it"}
    assert loaded.frames == {b"12345678": frame, b"87654321": ()}
    assert (await store.events(after=2)) == [Logged(3, "resumed", "", "csuc", 2.0, {})]


async def test_the_log_is_read_from_anywhere_and_for_one_job(store: Store):
    log = Log()
    one, two = a_job(1), a_job(2)
    await store.commit(log.submit(one, two))
    step = log.change("placed", one)
    data: dict[str, str | int | float] = {"site": "bsc", "score_s": 1.5, "attempt": 1}
    step.events = [JobChanged(one, one.revision, "placed", 7.0, data)]
    await store.commit(step)
    assert [event.revision for event in await store.events(limit=2)] == [1, 2]
    assert [event.revision for event in await store.events(after=2)] == [3]
    assert await store.events(job=one.id) == [
        Logged(1, "submitted", one.id, "", 1.0, {}),
        Logged(3, "placed", one.id, "", 7.0, data),
    ]


async def test_a_revision_is_given_out_once(store: Store):
    await store.commit(Log().submit(a_job(1)))
    with pytest.raises(AlreadyExists):
        await store.commit(Log().submit(a_job(2)))


async def test_what_a_step_held_may_change_after_it_is_written(store: Store):
    job = a_job(1)
    await store.commit(Log().submit(job))
    before = deepcopy(await store.job(job.id))
    job.state = JobState.RUNNING
    assert await store.job(job.id) == before
