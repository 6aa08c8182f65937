"""One transaction a turn: what cannot be written is not acknowledged, and nothing else is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from res_federation.broker.clock import JobIds, SystemClock
from res_federation.broker.loop import Loop
from res_federation.control.effects import Effect
from res_federation.control.events import JobSubmitted
from res_federation.control.state import FederationState, federation, restore
from res_federation.errors import FederationError, InvalidArgument, ResourceExhausted
from res_federation.model.job import JobSpec
from res_federation.store.step import Step
from res_federation.store.store import Store

CLOCK = SystemClock()
IDS = JobIds(CLOCK)


class Faulty(Store):
    """A real store whose next commits fail before they reach the database."""

    def fail(self, *errors: FederationError) -> None:
        self.errors = list(errors)

    async def commit(self, step: Step) -> None:
        if getattr(self, "errors", None):
            raise self.errors.pop(0)
        await super().commit(step)


@asynccontextmanager
async def a_loop(path: Path) -> AsyncIterator[tuple[Loop, Faulty, list[Effect]]]:
    store = await Faulty.open(f"sqlite:///{path}/db.sqlite")
    carried: list[Effect] = []

    async def load() -> FederationState:
        state, loaded = federation(()), await store.load_live()
        restore(state, at=CLOCK.now(), jobs=loaded.jobs, keys=loaded.keys, drained={},
                revision=loaded.last_revision)  # fmt: skip
        return state

    loop = Loop(await load(), store, carried.append, load)
    running = asyncio.create_task(loop.run())
    try:
        yield loop, store, carried
    finally:
        running.cancel()
        await store.close()


def a_submission(key: str = "") -> JobSubmitted:
    return JobSubmitted(CLOCK.now(), IDS.new(), JobSpec("j", "u", "#!/bin/sh\n"), key)


async def test_submissions_that_come_together_share_a_transaction(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        events = [a_submission() for _ in range(200)]
        commits = 0
        commit = store.commit

        async def counted(step: Step) -> None:
            nonlocal commits
            commits += 1
            await commit(step)

        store.commit = counted  # type: ignore[method-assign]
        await asyncio.gather(*(loop.post(event) for event in events))
        assert commits < 10
        assert await store.present({event.job for event in events}) == {e.job for e in events}


async def test_a_full_disk_is_told_to_all_and_what_was_there_stays(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        before, after = a_submission("k1"), a_submission("k2")
        await loop.post(before)
        store.fail(ResourceExhausted("the disk is full"))
        lost = a_submission("k3")
        with pytest.raises(ResourceExhausted, match="disk is full"):
            await loop.post(lost)
        assert set(loop.state.jobs) == {before.job}, "the state holds what is on disk and no more"
        await loop.post(after)
        assert set(loop.state.jobs) == {before.job, after.job}
        assert ("u", "k3") not in loop.state.keys, "the key of what was lost may be used again"


async def test_one_bad_submission_does_not_fail_the_others_of_its_step(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, _):
        events = [a_submission() for _ in range(5)]
        store.fail(InvalidArgument("a row that the database refuses"))
        answers = await asyncio.gather(*(loop.post(e) for e in events), return_exceptions=True)
        assert answers == [None] * 5
        assert len(await store.present({event.job for event in events})) == 5


async def test_a_refused_event_is_told_to_its_sender_only(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, _, _):
        event = a_submission()
        bad = JobSubmitted(CLOCK.now(), IDS.new(), JobSpec("j", "u", "#!", clusters=("mars",)))
        good, refused = await asyncio.gather(
            loop.post(event), loop.post(bad), return_exceptions=True
        )
        assert good is None
        assert isinstance(refused, InvalidArgument)
        assert set(loop.state.jobs) == {event.job}


async def test_the_alarm_is_set_again_after_a_step_that_failed(tmp_path: Path) -> None:
    async with a_loop(tmp_path) as (loop, store, carried):
        store.fail(ResourceExhausted("full"))
        with pytest.raises(ResourceExhausted):
            await loop.post(a_submission())
        assert any(type(effect).__name__ == "WakeAt" for effect in carried)


def test_identifiers_ascend_however_fast_they_are_drawn() -> None:
    drawn = [IDS.new() for _ in range(5000)]
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 5000
