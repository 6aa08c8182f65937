"""A watcher sees the newest state of what it asked for, however slowly it looks."""

from __future__ import annotations

import asyncio

from res_federation.broker.outboxes import Outbox, Outboxes
from res_federation.broker.watchers import Watchers
from res_federation.control.effects import ForgetRuns
from res_federation.model.identifiers import RunToken, SiteId


async def test_a_slow_watcher_gets_each_key_once_with_its_newest_value() -> None:
    watchers: Watchers[str, int] = Watchers()
    with watchers.watch() as watch:
        for value in range(1000):
            watchers.tell("a", value)
        watchers.tell("b", 7)
        watchers.close()
        assert [value async for value in watch.changes()] == [999, 7]


async def test_a_watch_on_names_hears_of_nothing_else() -> None:
    watchers: Watchers[str, str] = Watchers()
    with watchers.watch(["mine"]) as watch:
        watchers.tell("theirs", "theirs")
        watchers.tell("mine", "mine")
        watchers.close()
        assert [value async for value in watch.changes()] == ["mine"]


async def test_a_watch_that_was_left_is_forgotten() -> None:
    watchers: Watchers[str, int] = Watchers()
    with watchers.watch(["a"]) as watch:
        pass
    watchers.tell("a", 1)
    watch.close()
    assert [value async for value in watch.changes()] == []


async def test_a_new_stream_of_a_site_ends_the_old_one() -> None:
    outboxes, site = Outboxes(), SiteId("csuc")
    old, new = Outbox(site), Outbox(site)
    outboxes.open(old)
    reading = asyncio.ensure_future(_all(old))
    outboxes.open(new)
    assert await reading == []
    assert not outboxes.leave(old), "the site still has a stream"
    assert outboxes.send(site, (ForgetRuns((RunToken("T-1"),)),))
    first = await anext(aiter(new.batches()))
    assert first == (ForgetRuns((RunToken("T-1"),)),)
    assert outboxes.leave(new)


async def test_a_site_that_does_not_read_is_cut_off_and_memory_does_not_grow() -> None:
    outboxes, site = Outboxes(), SiteId("csuc")
    outbox = Outbox(site)
    outboxes.open(outbox)
    sent = 0
    while outboxes.send(site, (ForgetRuns(()),)):
        sent += 1
        assert sent < 5000, "an outbox has a bound"
    assert outbox.closed.is_set()


async def _all(outbox) -> list[object]:
    return [batch async for batch in outbox.batches()]
