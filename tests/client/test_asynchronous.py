from __future__ import annotations

import inspect
from typing import Any

import pytest

from res_federation.client import Federation, FederationClient
from res_federation.errors import NotFound
from res_federation.model.job import JobSpec
from res_federation.model.job_state import JobState
from tests.agent.patience import PATIENCE_S

SPEC = JobSpec(name="pi", user="ana", script="#!/bin/sh\necho 3.14\n")


def test_both_clients_have_the_same_words() -> None:
    def words(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert words(Federation) == words(FederationClient)


async def test_a_job_is_submitted_watched_and_read_through_outages(broker: Any) -> None:
    broker.printed = b"3.14159265358979\n"
    async with FederationClient(broker.address) as federation:
        broker.outages = 1
        job = await federation.submit(SPEC)
        broker.outages = 1
        (ended,) = await federation.wait([job.id], timeout=PATIENCE_S)
        broker.outages = 1
        printed = b"".join([piece async for piece in federation.output(job.id)])
        listed = [one.id async for one in federation.jobs()]
    assert ended.state is JobState.COMPLETED
    assert printed == broker.printed
    assert listed == [job.id]


async def test_an_error_is_raised_in_the_class_of_the_broker(broker: Any) -> None:
    async with FederationClient(broker.address) as federation:
        with pytest.raises(NotFound):
            await federation.job("01ARZ3NDEKTSV4RRFFQ69G5FAV")
