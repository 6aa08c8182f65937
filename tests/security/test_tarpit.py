"""Guessing is slow for who guesses, and for nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from res_federation.api.v1 import jobs_pb2
from res_federation.api.v1.jobs_pb2_grpc import JobServiceStub
from res_federation.security.tarpit import Tarpit
from tests.broker.conftest import Running, running  # noqa: F401 - a fixture
from tests.security.attacks import stranger


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_few_refusals_are_free_and_many_wait() -> None:
    clock = Clock()
    tarpit = Tarpit(clock, per_s=10, burst=5, longest_s=2)
    assert [tarpit.delay_s("ipv4:127.0.0.1:1") for _ in range(5)] == [0.0] * 5
    assert tarpit.delay_s("ipv4:127.0.0.1:2") == pytest.approx(0.1)
    assert tarpit.delay_s("ipv4:127.0.0.2:1") == 0.0
    for _ in range(1000):
        assert tarpit.delay_s("ipv4:127.0.0.1:3") <= 2
    clock.at += 3
    assert tarpit.delay_s("ipv4:127.0.0.1:4") == 0.0, "soon after it stops it is free again"


def test_a_clock_that_goes_back_forgives_nothing() -> None:
    clock = Clock()
    tarpit = Tarpit(clock, per_s=1, burst=1, longest_s=2)
    tarpit.delay_s("x:1")
    clock.at -= 500
    assert tarpit.delay_s("x:1") == pytest.approx(1.0)


async def test_only_so_many_wait() -> None:
    tarpit = Tarpit(lambda: 0.0, per_s=1, burst=0, longest_s=5, most=3)
    held = [asyncio.create_task(tarpit.hold("x:1")) for _ in range(10)]
    await asyncio.sleep(0.1)
    assert tarpit.waiting == 3
    assert sum(task.done() for task in held) == 7
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert tarpit.waiting == 0


async def test_a_flood_of_bad_tokens_is_slow_and_a_good_login_is_not(running: Running) -> None:  # noqa: F811
    bad = (("authorization", "Bearer nobody-gave-this-token-to-anybody"),)
    async with running.jobs() as stub:
        with_login = jobs_pb2.ListJobsRequest(page_size=1)

        async def guess(stub: Any) -> grpc.StatusCode:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListJobs(with_login, metadata=bad)
            code: grpc.StatusCode = refused.value.code()
            return code

        async with stranger(running.address) as channel:
            thief: Any = JobServiceStub(channel)
            guesses = [asyncio.create_task(guess(thief)) for _ in range(180)]
            done, waiting = await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
            assert done
            assert waiting, "all were answered at once"
            for _ in range(20):
                await stub.ListJobs(with_login)
            assert not all(guess.done() for guess in guesses), "a good login waited for guesses"
            codes = await asyncio.gather(*guesses)
            assert set(codes) == {grpc.StatusCode.UNAUTHENTICATED}
