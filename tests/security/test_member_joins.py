"""A member joins and its people work: every step a command of the person whose step it is."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.agent.local_accounts import People
from tests.security.federation import SITES, Broker, broker
from tests.security.people import Provider
from tests.security.test_logins import Shell

PATIENCE_S = 60
RULE = '[[exact]]\nissuer = "people"\nsubject = "ana"\nproject = "fusion"\naccount = "{}"\n'
YEARS = ("--begins", "2020-01-01", "--ends", "2120-01-01")


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory below which the payloads of other accounts may work."""
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root)


@pytest_asyncio.fixture
async def running(provider: Provider, ground: Path) -> AsyncIterator[Broker]:
    home = ground / "broker"
    home.mkdir(mode=0o700)
    async with broker(home, provider) as found:
        yield found


async def somebody(running: Broker, ground: Path, name: str) -> Shell:
    """Return the shell of a person who has logged in."""
    home = ground / name
    home.mkdir(mode=0o700)
    shell = Shell(running, home)
    await shell.login(name)
    return shell


async def until(shell: Shell, site: str, state: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            seen = {one["site"]: one for one in json.loads(await shell.run("sites", "--json"))}
            if seen[site]["state"] == state:
                return
            await asyncio.sleep(0.2)


async def enrolled(running: Broker, ground: Path, account: str, sam: Shell) -> Shell:
    """Let csuc in: invited by its administrator, enrolled at the site, with its own mapping."""
    shutil.copytree(SITES / "csuc", ground / "csuc")
    (ground / "csuc" / "accounts.toml").write_text(RULE.format(account))
    site = ground / "csuc" / "site.toml"
    text = site.read_text(encoding="utf-8")
    at = text.index("\n[")
    site.write_text(f'{text[:at]}\n[identity]\nfile = "accounts.toml"\n{text[at:]}')
    assert "do not administer" in await sam.run("site", "invite", "iac", code=4)
    invitation = json.loads(await sam.run("site", "invite", "csuc", "--json"))["token"]
    there = Shell(running, ground)  # nobody is logged in at the site
    words = ("--broker", running.address, "--token", invitation, "--site", str(site))
    await there.run("site", "enroll", *words, "--state", str(ground / "state"))
    other = ("--state", str(ground / "other"))
    assert "used already" in await there.run("site", "enroll", *words, *other, code=4)
    return there


async def test_a_member_joins_and_its_people_work(
    running: Broker, ground: Path, people: People
) -> None:
    account = people.one
    olga, sam, ana, eve, odi = [
        await somebody(running, ground, name)
        for name in ("operator-olga", "sam", "ana", "eve", "odi")
    ]
    there = await enrolled(running, ground, account, sam)
    agent = await there.begin(
        "agent", "run", "--site", str(ground / "csuc" / "site.toml"),
        "--broker", running.address, "--state", str(ground / "state"),
    )  # fmt: skip
    try:
        await until(sam, "csuc", "READY")
        await olga.run("pool", "create", "res")
        await olga.run("project", "create", "fusion", "--home", "csuc")
        await olga.run("project", "member", "fusion", "ana", "--issuer", "people")
        words = ("--project", "fusion", "--pool", "res", "--machine", "csuc", "--core-hours", "10")
        await olga.run("grant", "create", "aect-1", *words, *YEARS)
        assert "may not call" in await ana.run("grant", "create", "mine", *words, *YEARS, code=4)

        (ana.home / "job.sh").write_text("#!/bin/sh\n#SBATCH -t 5 -c 2\nid -un; sleep 1\n")
        submit = ("submit", "--json", "--project", "fusion", "job.sh")
        job = json.loads(await ana.run(*submit))["job"]
        await ana.run("wait", job, "--timeout", str(PATIENCE_S))
        assert await ana.run("output", job) == f"{account}\n"
        assert "aect-1" in await ana.run("explain", job)
        for command in ("show", "output", "cancel", "explain"):
            assert "may ask this" in await eve.run(command, job, code=4)
        (grant,) = json.loads(await olga.run("grant", "list", "--json"))
        kinds = [one["kind"] for one in json.loads(await olga.run("ledger", "show", "--json"))]
        assert kinds == ["granted", "reserved", "settled"]
        assert grant["reserved"]["core_s"] == 0
        assert 2 <= grant["used"]["core_s"] <= 2 * PATIENCE_S
        # a job for whose limit the grant is too small goes nowhere
        (ana.home / "long.sh").write_text("#!/bin/sh\n#SBATCH -t 3-0 -c 16\ntrue\n")
        long = json.loads(await ana.run(*submit[:-1], "long.sh"))["job"]
        told = json.loads(await ana.run("show", long, "--json"))
        async with asyncio.timeout(PATIENCE_S):
            while "grant" not in told["reason"]:  # not looked at yet
                told = json.loads(await ana.run("show", long, "--json"))
        assert (told["state"], told["runs"]) == ("QUEUED", [])
        assert "grant aect-1 has 10 core-hours left" in told["reason"]

        (odi.home / "key.pem").write_text(await odi.run("audit", "key"))
        (odi.home / "log.jsonl").write_text(await odi.run("audit", "export"))
        assert "are whole" in await odi.run("audit", "verify", "log.jsonl", "--key", "key.pem")
        await sam.run("admin", "ca", "revoke", "csuc")
        await until(sam, "csuc", "DISCONNECTED")
    finally:
        agent.send_signal(signal.SIGTERM)
        await agent.wait()
