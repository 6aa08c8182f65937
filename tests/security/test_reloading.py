"""`security.toml` is read again while the broker runs; a broken one changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from res_federation.api.v1 import jobs_pb2 as pb
from tests.agent.patience import PATIENCE_S
from tests.security import people
from tests.security.federation import broker
from tests.security.test_standing import DENIED, UNAUTHENTICATED, Caller, end, login, refusal

EVE = """
[[binding]]
role = "user"
issuer = "people"
subject = "eve"
project = "q"
"""
TOM = EVE.replace("eve", "tom")
ACT = "security.reload"


@pytest.fixture(scope="module")
def patient(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    node, npm = requires("node", "nodejs"), requires("npm", "npm")
    with people.provider(node, npm, token_s=600) as running:
        yield running


def put(home: Path, text: str) -> None:
    """Put another file in the place of security.toml, as careful people do."""
    other = home / "security.toml.new"
    other.write_text(text, encoding="utf-8")
    other.replace(home / "security.toml")


async def until(asked: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asked():  # noqa: ASYNC110 - the broker looks at its file now and then
            await asyncio.sleep(0.2)


def answered(who: Caller, code: grpc.StatusCode) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        try:
            await who.jobs.ListJobs(pb.ListJobsRequest(), metadata=who.metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            return error.code() is code
        return code is grpc.StatusCode.OK

    return asked


async def test_bindings_and_issuers_hold_from_when_the_file_says_so(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        eve, tom = [await login(patient, channel, name) for name in ("eve", "tom")]
        assert await refusal(tom.listed()) is DENIED
        robot = Caller(channel, (await eve.machine("q")).token)
        watching, machine = eve.watch(), robot.watch()
        await watching.initial_metadata()
        await machine.initial_metadata()
        first = (tmp_path / "security.toml").read_text()
        assert EVE in first
        put(tmp_path, first.replace(EVE, TOM))
        await until(answered(tom, grpc.StatusCode.OK))
        assert await end(watching) is DENIED
        assert await end(machine) is UNAUTHENTICATED
        assert await refusal(eve.listed()) is DENIED
        assert await refusal(robot.listed()) is UNAUTHENTICATED
        assert await olga.acts(ACT) == [("broker", "security.toml", "")]
        put(tmp_path, first)
        await until(answered(robot, grpc.StatusCode.OK))
        # an issuer whose word is not taken any more: all of its people are out
        hers = olga.watch()
        await hers.initial_metadata()
        put(tmp_path, first.replace(patient.url, "https://elsewhere.example"))
        assert await end(hers) is UNAUTHENTICATED
        assert await refusal(olga.listed()) is UNAUTHENTICATED
        put(tmp_path, first)
        await until(answered(olga, grpc.StatusCode.OK))


async def test_limits_are_those_of_the_file(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        await olga.begin()
        await olga.member("tom", "user")
        tom = await login(patient, channel, "tom")
        await tom.submit()
        first = (tmp_path / "security.toml").read_text()
        put(tmp_path, first.replace("[limits]", "[limits]\nuser_jobs = 1\nstreams = 1"))
        exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await tom.submit()
                except grpc.aio.AioRpcError as error:
                    assert error.code() is exhausted
                    break
                await asyncio.sleep(0.2)
        watching = tom.watch()
        await watching.initial_metadata()
        assert await refusal(tom.watch().read()) is exhausted
        watching.cancel()
        put(tmp_path, first)
        await until(lambda: _submits(tom))


async def _submits(who: Caller) -> bool:
    try:
        return bool(await who.submit())
    except grpc.aio.AioRpcError:
        return False


@pytest.mark.parametrize(
    "broken",
    [
        "x = " + "[" * 5000,
        "[[binding]\n",
        "[limits]\ncalls_per_s = -1\n",
        '[[binding]]\nrole = "god"\n',
        "\ud800",
        None,
    ],
)
async def test_a_broken_file_changes_nothing_and_is_told_once(patient, tmp_path, broken, capsys):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        file = tmp_path / "security.toml"
        first = file.read_text()
        watching = olga.watch()
        await watching.initial_metadata()
        if broken is None:
            file.unlink()
        else:
            file.write_bytes(broken.encode("utf-8", "surrogatepass"))
        await olga.acts(ACT)
        await asyncio.sleep(2.5)  # it looks every second, and says it once
        ((actor, target, reason),) = await olga.acts(ACT)
        assert (actor, target) == ("broker", "security.toml")
        assert str(file) in reason
        told = [line for line in capsys.readouterr().out.splitlines() if "kept_as_it_was" in line]
        assert len(told) == 1
        put(tmp_path, first.replace(EVE, TOM))
        tom = await login(patient, channel, "tom")
        await until(answered(tom, grpc.StatusCode.OK))
        watching.cancel()


async def test_a_file_that_is_being_written_is_waited_for(patient, tmp_path):
    async with broker(tmp_path, patient) as running, running.channel() as channel:
        olga = await login(patient, channel, "operator-olga")
        eve = await login(patient, channel, "eve")
        file = tmp_path / "security.toml"
        first = file.read_text()
        await asyncio.sleep(1.2)
        with file.open("w") as stream:  # the beginning of it is a good file, without eve
            for part in range(0, len(first), max(1, len(first) // 20)):
                stream.write(first[part : part + len(first) // 20])
                stream.flush()
                await asyncio.sleep(0.15)
                await eve.listed()
        await asyncio.sleep(2.5)
        await eve.listed()
        assert await olga.acts(ACT, 0) == []
