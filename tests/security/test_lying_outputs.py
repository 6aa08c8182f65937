"""Output comes from the site that has the run, as much as was asked for, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from res_federation.broker.outboxes import Outbox, Outboxes
from res_federation.broker.outputs import PIECE_BYTES, Outputs
from res_federation.errors import NotFound, Unavailable
from res_federation.model.identifiers import PartitionId, SiteId, run_token
from res_federation.model.job import Run
from res_federation.model.order import Piece, Read
from tests.builders import an_id

GOOD, LIAR = SiteId("good"), SiteId("liar")


class Asked:
    """One who reads output of a run at the good site from byte 100 on."""

    def __init__(self) -> None:
        outboxes = Outboxes()
        self.outbox = Outbox(GOOD)
        outboxes.open(self.outbox)
        outboxes.open(Outbox(LIAR))
        self.outputs = Outputs(outboxes)
        token = run_token(an_id(1), 1)
        run = Run(token, 1, PartitionId("good/c/p"), GOOD, 0.0)
        self.reading = asyncio.create_task(
            self.outputs.read(run, task=-1, standard_error=False, offset=100)
        )

    async def order(self) -> Read:
        async for batch in self.outbox.batches():
            assert isinstance(batch[0], Read)
            return batch[0]
        raise AssertionError("nothing was asked")


async def test_only_the_site_that_was_asked_is_heard() -> None:
    asked = Asked()
    order = await asked.order()
    forged = Piece(order.request_id, b"forged", 100, end=True)
    assert not asked.outputs.answer(LIAR, forged)
    assert not asked.outputs.answer(GOOD, Piece("r99", b"never asked", 0, end=True))
    assert asked.outputs.answer(GOOD, Piece(order.request_id, b"true", 100, end=True))
    assert (await asked.reading).data == b"true"
    assert not asked.outputs.answer(GOOD, forged), "once is enough"


@pytest.mark.parametrize(
    ("data", "offset"), [(b"x", 0), (b"x", 10**12), (b"x", -1), (b"x" * (PIECE_BYTES + 1), 100)]
)
async def test_another_place_or_more_than_asked_for_is_refused(data: bytes, offset: int) -> None:
    asked = Asked()
    order = await asked.order()
    asked.outputs.answer(GOOD, Piece(order.request_id, data, offset, end=False))
    with pytest.raises(Unavailable, match="asked were at most"):
        await asked.reading


async def test_a_site_that_promises_more_and_sends_nothing_is_not_asked_for_ever() -> None:
    asked = Asked()
    order = await asked.order()
    asked.outputs.answer(GOOD, Piece(order.request_id, b"", 100, end=False))
    assert (await asked.reading).end


async def test_the_sites_own_words_are_told() -> None:
    asked = Asked()
    order = await asked.order()
    asked.outputs.answer(GOOD, Piece(order.request_id, b"", 0, end=True, error="gone"))
    with pytest.raises(NotFound, match="gone"):
        await asked.reading
